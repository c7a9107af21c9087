"""The plain recurrent network, and what backpropagation through time makes of its gradient.

Elman 1990; Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013, "On the difficulty of training
recurrent neural networks":

    a_t = W_hh h_{t-1} + W_xh x_t + b_h        h_t = φ(a_t)
    ∂L/∂h_t = J_{t+1}ᵀ ... J_Tᵀ ∂L/∂h_T        J_k = diag(φ'(a_k)) W_hh

With φ' ≤ 1 and σ the largest singular value of W_hh: ‖∂L/∂h_t‖ ≤ σ^(T−t) ‖∂L/∂h_T‖.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Activation = Literal["tanh", "relu", "identity"]
Spectrum = Literal["all", "largest"]
Loss = Callable[[Tensor], Tensor]  # the last state [hidden] -> a scalar

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda a: a.clone(),
}
MAX_STEP = 200


@dataclass(frozen=True)
class RNNConfig:
    """A seeded recurrence whose W_hh has a chosen largest singular value."""

    n_step: int = 60
    n_hidden: int = 32
    n_feature: int = 16
    singular: float = 0.9  # largest singular value of W_hh
    spectrum: Spectrum = "all"  # "all": every singular value is that large; "largest": a random matrix scaled to it
    activation: Activation = "tanh"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.n_step <= MAX_STEP:
            raise ValueError(f"n_step must be 1 to {MAX_STEP}, not {self.n_step}")
        if self.n_hidden < 1 or self.n_feature < 1:
            raise ValueError("n_hidden and n_feature must be at least 1")
        if not (math.isfinite(self.singular) and self.singular >= 0):
            raise ValueError(f"the singular value must be finite and not negative, not {self.singular}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {self.activation!r}")


@dataclass(frozen=True)
class RNNWeights:
    """The parameters of one layer; ``b_h`` is the sum of the two biases of ``nn.RNN``."""

    w_xh: Tensor  # [hidden, feature]
    w_hh: Tensor  # [hidden, hidden]
    b_h: Tensor  # [hidden]
    activation: Activation = "tanh"

    @property
    def n_hidden(self) -> int:
        return self.w_hh.shape[0]

    @property
    def singular(self) -> float:
        """The largest singular value of W_hh."""
        return float(torch.linalg.matrix_norm(self.w_hh.double(), 2))


@dataclass(frozen=True)
class RNNTrace:
    """One pass forward and one backward. Steps are 0-based here; the formula's t is the index plus 1."""

    x: Tensor  # [step, feature]
    preactivation: Tensor  # [step, hidden]  a_t
    hidden: Tensor  # [step, hidden]  h_t
    loss: float  # read from the last state alone
    gradient: Tensor  # [step, hidden]  ∂L/∂h_t, as autograd returned it (inf and nan kept)
    gradient_norm: Tensor  # [step] float64; inf from the step where float32 overflowed back to the first
    log10_bound: Tensor  # [step] float64  log10 of σ^(T−t) ‖∂L/∂h_T‖; a logarithm, so it never overflows
    singular: float
    parameter_gradients: Mapping[str, Tensor]  # w_xh, w_hh, b_h

    @property
    def forward_overflow(self) -> int | None:
        """The first step whose state is not finite, if any."""
        return _first(~self.hidden.isfinite().all(-1))

    @property
    def gradient_overflow(self) -> int | None:
        """The last step (the first met going backwards) whose gradient float32 could not hold, if any."""
        return _last(~self.gradient_norm.isfinite())

    @property
    def gradient_underflow(self) -> int | None:
        """The last step whose gradient is exactly zero: too small for float32, or every unit saturated."""
        return _last(self.gradient_norm == 0)


@dataclass(frozen=True)
class Sensitivity:
    """What the last state still feels of every step."""

    input_norm: Tensor  # [step] float64, Frobenius norm of ∂h_T/∂x_t
    jacobian_norm: Tensor | None = None  # [step] float64, spectral norm of ∂h_T/∂h_t, the product of the Jacobians


