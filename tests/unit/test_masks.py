"""Masks against PyTorch's own, the three breaks, and the leak detector's exact zeros."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from models import leak, masks
from models.attention import attend
from models.masks import MaskConfig
from models.multihead import multi_head, random_weights
from models.transformer import GPT, GPTConfig

TINY = GPTConfig(n_vocab=40, n_context=12, n_layer=2, n_head=2, d_model=8, d_ff=16)
BROKEN = (
    MaskConfig("none"),
    MaskConfig("after"),
    MaskConfig(fill=-10.0),
    MaskConfig(fill=-100.0, shift=-200.0),
)


def qkv(n: int, d: int, seed: int, *lead: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*lead, n, d, generator=generator) for _ in range(3)]


@pytest.fixture(scope="module")
def gpt() -> GPT:
    model = GPT(TINY)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:  # far from uniform attention, and every part adds something
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model.eval()


sizes = st.tuples(st.integers(1, 9), st.integers(1, 8), st.integers(0, 99))


@given(sizes)
@settings(max_examples=20, deadline=None)
def test_causal_is_sdpa_is_causal(size: tuple[int, int, int]) -> None:
    n, d, seed = size
    q, k, v = qkv(n, d, seed, 2)
    ours = masks.mask_with(MaskConfig(), q, k, v, masks.causal(n))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(ours.output, expected, atol=1e-5, rtol=1e-5)
    assert torch.equal(masks.future_weight(ours.weights), torch.zeros(2, n))


@given(sizes, st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_causal_of_cached_decoding_is_the_last_rows(size: tuple[int, int, int], past: int) -> None:
    n = size[0]
    assert torch.equal(masks.causal(n, n + past), masks.causal(n + past)[past:])


@given(sizes, st.sampled_from([MaskConfig(), *BROKEN]))
@settings(max_examples=30, deadline=None)
def test_every_way_of_masking_equals_the_plain_one(size: tuple[int, int, int], config: MaskConfig) -> None:
    n, d, seed = size
    q, k, v = qkv(n, d, seed)
    ours = masks.mask_with(config, q, k, v, masks.causal(n))
    expected, _ = masks.plain(config, q, k, v)
    torch.testing.assert_close(ours.output, expected, atol=1e-3, rtol=1e-3)


@given(sizes, st.sampled_from([-20.0, -200.0, 55.0]))
@settings(max_examples=20, deadline=None)
def test_shifting_all_scores_changes_nothing_when_the_fill_is_minus_infinity(
    size: tuple[int, int, int], shift: float
) -> None:
    n, d, seed = size
    q, k, v = qkv(n, d, seed)
    allowed = masks.causal(n)
    still, moved = (masks.mask_with(MaskConfig(shift=s), q, k, v, allowed) for s in (0.0, shift))
    assert moved.scaled is not None
    assert still.scaled is not None
    torch.testing.assert_close(moved.scaled, still.scaled + shift, atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(moved.weights, still.weights, atol=1e-3, rtol=1e-3)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_padding_is_key_padding_mask(lengths: list[int], seed: int) -> None:
    weights = random_weights(8, 2, seed)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": weights.w_qkv,
            "in_proj_bias": weights.b_qkv,
            "out_proj.weight": weights.w_out,
            "out_proj.bias": weights.b_out,
        }
    )
    batch = torch.randn(len(lengths), max(lengths), 8, generator=torch.Generator().manual_seed(seed))
    allowed = masks.padding(lengths)
    expected, maps = theirs(batch, batch, batch, key_padding_mask=~allowed[:, 0], average_attn_weights=False)
    for row, x in enumerate(batch):
        ours = multi_head(x, weights, allowed[row])
        torch.testing.assert_close(ours.output, expected[row], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.attention.weights, maps[row], atol=1e-5, rtol=1e-5)
        alone = multi_head(x[: lengths[row]], weights)
        torch.testing.assert_close(ours.output[: lengths[row]], alone.output, atol=1e-5, rtol=1e-5)


def test_padding_by_hand_and_as_a_rectangle() -> None:
    assert masks.padding([1, 3]).tolist() == [[[True, False, False]], [[True, True, True]]]
    q, (k, v) = torch.randn(2, 5, 4), torch.randn(2, 2, 3, 4)  # five queries over three source tokens
    ours = attend(q, k, v, masks.padding([1, 3]))
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=masks.padding([1, 3]))
    torch.testing.assert_close(ours.output, expected)
    assert ours.weights.shape == (2, 5, 3)
    assert torch.equal(ours.weights[0], torch.tensor([[1.0, 0.0, 0.0]]).expand(5, 3))


def test_after_the_softmax_the_rows_lose_their_sum() -> None:
    q = k = torch.zeros(4, 2)
    weights = masks.mask_with(MaskConfig("after"), q, k, torch.ones(4, 2), masks.causal(4)).weights
    assert weights.sum(-1).tolist() == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_a_config_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        MaskConfig(shift=math.inf)
    with pytest.raises(ValueError, match="fill"):
        MaskConfig(fill=math.nan)


def test_the_whole_model_with_the_right_mask_is_the_model(gpt: GPT) -> None:
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    with torch.no_grad():
        expected = gpt(torch.tensor([ids]))[0]
    torch.testing.assert_close(masks.masked_gpt(gpt, ids, MaskConfig()), expected, atol=1e-4, rtol=1e-4)
    assert (masks.masked_gpt(gpt, ids, MaskConfig("none")) - expected).abs().max() > 1e-2


def test_the_model_leaks_exactly_nothing_with_the_mask_and_something_without(gpt: GPT) -> None:
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    moved = leak.gpt_leak(gpt, ids, 7, MaskConfig())
    assert torch.equal(moved.tril(-1), torch.zeros(8, 8))
    assert (moved.diagonal() > 0).all()
    for config in BROKEN[:2]:
        assert leak.gpt_leak(gpt, ids, 7, config).tril(-1).max() > 0


@given(sizes, st.integers(0, 8))
@settings(max_examples=20, deadline=None)
def test_a_head_leaks_exactly_nothing_with_the_mask(size: tuple[int, int, int], place: int) -> None:
    n, d, seed = size
    place %= n
    head, other = (attend(*qkv(n, d, s)) for s in (seed, seed + 100))
    moved = leak.head_leak(MaskConfig(), head, other, place)
    assert torch.equal(moved[:place], torch.zeros(place))
    assert moved[place] > 0
    for config in BROKEN[:2]:
        if place:
            assert leak.head_leak(config, head, other, place)[:place].max() > 0


def test_exchange_always_changes_the_token() -> None:
    assert leak.exchange((1, 2, 3), 1, 9) == (1, 9, 3)
    assert leak.exchange((1, 2, 3), 1, 2) == (1, 1, 3)
    assert leak.exchange((0,), 0, 0) == (1,)


def test_fill_report_by_hand() -> None:
    scores = torch.zeros(2, 2)
    right, small = leak.fill_report(scores, -math.inf), leak.fill_report(scores, -1.0)
    assert right.leak == 0.0
    assert math.isnan(right.blocked)
    assert small.leak == pytest.approx(math.exp(-1) / (1 + math.exp(-1)))
    assert small.half == pytest.approx(small.leak, abs=1e-3)
    assert small.blocked == 0.5
    far = leak.fill_report(scores - 200, -100.0)
    assert far.leak == pytest.approx(1.0)
    large = leak.fill_report(scores, -1e9)
    assert large.leak == 0.0
    assert large.half is None
    assert "overflow" in large.refusal
