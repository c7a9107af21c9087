"""What training put into a table of learned positions: its strongest directions, the waves in them, and whether one
matrix shifts it.

Nobody tells a learned table to be periodic. Its principal components over neighbouring positions show what it became.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.positional import sinusoidal


@dataclass(frozen=True)
class WaveTrace:
    """The strongest directions of a table over its positions, and the wave that fits each best."""

    start: int  # the first position that was looked at
    components: Tensor  # [position, component] the rows along the strongest directions
    share: Tensor  # [component] of the rows' variance
    period: Tensor  # [component] positions per turn of the strongest wave
    purity: Tensor  # [component] how much of the component's variance that one wave explains, 0 to 1
    clock: tuple[int, int]  # the two components that come nearest to a sine and its cosine


@dataclass(frozen=True)
class FittedShift:
    """The best linear map from a row to the row ``offset`` further on, fitted on one half and tried on the other."""

    offset: int
    matrix: Tensor  # [component, component], acts on columns
    seen: float  # ‖miss‖ / ‖rows‖ on the positions it was fitted to
    unseen: float  # the same on the positions in between, which it had not seen


def directions(table: Tensor, n_component: int, start: int, stop: int) -> tuple[Tensor, Tensor]:
    """The rows start to stop along their strongest directions [position, component] and each one's share of the variance.

    Signs are fixed (the largest entry is positive), so that every machine draws the same.
    """
    rows = table[start:stop].double()
    rows = rows - rows.mean(0)
    u, s, _ = torch.linalg.svd(rows, full_matrices=False)
    parts = u[:, :n_component] * s[:n_component]
    largest = parts.gather(0, parts.abs().argmax(0, keepdim=True))
    return parts * torch.where(largest < 0, -1.0, 1.0), (s**2 / (s**2).sum())[:n_component]


def strongest_wave(signal: Tensor, finest: float = 0.25) -> tuple[float, float]:
    """The sine wave that explains most of a signal [position]: (its period in positions, the share it explains).

    Least squares over a grid of frequencies from one turn to a turn in two positions, in ``finest`` steps of a turn.
    """
    n = len(signal)
    centred = signal.double() - signal.double().mean()
    turns = torch.arange(1.0, n / 2, finest, dtype=torch.float64)
    angle = 2 * torch.pi * turns[:, None] * torch.arange(n) / n
    waves = torch.stack([angle.sin(), angle.cos(), torch.ones_like(angle)], dim=-1)  # [frequency, position, 3]
    target = centred.expand(len(turns), n)[..., None]
    fitted = waves @ torch.linalg.lstsq(waves, target).solution
    explained = 1 - (target - fitted).square().sum((1, 2)) / centred.square().sum().clamp(min=1e-30)
    best = int(explained.argmax())
    return n / float(turns[best]), float(explained[best].clamp(0, 1))


def waves_in(table: Tensor, n_component: int = 6, start: int = 1, stop: int = 65) -> WaveTrace:
    """The waves in rows start to stop of a table [position, d_model].

    Row 0 is left out: it always holds the same mark or the text's beginning, and stands far from all others.
    """
    stop = min(stop, len(table))
    components, share = directions(table, n_component, start, stop)
    found = [strongest_wave(column) for column in components.T]
    period, purity = (torch.tensor(part, dtype=torch.float64) for part in zip(*found, strict=True))
    return WaveTrace(start, components, share, period, purity, _clock(period, purity, (stop - start) / 2))


def _clock(period: Tensor, purity: Tensor, longest: float) -> tuple[int, int]:
    """The two purest components whose periods agree within a fifth, none longer than ``longest``; where there are no
    such two, the two purest of all."""
    pairs = [(a, b) for a in range(len(period)) for b in range(a + 1, len(period))]
    alike = [(a, b) for a, b in pairs if abs(float((period[a] / period[b]).log())) < 0.2 and period[a] <= longest]
    return max(alike or pairs, key=lambda pair: float(purity[list(pair)].min()))


def fit_shift(table: Tensor, offset: int, n_component: int = 8, start: int = 1, stop: int = 129) -> FittedShift:
    """One matrix for all shifts by ``offset``, in the table's strongest directions.

    Raises:
        ValueError: if the rows are too few to fit and to try.
    """
    stop = min(stop, len(table))
    rows, _ = directions(table, n_component, start, stop)
    source = rows[max(0, -offset) : len(rows) - max(0, offset)]
    target = rows[max(0, offset) : len(rows) + min(0, offset)]
    if len(source) < 4 * n_component:
        raise ValueError(f"{len(source)} pairs of rows are too few for {n_component} components")
    solution = torch.linalg.lstsq(source[0::2], target[0::2]).solution
    misses = [float((source[at::2] @ solution - target[at::2]).norm() / target[at::2].norm()) for at in (0, 1)]
    return FittedShift(offset, solution.T, *misses)


def likeness_to_sinusoids(table: Tensor, base: float = 10000.0) -> float:
    """The mean cosine of a table's rows with the sinusoidal rows of the same positions; near 0 for unrelated tables."""
    waves = sinusoidal(torch.arange(len(table)), table.shape[1], base)
    return float(F.cosine_similarity(table.double().cpu(), waves, dim=-1).mean())
