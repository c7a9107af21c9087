"""Attention against PyTorch's own, forward and gradient, and by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from models.attention import attend, entropy
from models.dot_product import WidthConfig, softmax_gradient, widths
from models.multihead import MultiHeadWeights, divisors, join_heads, multi_head, random_weights, split_heads
from models.one_head import AttentionConfig, attend_with, fresh_head, strongest_link

sizes = st.integers(1, 9)


def qkv(seed, n, m, d_k, d_v, head=2):
    g = torch.Generator().manual_seed(seed)
    shape = lambda rows, width: torch.randn(head, rows, width, generator=g, requires_grad=True)  # noqa: E731
    return shape(n, d_k), shape(m, d_k), shape(m, d_v)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), sizes, sizes, sizes, sizes, st.sampled_from(["none", "causal", "random"]), st.booleans())
def test_equals_pytorch_forward_and_gradient(seed, n, m, d_k, d_v, mask, scaling):
    q, k, v = qkv(seed, n, m, d_k, d_v)
    allowed = {
        "none": None,
        "causal": torch.ones(n, m, dtype=torch.bool).tril(),
        "random": torch.rand(n, m, generator=torch.Generator().manual_seed(seed)) > 0.4,
    }[mask]
    scale = None if scaling else 1.0
    ours = attend(q, k, v, allowed, scale=scale).output
    theirs = F.scaled_dot_product_attention(q, k, v, allowed, scale=scale)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    if allowed is None or bool(allowed.any(-1).all()):
        cotangent = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1))
        for a, b in zip(
            torch.autograd.grad(ours, (q, k, v), cotangent),
            torch.autograd.grad(theirs, (q, k, v), cotangent),
            strict=True,
        ):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_by_hand():
    """q = [0, √2] and identity keys: √d_k cancels, so the weights are [1, e] / (1 + e)."""
    trace = attend(torch.tensor([[0.0, math.sqrt(2)]]), torch.eye(2), torch.tensor([[1.0], [0.0]]))
    expected = torch.tensor([[1.0, math.e]]) / (1 + math.e)
    torch.testing.assert_close(trace.weights, expected)
    torch.testing.assert_close(trace.output, expected[:, :1])
    torch.testing.assert_close(trace.scaled, torch.tensor([[0.0, 1.0]]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), sizes, st.floats(0.1, 10), st.sampled_from(["soft", "hard"]))
def test_laws(seed, n, temperature, rule):
    q, k, v = qkv(seed, n, n, 4, 4)
    allowed = torch.ones(n, n, dtype=torch.bool).tril()
    trace = attend(q, k, v, allowed, temperature=temperature, rule=rule)
    torch.testing.assert_close(trace.weights.sum(-1), torch.ones(2, n))
    assert (trace.weights[:, ~allowed] == 0).all()
    assert (entropy(trace.weights) <= math.log(n) + 1e-5).all()
    if rule == "hard":
        assert set(trace.weights.unique().tolist()) <= {0.0, 1.0}


def test_mistakes_are_as_described():
    q, k, v = qkv(0, 4, 4, 4, 4)
    allowed = torch.ones(4, 4, dtype=torch.bool).tril()
    after = attend(q, k, v, allowed, mask_place="after").weights
    assert (after[:, ~allowed] == 0).all()
    assert (after.sum(-1)[:, 0] < 1).all(), "masking after the softmax loses weight"
    leak = attend(q, k, v, allowed, fill=-1.0).weights
    assert (leak[:, ~allowed] > 0).all(), "a small negative number lets the future through"


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_refuses_a_temperature_that_means_nothing(temperature):
    with pytest.raises(ValueError, match="temperature"):
        attend(*qkv(0, 2, 2, 2, 2), temperature=temperature)


def test_refuses_unequal_widths():
    with pytest.raises(ValueError, match="d_k"):
        attend(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2, 4))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 999), st.integers(1, 8), st.sampled_from([(8, 1), (8, 2), (8, 8), (12, 3), (30, 5)]), st.booleans()
)
def test_multi_head_equals_pytorch(seed, n, shape, causal):
    d_model, n_head = shape
    weights = random_weights(d_model, n_head, seed)
    g = torch.Generator().manual_seed(seed + 1)
    bias = MultiHeadWeights(
        weights.w_qkv, torch.randn(3 * d_model, generator=g), weights.w_out, torch.randn(d_model, generator=g), n_head
    )
    theirs = torch.nn.MultiheadAttention(d_model, n_head, batch_first=True)
    theirs.load_state_dict({"in_proj_weight": bias.w_qkv, "in_proj_bias": bias.b_qkv,
                            "out_proj.weight": bias.w_out, "out_proj.bias": bias.b_out})  # fmt: skip
    x = torch.randn(n, d_model, generator=g, requires_grad=True)
    allowed = torch.ones(n, n, dtype=torch.bool).tril() if causal else None
    ours = multi_head(x, bias, allowed)
    output, attention = theirs(
        x[None], x[None], x[None], attn_mask=None if allowed is None else ~allowed, average_attn_weights=False
    )
    torch.testing.assert_close(ours.output, output[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.attention.weights, attention[0], atol=1e-5, rtol=1e-4)
    (mine,) = torch.autograd.grad(ours.output.square().sum(), x)
    (other,) = torch.autograd.grad(output.square().sum(), x)
    torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-3)


@given(st.integers(1, 48), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_split_then_join_is_the_identity(d_model, n):
    x = torch.arange(n * d_model, dtype=torch.float32).reshape(n, d_model)
    for n_head in divisors(d_model):
        assert torch.equal(join_heads(split_heads(x, n_head)), x)
    if d_model > 1:
        with pytest.raises(ValueError, match="do not divide"):
            split_heads(x, d_model + 1)


def test_a_head_that_is_off_adds_nothing():
    weights, x = random_weights(12, 3, 0), torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    parts = [multi_head(x, weights, heads_off=[h for h in range(3) if h != keep]).output for keep in range(3)]
    torch.testing.assert_close(sum(parts), multi_head(x, weights).output, atol=1e-5, rtol=1e-4)
    assert torch.equal(multi_head(x, weights, heads_off=[0, 1, 2]).output, weights.b_out.expand(5, 12))


def test_attending_again_with_the_plain_config_changes_nothing():
    head = fresh_head((5, 7, 5, 9), d_k=8, seed=2)
    again = attend_with(AttentionConfig(), head)
    assert torch.equal(again.weights, head.weights)
    assert torch.equal(head.q[0], head.q[2]), "equal ids have equal queries"


def test_strongest_link_skips_specials_and_selves():
    weights = torch.tensor([[0.9, 0.1, 0.0], [0.8, 0.1, 0.1], [0.2, 0.3, 0.5]])
    assert strongest_link(weights, (True, False, False)) == (2, 1)
    assert strongest_link(weights[:1, :1], (False,)) == (0, 0)


def test_variance_grows_as_the_width_and_scaling_stops_it():
    config = WidthConfig(n_query=600)
    raw, scaled = widths(config, False), widths(config, True)
    for d_k, variance, one in zip(config.widths, raw.variance, scaled.variance, strict=True):
        assert variance == pytest.approx(d_k, rel=0.25)
        assert one == pytest.approx(1.0, rel=0.25)
    assert raw.entropy[-1] < 0.5 < scaled.entropy[-1]
    assert raw.gradient[-1] < scaled.gradient[-1] / 2


def test_softmax_gradient_is_the_norm_of_its_jacobian():
    scores = torch.randn(6, generator=torch.Generator().manual_seed(0))
    jacobian = torch.autograd.functional.jacobian(lambda s: s.softmax(-1), scores)
    torch.testing.assert_close(softmax_gradient(scores.softmax(-1)), jacobian.norm())
