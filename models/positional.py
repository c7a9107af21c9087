"""Positions as sine waves, added to the embeddings: the sinusoidal encoding.

Vaswani et al. 2017, "Attention Is All You Need", section 3.5. Columns come in pairs, one frequency ω_i a pair:

    PE(pos, 2i)     = sin(pos · ω_i)        ω_i = base^(−2i / d_model), base 10000
    PE(pos, 2i + 1) = cos(pos · ω_i)
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PositionalConfig:
    """One sinusoidal encoding.

    ``step`` is how far apart neighbours stand: below 1 it squeezes positions together (Chen et al. 2023,
    arXiv:2306.15595), above π the fastest wave is too short to be followed. ``cosines=False`` is a mistake to study: a
    sine stands in both columns of every pair.

    Raises:
        ValueError: if d_model is odd or below 2 (every sine needs its cosine), there is no position, the step is not
            positive, or the base is not above 1 (all pairs would turn at one speed or ever faster).
    """

    n_position: int = 64
    d_model: int = 64
    base: float = 10000.0
    step: float = 1.0
    cosines: bool = True

    def __post_init__(self) -> None:
        check_even(self.d_model, "d_model")
        if self.n_position < 1 or not 1 < self.base < math.inf:
            raise ValueError(f"n_position {self.n_position} must be 1 or more and base {self.base} finite and above 1")
        if not 0 < self.step < math.inf:
            raise ValueError(f"step must be positive and finite, not {self.step}")


@dataclass(frozen=True)
class PositionalTrace:
    """The encoding and what it is made of; float64 unless asked otherwise."""

    frequency: Tensor  # [pair] step · ω_i, radians per position
    wavelength: Tensor  # [pair] positions per full turn, 2π / ω_i
    angle: Tensor  # [position, pair] pos · step · ω_i, radians
    encoding: Tensor  # [position, d_model] PE
    similarity: Tensor  # [position, position] PE(t) · PE(s)


@dataclass(frozen=True)
class ShiftTrace:
    """PE(t + φ) from PE(t) by one matrix, the same for every t."""

    offset: float  # φ
    matrix: Tensor  # [d_model, d_model] M_φ, one 2×2 rotation a pair on the diagonal
    encoding: Tensor  # [position, d_model] PE(t)
    shifted: Tensor  # [position, d_model] M_φ PE(t)
    expected: Tensor  # [position, d_model] PE(t + φ) by the formula
    error: float  # the largest difference between the last two


def check_even(size: int, name: str) -> None:
    """Raise ValueError unless ``size`` is an even number of 2 or more."""
    if size < 2 or size % 2:
        raise ValueError(f"{name} must be an even number of 2 or more, so that every sine has its cosine, not {size}")


def frequencies(d_model: int, base: float = 10000.0, dtype: torch.dtype = torch.float64) -> Tensor:
    """ω_i for each pair of columns, [pair]: from one radian a position down to nearly 1/base."""
    check_even(d_model, "d_model")
    exponent = torch.arange(0, d_model, 2, dtype=torch.float64) / d_model
    return (base**-exponent).to(dtype)


def sinusoidal(positions: Tensor, d_model: int, base: float = 10000.0, dtype: torch.dtype = torch.float64) -> Tensor:
    """PE of any positions [position] (whole or not, negative too) -> [position, d_model].

    The angles are taken in float64 and rounded once, at the end: in float32 a position of 10⁵ radians would already
    be off in its fourth digit.
    """
    angle = positions.to(torch.float64)[:, None] * frequencies(d_model, base).to(positions.device)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2).to(dtype)


def rows(positions: Tensor, config: PositionalConfig, dtype: torch.dtype = torch.float64) -> Tensor:
    """What the config gives any positions [position] -> [position, d_model]."""
    encoding = sinusoidal(positions * config.step, config.d_model, config.base, dtype)
    return encoding if config.cosines else encoding[:, 0::2].repeat_interleave(2, dim=-1)


def encode_positions(config: PositionalConfig, dtype: torch.dtype = torch.float64) -> PositionalTrace:
    """The encoding of positions 0 to n_position − 1 with its parts."""
    positions = torch.arange(config.n_position, dtype=torch.float64)
    frequency = frequencies(config.d_model, config.base) * config.step
    encoding = rows(positions, config)
    parts = (frequency, 2 * math.pi / frequency, positions[:, None] * frequency, encoding, encoding @ encoding.T)
    return PositionalTrace(*(part.to(dtype) for part in parts))


def similarity_by_offset(offsets: Tensor, d_model: int, base: float = 10000.0) -> Tensor:
    """PE(t) · PE(t + φ) for each φ [offset] -> [offset]: Σ_i cos(ω_i φ), whatever t is; d_model / 2 at φ = 0."""
    angle = offsets.to(torch.float64)[:, None] * frequencies(d_model, base).to(offsets.device)
    return angle.cos().sum(-1)


def shift_matrix(offset: float, d_model: int, base: float = 10000.0, dtype: torch.dtype = torch.float64) -> Tensor:
    """M_φ [d_model, d_model] with PE(t + φ) = M_φ PE(t) for every t.

    By the addition theorems one pair [sin, cos] turns by [[cos ωφ, sin ωφ], [−sin ωφ, cos ωφ]].
    """
    angle = offset * frequencies(d_model, base)
    turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], dim=-1).reshape(-1, 2, 2)
    return torch.block_diag(*turn).to(dtype)


def shift(config: PositionalConfig, offset: float, dtype: torch.dtype = torch.float64) -> ShiftTrace:
    """Turn the whole encoding by φ and compare it with the formula at t + φ, both in ``dtype``."""
    positions = torch.arange(config.n_position, dtype=torch.float64)
    matrix = shift_matrix(offset * config.step, config.d_model, config.base, dtype)
    encoding = rows(positions, config, dtype)
    expected = rows(positions + offset, config, dtype)
    shifted = encoding @ matrix.T
    return ShiftTrace(offset, matrix, encoding, shifted, expected, (shifted - expected).abs().max().item())
