"""Heads as parts of a sum, against nn.MultiheadAttention and cases worked by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import head_effect
from models.head_effect import FreshLayer
from models.multihead import divisors, join_heads, multi_head, split_heads


@st.composite
def layers(draw: st.DrawFn) -> FreshLayer:
    d_model = draw(st.sampled_from([1, 6, 12, 16, 30]))
    n_head = draw(st.sampled_from(divisors(d_model)))
    ids = draw(st.lists(st.integers(0, 5), min_size=1, max_size=9))
    return FreshLayer(tuple(ids), d_model, n_head, draw(st.integers(0, 99)))


@given(layers(), st.booleans())
@settings(max_examples=25, deadline=None)
def test_output_and_weights_are_those_of_nn_multihead_attention(config: FreshLayer, causal: bool) -> None:
    x, weights = head_effect.fresh_layer(config)
    allowed = torch.ones(len(x), len(x), dtype=torch.bool).tril() if causal else None
    ours = multi_head(x, weights, allowed)
    output, attention = head_effect.by_pytorch(x, weights, allowed)
    torch.testing.assert_close(ours.output, output, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.attention.weights, attention, atol=1e-6, rtol=1e-5)


@given(layers())
@settings(max_examples=25, deadline=None)
def test_the_output_is_the_sum_of_its_heads(config: FreshLayer) -> None:
    x, weights = head_effect.fresh_layer(config)
    trace = multi_head(x, weights)
    parts = head_effect.contributions(trace, weights)
    torch.testing.assert_close(parts.sum(0) + weights.b_out, trace.output, atol=1e-5, rtol=1e-5)
    off = config.n_head - 1
    without = multi_head(x, weights, heads_off=[off]).output
    torch.testing.assert_close(trace.output - without, parts[off], atol=1e-5, rtol=1e-5)
    assert torch.equal(join_heads(split_heads(trace.joined, config.n_head)), trace.joined)


@given(layers(), st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_recut_keeps_every_projected_number(config: FreshLayer, pick: int) -> None:
    x, weights = head_effect.fresh_layer(config)
    options = divisors(config.d_model)
    other = head_effect.recut(weights, options[pick % len(options)])
    assert torch.equal(multi_head(x, weights).qkv, multi_head(x, other).qkv)
    assert torch.equal(head_effect.recut(other, config.n_head).w_qkv, weights.w_qkv)


def test_recut_refuses_what_does_not_divide() -> None:
    _, weights = head_effect.fresh_layer(FreshLayer((1, 2), 12, 3, 0))
    with pytest.raises(ValueError, match="5 heads do not divide d_model = 12"):
        head_effect.recut(weights, 5)


def test_overlap_by_hand() -> None:
    maps = torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]], [[0.25, 0.75], [1.0, 0.0]]])
    got = head_effect.overlap(maps)
    assert torch.equal(got.diagonal(), torch.ones(3))
    assert got[0, 1].item() == pytest.approx(0.5)  # the first row never meets, the second is the same
    assert got[0, 2].item() == pytest.approx((0.25 + 0.5) / 2)
    assert torch.equal(got, got.T)


def test_overlap_is_one_minus_total_variation() -> None:
    weights = torch.randn(4, 5, 7, generator=torch.Generator().manual_seed(0)).softmax(-1)
    variation = (weights[:, None] - weights[None]).abs().sum(-1).mean(-1) / 2
    torch.testing.assert_close(head_effect.overlap(weights), 1 - variation)


def test_changes_by_hand() -> None:
    before = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]])
    after = torch.tensor([[3.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    assert head_effect.relative_change(before, after).tolist() == pytest.approx([0.6, 0.0, 0.0])
    logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]])
    other = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    expected = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert head_effect.next_token_change(logits, other).tolist() == pytest.approx([0.0, expected], abs=1e-6)


def test_a_fresh_layer_is_its_seed() -> None:
    config = FreshLayer((4, 2, 4), 8, 2, 3)
    (x, one), (again, _) = head_effect.fresh_layer(config), head_effect.fresh_layer(config)
    assert torch.equal(x, again)
    assert torch.equal(x[0], x[2])
    other_cut = head_effect.fresh_layer(FreshLayer((4, 2, 4), 8, 4, 3))[1]
    assert torch.equal(one.w_qkv, other_cut.w_qkv)
    assert not torch.equal(x, head_effect.fresh_layer(FreshLayer((4, 2, 4), 8, 2, 4))[0])
