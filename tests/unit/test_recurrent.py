"""The recurrence against nn.RNN, its gradient against the bound, and clipping against PyTorch's own."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.recurrent import (
    RNNConfig,
    RNNWeights,
    backward_norms,
    clip_gradients,
    random_inputs,
    random_rnn,
    sensitivity_rnn,
    trace_rnn,
)

configs = st.builds(
    RNNConfig,
    n_step=st.integers(1, 40),
    n_hidden=st.integers(1, 12),
    n_feature=st.integers(1, 5),
    singular=st.floats(0.1, 1.6),
    spectrum=st.sampled_from(["all", "largest"]),
    activation=st.sampled_from(["tanh", "relu", "identity"]),
    seed=st.integers(0, 10_000),
)
few = settings(max_examples=25, deadline=None)


def inputs(config: RNNConfig) -> torch.Tensor:
    return random_inputs(config.n_step, config.n_feature, config.seed + 1, scale=0.5)


def as_torch(weights: RNNWeights) -> nn.RNN:
    net = nn.RNN(weights.w_xh.shape[1], weights.n_hidden, nonlinearity=weights.activation, batch_first=True)
    with torch.no_grad():
        for name, value in (("weight_ih_l0", weights.w_xh), ("weight_hh_l0", weights.w_hh)):
            getattr(net, name).copy_(value)
        net.bias_ih_l0.copy_(weights.b_h)
        net.bias_hh_l0.zero_()
    return net


@few
@given(configs.filter(lambda config: config.activation != "identity"))
def test_equals_torch_forward_and_gradient(config):
    weights, x = random_rnn(config), inputs(config)
    trace = trace_rnn(x, weights, loss=lambda last: (last**2).sum())
    net = as_torch(weights)
    hidden, last = net(x[None])
    (last**2).sum().backward()
    scale = max(1.0, float(trace.gradient.abs().max()))
    torch.testing.assert_close(trace.hidden, hidden[0].detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(trace.parameter_gradients["w_hh"], net.weight_hh_l0.grad, rtol=1e-3, atol=1e-4 * scale)
    torch.testing.assert_close(trace.parameter_gradients["w_xh"], net.weight_ih_l0.grad, rtol=1e-3, atol=1e-4 * scale)
    torch.testing.assert_close(trace.parameter_gradients["b_h"], net.bias_hh_l0.grad, rtol=1e-3, atol=1e-4 * scale)


@few
@given(configs)
def test_gradient_never_exceeds_the_bound(config):
    trace = trace_rnn(inputs(config), random_rnn(config))
    assert bool((trace.gradient_norm.log10() <= trace.log10_bound + 1e-4).all())


@few
@given(configs)
def test_the_largest_singular_value_is_the_one_asked_for(config):
    values = torch.linalg.svdvals(random_rnn(config).w_hh.double())
    assert float(values[0]) == pytest.approx(config.singular, rel=1e-5)
    if config.spectrum == "all":
        assert float(values[-1]) == pytest.approx(config.singular, rel=1e-5)


@few
@given(configs)
def test_jacobians_bound_the_gradient_and_give_the_input_its_share(config):
    weights, x = random_rnn(config), inputs(config)
    felt = sensitivity_rnn(x, weights)
    trace = trace_rnn(x, weights)
    assert float(felt.jacobian_norm[-1]) == pytest.approx(1.0, rel=1e-6)
    assert bool((trace.gradient_norm <= felt.jacobian_norm * (1 + 1e-4) + 1e-12).all())
    steps = torch.arange(config.n_step - 1, -1, -1, dtype=torch.float64)
    assert bool((felt.jacobian_norm <= weights.singular**steps * (1 + 1e-4)).all())
    exact = torch.autograd.functional.jacobian(lambda leaf: trace_free(leaf, weights), x)
    torch.testing.assert_close(
        felt.input_norm, exact.double().transpose(0, 1).flatten(1).norm(dim=-1), rtol=1e-3, atol=1e-6
    )


def trace_free(x: torch.Tensor, weights: RNNWeights) -> torch.Tensor:
    """h_T written out again, in one line a step."""
    act = {"tanh": torch.tanh, "relu": torch.relu, "identity": lambda a: a}[weights.activation]
    hidden = torch.zeros(weights.n_hidden)
    for step in x:
        hidden = act(weights.w_hh @ hidden + weights.w_xh @ step + weights.b_h)
    return hidden


def test_one_linear_unit_by_hand():
    weights = RNNWeights(torch.tensor([[1.0]]), torch.tensor([[0.5]]), torch.tensor([0.0]), "identity")
    trace = trace_rnn(torch.tensor([[8.0], [0.0], [0.0], [0.0]]), weights, loss=lambda last: last.sum())
    assert trace.hidden.flatten().tolist() == [8.0, 4.0, 2.0, 1.0]
    assert trace.gradient.flatten().tolist() == [0.125, 0.25, 0.5, 1.0]
    assert trace.parameter_gradients["w_hh"].item() == 0.5**2 * 8 * 3  # three steps, 2 twice halved each
    assert trace.parameter_gradients["w_xh"].item() == 0.125 * 8
    torch.testing.assert_close(10**trace.log10_bound, trace.gradient_norm)


def test_a_linear_orthogonal_recurrence_meets_the_bound_exactly():
    config = RNNConfig(n_step=200, singular=1.05, activation="identity")
    trace = trace_rnn(inputs(config), random_rnn(config))
    torch.testing.assert_close(trace.gradient_norm.log10(), trace.log10_bound, rtol=0, atol=1e-3)
    assert trace.gradient_overflow is None


def test_overflow_is_kept_and_said():
    config = RNNConfig(n_step=200, singular=4.0, activation="identity")
    trace = trace_rnn(inputs(config), random_rnn(config))
    over = trace.gradient_overflow
    assert over is not None
    assert bool(trace.gradient_norm[: over + 1].isinf().all())
    assert bool(trace.gradient_norm[over + 1 :].isfinite().all())
    reached = float(trace.log10_bound[over])
    assert reached == pytest.approx(math.log10(torch.finfo(torch.float32).max), abs=1.5)
    assert float(trace.log10_bound[0]) == pytest.approx(199 * math.log10(4.0), abs=1e-3)
    assert trace.forward_overflow is not None
    assert clip_gradients(trace.parameter_gradients, 1.0).coefficient in (0.0, pytest.approx(math.nan, nan_ok=True))
    assert bool(sensitivity_rnn(inputs(config), random_rnn(config)).jacobian_norm[0].isinf())


def test_norms_behind_an_overflow_are_inf_and_not_nan():
    gradient = torch.tensor([[math.nan, 0.0], [math.inf, -math.inf], [1e30, 1e30], [3.0, 4.0]])
    norms = backward_norms(gradient)
    assert norms[:2].tolist() == [math.inf, math.inf]
    assert norms[2:].tolist() == pytest.approx([1e30 * math.sqrt(2), 5.0])


def test_underflow_is_exactly_zero_and_said():
    config = RNNConfig(n_step=200, singular=0.3, activation="identity")
    trace = trace_rnn(inputs(config), random_rnn(config))
    assert trace.gradient_underflow is not None
    assert float(trace.gradient_norm[0]) == 0
    assert float(trace.log10_bound[0]) == pytest.approx(199 * math.log10(0.3), abs=1e-3)


@few
@given(configs, st.floats(1e-3, 10))
def test_clipping_equals_torch(config, max_norm):
    trace = trace_rnn(inputs(config), random_rnn(config))
    clip = clip_gradients(trace.parameter_gradients, max_norm)
    parameters = [nn.Parameter(torch.zeros_like(g)) for g in trace.parameter_gradients.values()]
    for parameter, gradient in zip(parameters, trace.parameter_gradients.values(), strict=True):
        parameter.grad = gradient.clone()
    total = nn.utils.clip_grad_norm_(parameters, max_norm)
    assert clip.total_norm == pytest.approx(float(total), rel=1e-6)
    for parameter, gradient in zip(parameters, clip.after.values(), strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-6, atol=0)


def test_seed_gives_the_same_weights_and_another_seed_others():
    a, b, c = (random_rnn(RNNConfig(seed=seed)) for seed in (3, 3, 4))
    assert torch.equal(a.w_hh, b.w_hh)
    assert not torch.equal(a.w_hh, c.w_hh)


@pytest.mark.parametrize(
    "bad",
    [{"n_step": 0}, {"n_step": 201}, {"n_hidden": 0}, {"singular": -1.0}, {"singular": math.nan}, {"activation": "x"}],
)
def test_bad_configs_are_refused(bad):
    with pytest.raises(ValueError, match=r"."):
        RNNConfig(**bad)


def test_no_steps_and_no_threshold_are_refused():
    with pytest.raises(ValueError, match="at least one step"):
        trace_rnn(torch.zeros(0, 16), random_rnn(RNNConfig()))
    with pytest.raises(ValueError, match="positive"):
        clip_gradients({"w": torch.ones(1)}, 0.0)