@dataclass(frozen=True)
class ClipTrace:
    """Gradient clipping by the total norm of all parameters, before and after."""

    total_norm: float
    coefficient: float  # what every gradient is multiplied by; at most 1
    before: Mapping[str, Tensor]
    after: Mapping[str, Tensor]


def random_rnn(config: RNNConfig) -> RNNWeights:
    """Seeded weights; W_hh is orthogonal times σ ("all") or Gaussian scaled to σ ("largest"); b_h is 0."""
    generator = torch.Generator().manual_seed(config.seed)
    gauss = torch.randn(config.n_hidden, config.n_hidden, generator=generator, dtype=torch.float64)
    if config.spectrum == "all":
        q, r = torch.linalg.qr(gauss)
        unit = q * torch.where(r.diagonal() < 0, -1.0, 1.0)  # signs fixed: the same matrix from every LAPACK
    else:
        unit = gauss / torch.linalg.matrix_norm(gauss, 2)
    w_xh = torch.randn(config.n_hidden, config.n_feature, generator=generator) * config.n_feature**-0.5
    return RNNWeights(w_xh, (unit * config.singular).float(), torch.zeros(config.n_hidden), config.activation)


def random_inputs(n_step: int, n_feature: int, seed: int, scale: float = 0.1) -> Tensor:
    """Seeded inputs x [step, feature] of standard deviation ``scale``; small ones leave tanh near its linear part."""
    return torch.randn(n_step, n_feature, generator=torch.Generator().manual_seed(seed)) * scale


def last_readout(n_hidden: int, seed: int) -> Loss:
    """L = w·h_T with a seeded w of length 1, so that ‖∂L/∂h_T‖ = 1 and every other norm is a pure product of J."""
    w = torch.randn(n_hidden, generator=torch.Generator().manual_seed(seed))
    w = w / w.norm()
    return lambda last: (w.to(last) * last).sum()


def unroll_rnn(x: Tensor, weights: RNNWeights, h0: Tensor | None = None) -> tuple[list[Tensor], list[Tensor]]:
    """The recurrence over x [step, ..., feature] from h0 [..., hidden] (zeros): lists of a_t and h_t [..., hidden]."""
    hidden = x.new_zeros(*x.shape[1:-1], weights.n_hidden) if h0 is None else h0
    act = ACTIVATIONS[weights.activation]
    before, after = [], []
    for from_input in F.linear(x, weights.w_xh, weights.b_h):
        a = F.linear(hidden, weights.w_hh) + from_input
        hidden = act(a)
        before.append(a)
        after.append(hidden)
    return before, after


def trace_rnn(x: Tensor, weights: RNNWeights, loss: Loss | None = None, h0: Tensor | None = None) -> RNNTrace:
    """Forward over x [step, feature], then real autograd from a loss on the last state back to every step.

    Args:
        loss: last state [hidden] -> scalar; None is ``last_readout`` with seed 0.

    Raises:
        ValueError: if x has no step.
    """
    if len(x) == 0:
        raise ValueError("the sequence must have at least one step")
    names = ("w_xh", "w_hh", "b_h")
    leaves = [getattr(weights, name).detach().clone().requires_grad_() for name in names]
    with torch.enable_grad():
        before, after = unroll_rnn(x, replace(weights, **dict(zip(names, leaves, strict=True))), h0)
        value = (loss or last_readout(weights.n_hidden, 0))(after[-1])
        grads = torch.autograd.grad(value, [*after, *leaves], materialize_grads=True)
    gradient = torch.stack(grads[: len(x)])
    norm = backward_norms(gradient)
    left = torch.arange(len(x) - 1, -1, -1, dtype=torch.float64)
    singular = weights.singular
    slope = math.log10(singular) if singular > 0 else -math.inf
    bound = norm[-1].log10() + torch.where(left > 0, left * slope, 0.0)
    return RNNTrace(
        x,
        torch.stack(before).detach(),
        torch.stack(after).detach(),
        float(value.detach()),
        gradient,
        norm,
        bound,
        singular,
        dict(zip(names, grads[len(x) :], strict=True)),
    )


