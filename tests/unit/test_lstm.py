"""The LSTM against nn.LSTM forward and gradient; forced gates and both gradient roads against hand-worked cases."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.lstm import (
    Force,
    LSTMWeights,
    cell_jacobian,
    gradient_lstm,
    random_lstm,
    sensitivity_lstm,
    trace_lstm,
    unit_road,
)

shapes = st.tuples(st.integers(1, 25), st.integers(1, 10), st.integers(1, 5), st.integers(0, 9999))
few = settings(max_examples=20, deadline=None)


def case(shape) -> tuple[torch.Tensor, LSTMWeights]:
    n_step, n_hidden, n_feature, seed = shape
    x = torch.randn(n_step, n_feature, generator=torch.Generator().manual_seed(seed))
    return x, random_lstm(n_hidden, n_feature, seed)


def as_torch(weights: LSTMWeights) -> nn.LSTM:
    net = nn.LSTM(weights.w_xh.shape[1], weights.n_hidden, batch_first=True)
    with torch.no_grad():
        net.weight_ih_l0.copy_(weights.w_xh)
        net.weight_hh_l0.copy_(weights.w_hh)
        net.bias_ih_l0.copy_(weights.b)
        net.bias_hh_l0.zero_()
    return net


@few
@given(shapes)
def test_equals_torch_forward(shape):
    x, weights = case(shape)
    trace = trace_lstm(x, weights)
    hidden, (_, cell) = as_torch(weights)(x[None])
    torch.testing.assert_close(trace.hidden, hidden[0].detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(trace.cell[-1], cell[0, 0].detach(), rtol=1e-4, atol=1e-6)


@few
@given(shapes)
def test_equals_torch_gradient_of_the_first_state(shape):
    """One more step in front makes the first state a leaf of nn.LSTM, whose gradient is then ours at that step."""
    x, weights = case(shape)
    first = trace_lstm(x[:1], weights)
    state = [part[-1:].clone()[None].requires_grad_() for part in (first.hidden, first.cell)]
    rest = torch.cat([x[1:], torch.zeros(1, x.shape[1])])[None]
    _, (last, _) = as_torch(weights)(rest, tuple(state))
    grads = torch.autograd.grad((last**2).sum(), state)
    ours = gradient_lstm(torch.cat([x, torch.zeros(1, x.shape[1])]), weights, loss=lambda last: (last**2).sum())
    # nn.LSTM counts ∂L/∂c_1 with h_1 held fixed; ours also follows c_1 into h_1 = o_1 tanh(c_1).
    through = grads[1] + grads[0] * first.output[0] * (1 - torch.tanh(first.cell[0]) ** 2)
    assert float(ours.to_hidden[0]) == pytest.approx(float(grads[0].norm()), rel=1e-3, abs=1e-7)
    assert float(ours.to_cell[0]) == pytest.approx(float(through.norm()), rel=1e-3, abs=1e-7)


@few
@given(shapes)
def test_the_formulas_hold_between_the_stages(shape):
    x, weights = case(shape)
    trace = trace_lstm(x, weights)
    for step in range(len(x)):
        hidden, cell = trace.before(step)
        w_xh, w_hh, b = weights.block("forget")
        torch.testing.assert_close(trace.forget[step], torch.sigmoid(w_hh @ hidden + w_xh @ x[step] + b))
        kept = trace.forget[step] * cell + trace.input[step] * trace.candidate[step]
        torch.testing.assert_close(trace.cell[step], kept)
        torch.testing.assert_close(trace.hidden[step], trace.output[step] * torch.tanh(trace.cell[step]))


def test_open_forget_and_closed_input_keep_the_cell_for_ever():
    x, weights = case((30, 6, 3, 1))
    start = (torch.zeros(6), torch.linspace(-2, 2, 6))
    kept = trace_lstm(x, weights, [Force("forget", 1.0), Force("input", 0.0)], start)
    assert torch.equal(kept.cell, start[1].expand(30, 6))
    assert torch.equal(kept.highway, torch.ones(30, 6))


def test_a_closed_forget_gate_loses_the_past_at_once():
    x, weights = case((10, 6, 3, 2))
    trace = trace_lstm(x, weights, [Force("forget", 0.0)])
    torch.testing.assert_close(trace.cell, trace.input * trace.candidate)
    assert float(trace.highway[:-1].abs().max()) == 0


def test_forcing_some_units_leaves_the_others_to_their_gate():
    x, weights = case((8, 5, 3, 3))
    trace = trace_lstm(x, weights, [Force("output", 0.0, (1, 3))])
    assert float(trace.hidden[:, [1, 3]].abs().max()) == 0
    assert float(trace.hidden[:, [0, 2, 4]].abs().min()) > 0


def test_highway_is_the_product_of_the_later_forget_gates():
    x, weights = case((6, 4, 2, 4))
    trace = trace_lstm(x, weights)
    torch.testing.assert_close(trace.highway[2], trace.forget[3] * trace.forget[4] * trace.forget[5])
    assert torch.equal(trace.highway[-1], torch.ones(4))


def test_without_the_hidden_road_the_full_jacobian_is_the_highway():
    """With W_hh = 0 the gates do not see h, so ∂c_T/∂c_t is the diagonal of ∏ f and nothing else."""
    x, weights = case((12, 5, 3, 5))
    alone = LSTMWeights(weights.w_xh, torch.zeros_like(weights.w_hh), weights.b)
    jacobian = cell_jacobian(x, alone)
    highway = trace_lstm(x, alone).highway
    torch.testing.assert_close(jacobian.own, highway)
    torch.testing.assert_close(jacobian.full, highway.double().amax(-1))


def test_jacobian_against_finite_differences():
    x, weights = case((5, 3, 2, 6))
    double = LSTMWeights(weights.w_xh.double(), weights.w_hh.double(), weights.b.double())
    first = trace_lstm(x[:1].double(), double)

    def last_cell(cell: torch.Tensor) -> torch.Tensor:
        hidden = first.output[0] * torch.tanh(cell)
        return trace_lstm(x[1:].double(), double, start=(hidden, cell)).cell[-1]

    columns = [
        (last_cell(first.cell[0] + d) - last_cell(first.cell[0] - d)) / 2e-6 for d in torch.eye(3).double() * 1e-6
    ]
    expected = torch.stack(columns, dim=1)
    jacobian = cell_jacobian(x, weights)
    torch.testing.assert_close(jacobian.own[0].double(), expected.diagonal(), rtol=1e-3, atol=1e-5)
    assert float(jacobian.full[0]) == pytest.approx(float(torch.linalg.matrix_norm(expected, 2)), rel=1e-3)


def test_one_units_road_is_the_diagonal_of_the_jacobian():
    x, weights = case((9, 4, 3, 6))
    forces = [Force("output", 1.0, (2,))]
    for unit in range(4):
        torch.testing.assert_close(unit_road(x, weights, unit, forces), cell_jacobian(x, weights, forces).own[:, unit])


def test_sensitivity_ends_with_the_last_input_alone():
    x, weights = case((7, 4, 3, 7))
    felt = sensitivity_lstm(x, weights)
    assert felt.input_norm.shape == (7,)
    closed = LSTMWeights(torch.zeros_like(weights.w_xh), weights.w_hh, weights.b)
    assert float(sensitivity_lstm(x, closed).input_norm.max()) == 0


@pytest.mark.parametrize("bad", [("memory", 0.0), ("forget", 1.5), ("input", -0.1)])
def test_bad_forces_are_refused(bad):
    with pytest.raises(ValueError, match=r"gate"):
        Force(*bad)


def test_a_unit_that_does_not_exist_is_refused():
    x, weights = case((3, 4, 2, 8))
    with pytest.raises(ValueError, match="0 to 3"):
        trace_lstm(x, weights, [Force("forget", 0.0, (4,))])
    with pytest.raises(ValueError, match="at least one step"):
        trace_lstm(x[:0], weights)
