"""The small GPT: the traced walk equals the plain forward, gradients included; cached decoding equals both."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from models.trace import Encoding
from models.transformer import GPT, GPTConfig, init_weights, layer_weights, step, trace_gpt


@st.composite
def models(draw: st.DrawFn) -> tuple[GPT, Encoding]:
    n_head = draw(st.sampled_from([1, 2, 4]))
    config = GPTConfig(
        n_vocab=draw(st.integers(5, 40)),
        n_context=draw(st.integers(3, 12)),
        n_layer=draw(st.integers(1, 3)),
        n_head=n_head,
        d_model=n_head * draw(st.sampled_from([2, 4, 6])),
        d_ff=draw(st.integers(1, 20)),
    )
    model = GPT(config).double()
    seed = draw(st.integers(0, 99))
    init_weights(model, seed)
    with torch.no_grad():
        for parameter in model.parameters():  # larger than at birth, so that no stage is nearly zero
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
            parameter.add_(noise * 0.3)
    length = draw(st.integers(1, config.n_context))
    ids = tuple(draw(st.lists(st.integers(0, config.n_vocab - 1), min_size=length, max_size=length)))
    return model, Encoding(ids, tuple(map(str, ids)))


@given(models())
@settings(max_examples=25, deadline=None)
def test_trace_equals_forward_and_gradient(case: tuple[GPT, Encoding]) -> None:
    model, encoding = case
    ids = torch.tensor([encoding.ids])
    plain, traced = model(ids)[0], trace_gpt(model, encoding).logits
    assert traced is not None
    torch.testing.assert_close(traced, plain, rtol=1e-10, atol=1e-10)
    parameters = list(model.parameters())
    for one, other in zip(
        torch.autograd.grad(plain.log_softmax(-1).square().sum(), parameters),
        torch.autograd.grad(traced.log_softmax(-1).square().sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


@given(models(), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
@torch.no_grad()
def test_cached_decoding_equals_forward(case: tuple[GPT, Encoding], chunk: int) -> None:
    model, encoding = case
    ids = torch.tensor([encoding.ids])
    cache, parts = None, []
    for at in range(0, ids.shape[1], chunk):
        logits, cache = step(model, ids[:, at : at + chunk], cache)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), model(ids), rtol=1e-10, atol=1e-10)
    assert cache is not None
    assert cache[0][0].shape[2] == ids.shape[1]


@given(models())
@settings(max_examples=15, deadline=None)
@torch.no_grad()
def test_laws_of_the_trace(case: tuple[GPT, Encoding]) -> None:
    model, encoding = case
    trace = trace_gpt(model, encoding)
    assert trace.logits is not None
    assert len(trace.hidden) == model.config.n_layer + 1
    for index, layer in enumerate(trace.layers):
        weights = layer.attention.weights
        assert torch.allclose(weights.sum(-1), torch.ones_like(weights[..., 0]))
        assert (weights.triu(1) == 0).all()
        assert torch.equal(layer.residual_in, trace.hidden[index])
        assert torch.equal(layer.residual_mid, layer.residual_in + layer.attn_out)
        assert torch.equal(layer.residual_out, layer.residual_mid + layer.ffn_out)
    torch.testing.assert_close(model.read_out(trace.hidden[-1]), trace.logits)


@given(models(), st.data())
@settings(max_examples=15, deadline=None)
@torch.no_grad()
def test_a_head_switched_off_adds_zeros(case: tuple[GPT, Encoding], data: st.DataObject) -> None:
    """Off equals a model whose output projection has zeros in that head's columns."""
    model, encoding = case
    layer = data.draw(st.integers(0, model.config.n_layer - 1))
    head = data.draw(st.integers(0, model.config.n_head - 1))
    switched = trace_gpt(model, encoding, [(layer, head)]).logits
    d_head = model.config.d_model // model.config.n_head
    cut = GPT(model.config).double()
    cut.load_state_dict(model.state_dict())
    layer_weights(cut, layer).w_out[:, head * d_head : (head + 1) * d_head] = 0
    torch.testing.assert_close(switched, cut(torch.tensor([encoding.ids]))[0], rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_a_later_token_changes_nothing_earlier() -> None:
    model = GPT(GPTConfig(20, 8, 2, 2, 8, 16))
    init_weights(model, 0)
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    other = torch.tensor([[1, 2, 3, 9, 9]])
    assert torch.equal(model(ids)[:, :3], model(other)[:, :3])


def test_a_fresh_model_knows_nothing() -> None:
    model = GPT(GPTConfig())
    init_weights(model, 0)
    assert sum(p.numel() for p in model.parameters()) == 4_240_896
    ids = torch.randint(4096, (2, 64), generator=torch.Generator().manual_seed(0))
    loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(4096), abs=0.5)
    again = GPT(GPTConfig())
    init_weights(again, 0)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_what_does_not_fit_says_so() -> None:
    with pytest.raises(ValueError, match="do not divide"):
        GPTConfig(d_model=10, n_head=3)
    with pytest.raises(ValueError, match="at least 1"):
        GPTConfig(n_layer=0)
    with pytest.raises(ValueError, match="do not fit into a context of 4"):
        GPT(GPTConfig(8, 4, 1, 1, 4, 4))(torch.zeros(1, 5, dtype=torch.long))
