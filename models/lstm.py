"""The long short-term memory cell with every gate named, gates that can be forced, and the two gradient roads.

Hochreiter and Schmidhuber 1997; forget gate by Gers, Schmidhuber and Cummins 2000:

    f_t, i_t, o_t = σ(W·[h_{t−1}, x_t] + b)        c̃_t = tanh(W_c·[h_{t−1}, x_t] + b_c)
    c_t = f_t ⊙ c_{t−1} + i_t ⊙ c̃_t              h_t = o_t ⊙ tanh(c_t)

Along the cell alone ∂c_T/∂c_t = ∏ f (the highway). The full ∂c_T/∂c_t also goes through h and the gates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from models.recurrent import Loss, Sensitivity, backward_norms, copies, last_readout, sensitivity

Gate = Literal["forget", "input", "output"]
BLOCKS = ("input", "forget", "candidate", "output")  # the order of the rows in nn.LSTM's weights


@dataclass(frozen=True)
class Force:
    """A gate held at a constant, for every unit or for some; a break-it switch."""

    gate: Gate
    value: float
    units: tuple[int, ...] | None = None  # None: all

    def __post_init__(self) -> None:
        if self.gate not in ("forget", "input", "output"):
            raise ValueError(f"no gate is called {self.gate!r}")
        if not 0 <= self.value <= 1:
            raise ValueError(f"a gate is between 0 and 1, not {self.value}")


@dataclass(frozen=True)
class LSTMWeights:
    """One layer; rows in nn.LSTM's order input, forget, candidate, output; ``b`` is the sum of its two biases."""

    w_xh: Tensor  # [4·hidden, feature]
    w_hh: Tensor  # [4·hidden, hidden]
    b: Tensor  # [4·hidden]

    @property
    def n_hidden(self) -> int:
        return self.w_hh.shape[1]

    def block(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """(w_xh [hidden, feature], w_hh [hidden, hidden], b [hidden]) of one gate or the candidate."""
        start = BLOCKS.index(name) * self.n_hidden
        rows = slice(start, start + self.n_hidden)
        return self.w_xh[rows], self.w_hh[rows], self.b[rows]


@dataclass(frozen=True)
class LSTMTrace:
    """Every stage of every step, each [step, hidden]; steps are 0-based."""

    x: Tensor  # [step, feature]
    preactivation: Tensor  # [step, 4·hidden]  W·[h, x] + b in the order of ``BLOCKS``
    forget: Tensor  # f_t, after any force
    input: Tensor  # i_t, after any force
    output: Tensor  # o_t, after any force
    candidate: Tensor  # c̃_t
    cell: Tensor  # c_t
    hidden: Tensor  # h_t
    cell0: Tensor  # [hidden]  c_0
    hidden0: Tensor  # [hidden]  h_0

    def before(self, step: int) -> tuple[Tensor, Tensor]:
        """(h_{t−1}, c_{t−1}), each [hidden]: what the step starts from."""
        return (self.hidden0, self.cell0) if step == 0 else (self.hidden[step - 1], self.cell[step - 1])

    @cached_property
    def highway(self) -> Tensor:
        """[step, hidden]  ∂c_T/∂c_t along the cell alone: the product of all later forget gates; 1 at the last."""
        later = torch.cat([self.forget[1:], torch.ones_like(self.forget[:1])])
        return later.flip(0).cumprod(0).flip(0)


@dataclass(frozen=True)
class LSTMGradient:
    """Real autograd from a loss on the last hidden state."""

    loss: float
    to_hidden: Tensor  # [step] float64  ‖∂L/∂h_t‖
    to_cell: Tensor  # [step] float64  ‖∂L/∂c_t‖, every road counted


@dataclass(frozen=True)
class CellJacobian:
    """∂c_T/∂c_t of every step, every road counted (cell, and hidden through the gates)."""

    own: Tensor  # [step, hidden]  its diagonal: each unit's c_T by its own c_t
    full: Tensor | None = None  # [step] float64, spectral norm of the whole Jacobian


def random_lstm(n_hidden: int, n_feature: int, seed: int, forget_bias: float = 1.0) -> LSTMWeights:
    """Seeded weights, uniform within ±1/√hidden as nn.LSTM draws them; biases 0 but for the forget gate's."""
    generator = torch.Generator().manual_seed(seed)
    reach = n_hidden**-0.5

    def draw(columns: int) -> Tensor:
        return (torch.rand(4 * n_hidden, columns, generator=generator) * 2 - 1) * reach

    b = torch.zeros(4 * n_hidden)
    b[n_hidden : 2 * n_hidden] = forget_bias
    return LSTMWeights(draw(n_feature), draw(n_hidden), b)


def trace_lstm(
    x: Tensor,
    weights: LSTMWeights,
    forces: Sequence[Force] = (),
    start: tuple[Tensor, Tensor] | None = None,
) -> LSTMTrace:
    """The layer over x [step, feature] from ``start`` = (h_0, c_0) [hidden] (zeros), all stages kept.

    Raises:
        ValueError: if x has no step, or a forced unit does not exist.
    """
    with torch.no_grad():
        return _unroll(x, weights, forces, start)[0]


def gradient_lstm(
    x: Tensor, weights: LSTMWeights, loss: Loss | None = None, forces: Sequence[Force] = ()
) -> LSTMGradient:
    """‖∂L/∂h_t‖ and ‖∂L/∂c_t‖ for every step; the loss reads h_T, by default as ``trace_rnn`` does."""
    return forth_and_back_lstm(x, weights, loss, forces)[1]


def forth_and_back_lstm(
    x: Tensor, weights: LSTMWeights, loss: Loss | None = None, forces: Sequence[Force] = ()
) -> tuple[LSTMTrace, LSTMGradient]:
    """What ``trace_lstm`` and ``gradient_lstm`` give, from one pass forward."""
    with torch.enable_grad():
        trace, cells, hiddens = _unroll(x.detach().clone().requires_grad_(), weights, forces, None)
        value = (loss or last_readout(weights.n_hidden, 0))(hiddens[-1])
        grads = torch.autograd.grad(value, [*hiddens, *cells], materialize_grads=True)
    norms = [backward_norms(torch.stack(part)) for part in (grads[: len(x)], grads[len(x) :])]
    return trace, LSTMGradient(float(value.detach()), norms[0], norms[1])


def sensitivity_lstm(x: Tensor, weights: LSTMWeights, spectral: bool = True) -> Sensitivity:
    """∂h_T/∂c_t (the state that carries the memory) and ∂h_T/∂x_t of every step."""
    with torch.enable_grad():
        leaf = copies(x, weights.n_hidden)
        _, cells, hiddens = _unroll(leaf, weights, (), None)
        return sensitivity(hiddens[-1], cells, leaf, spectral)


def cell_jacobian(x: Tensor, weights: LSTMWeights, forces: Sequence[Force] = (), spectral: bool = True) -> CellJacobian:
    """∂c_T/∂c_t of every step by real autograd; ``spectral`` False leaves the norm of the whole out."""
    with torch.enable_grad():
        _, cells, _ = _unroll(copies(x, weights.n_hidden), weights, forces, None)
        grads = torch.autograd.grad(cells[-1].diagonal().sum(), cells, materialize_grads=True)
    jacobian = torch.stack(grads)  # [step, unit of c_T, unit of c_t]
    full = torch.linalg.matrix_norm(jacobian.double(), 2) if spectral else None
    return CellJacobian(jacobian.diagonal(dim1=1, dim2=2), full)


def unit_road(x: Tensor, weights: LSTMWeights, unit: int, forces: Sequence[Force] = ()) -> Tensor:
    """∂c_T/∂c_t of one unit by its own earlier cell, every road counted -> [step]; one backward pass."""
    with torch.enable_grad():
        _, cells, _ = _unroll(x.detach().clone().requires_grad_(), weights, forces, None)
        grads = torch.autograd.grad(cells[-1][unit], cells, materialize_grads=True)
    return torch.stack(grads)[:, unit]


def _unroll(
    x: Tensor, weights: LSTMWeights, forces: Sequence[Force], start: tuple[Tensor, Tensor] | None
) -> tuple[LSTMTrace, list[Tensor], list[Tensor]]:
    """The trace of x [step, ..., feature] (detached), and the lists of c_t and h_t [..., hidden] still in the graph."""
    if len(x) == 0:
        raise ValueError("the sequence must have at least one step")
    n = weights.n_hidden
    masks = [(force.gate, _unit_mask(force, n), force.value) for force in forces]
    zeros = x.new_zeros(*x.shape[1:-1], n)
    hidden0, cell0 = start or (zeros, zeros)
    hidden, cell = hidden0, cell0
    steps: list[tuple[Tensor, ...]] = []
    for from_input in F.linear(x, weights.w_xh, weights.b):
        a = F.linear(hidden, weights.w_hh) + from_input
        part = dict(zip(BLOCKS, a.chunk(4, dim=-1), strict=True))
        gates = {name: torch.sigmoid(part[name]) for name in ("forget", "input", "output")}
        for gate, mask, value in masks:
            gates[gate] = gates[gate].masked_fill(mask, value)
        candidate = torch.tanh(part["candidate"])
        cell = gates["forget"] * cell + gates["input"] * candidate
        hidden = gates["output"] * torch.tanh(cell)
        steps.append((a, gates["forget"], gates["input"], gates["output"], candidate, cell, hidden))
    a, f, i, o, candidate, cells, hiddens = (torch.stack(stage).detach() for stage in zip(*steps, strict=True))
    trace = LSTMTrace(x.detach(), a, f, i, o, candidate, cells, hiddens, cell0, hidden0)
    return trace, [step[5] for step in steps], [step[6] for step in steps]


def _unit_mask(force: Force, n_hidden: int) -> Tensor:
    """bool [hidden], True where the gate is held."""
    if force.units is None:
        return torch.ones(n_hidden, dtype=torch.bool)
    if any(not 0 <= unit < n_hidden for unit in force.units):
        raise ValueError(f"units are 0 to {n_hidden - 1}, not {force.units}")
    mask = torch.zeros(n_hidden, dtype=torch.bool)
    mask[list(force.units)] = True
    return mask