def backward_norms(gradient: Tensor) -> Tensor:
    """Norms [step] float64 of gradients [step, unit]; an overflow makes itself and all earlier steps inf.

    In float64, because the squares inside a float32 norm would overflow at 1e19 and vanish at 1e-23. Behind an
    overflow autograd multiplies inf by 0 and returns nan: the size there is unknown but past the largest number.
    """
    norm = gradient.double().norm(dim=-1)
    over = _last(~norm.isfinite())
    if over is not None:
        norm[: over + 1] = math.inf
    return norm


def sensitivity_rnn(x: Tensor, weights: RNNWeights, spectral: bool = True) -> Sensitivity:
    """∂h_T/∂h_t and ∂h_T/∂x_t of every step by real autograd; ``spectral`` as in ``sensitivity``."""
    with torch.enable_grad():
        leaf = copies(x, weights.n_hidden)
        _, after = unroll_rnn(leaf, weights)
        return sensitivity(after[-1], after, leaf, spectral)


def copies(x: Tensor, n_copy: int) -> Tensor:
    """x [step, feature] -> a leaf [step, copy, feature]: one sequence for each row of a Jacobian.

    Copy i is differentiated for unit i of the last state, so that one backward pass gives every row.
    """
    return x.detach()[:, None].repeat(1, n_copy, 1).requires_grad_()


def sensitivity(last: Tensor, states: list[Tensor], x: Tensor, spectral: bool) -> Sensitivity:
    """Norms of ∂last/∂state and ∂last/∂x, from ``last`` and ``states`` [copy, unit] over x [step, copy, feature].

    Args:
        spectral: False leaves the Jacobians' norms out; they cost as much as the rest from 128 units on.
    """
    grads = torch.autograd.grad(last.diagonal().sum(), [*states, x], materialize_grads=True)
    norm = _spectral(torch.stack(grads[:-1]).double()) if spectral else None  # [step, unit of last, unit of state]
    return Sensitivity(backward_norms(grads[-1].flatten(1)), norm)


def _spectral(matrices: Tensor) -> Tensor:
    """Largest singular value of each [.., n, n] matrix; inf from an overflow back to the first step."""
    over = _last(~matrices.isfinite().flatten(1).all(-1))
    start = 0 if over is None else over + 1
    norm = torch.full((len(matrices),), math.inf, dtype=torch.float64)
    size = matrices[start:].abs().amax((-2, -1)).clamp_min(1e-300)  # scaled to 1 first: squares must not under/overflow
    scaled = matrices[start:] / size[:, None, None]
    norm[start:] = torch.linalg.eigvalsh(scaled.mT @ scaled)[:, -1].clamp_min(0).sqrt() * size
    return norm


def clip_gradients(gradients: Mapping[str, Tensor], max_norm: float) -> ClipTrace:
    """Scale all gradients so that their total norm is at most ``max_norm``; as ``torch.nn.utils.clip_grad_norm_``.

    An overflowed gradient is not saved: its norm is inf, the coefficient 0, and inf·0 is nan.

    Raises:
        ValueError: if max_norm is not positive.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be positive, not {max_norm}")
    total = torch.stack([g.norm() for g in gradients.values()]).norm()
    coefficient = (max_norm / (total + 1e-6)).clamp(max=1.0)
    after = {name: g * coefficient for name, g in gradients.items()}
    return ClipTrace(float(total), float(coefficient), dict(gradients), after)


def _first(flags: Tensor) -> int | None:
    where = flags.nonzero()
    return int(where[0]) if len(where) else None


def _last(flags: Tensor) -> int | None:
    where = flags.nonzero()
    return int(where[-1]) if len(where) else None
