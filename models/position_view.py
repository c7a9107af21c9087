"""One scheme of positions seen from all sides: its rows, how alike any two are, and whether the offset alone decides.

The three schemes share this type, so that one page and one set of figures serve them all.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.positional import PositionalConfig, encode_positions, rows
from models.rotary import rotate


@dataclass(frozen=True)
class PositionView:
    """What a scheme makes of positions 0, 1, 2 ...; ``low``, ``mean`` and ``high`` run over offsets −(n − 1) to n − 1."""

    rows: Tensor  # [position, d_model] what is added, or (rotary) one query as it is turned
    similarity: Tensor  # [position, position] cosine of the rows, or (rotary) the scaled score of query and key
    low: Tensor  # [offset] the lowest similarity of any two positions that far apart
    mean: Tensor  # [offset]
    high: Tensor  # [offset] the highest
    closest: tuple[int, int]  # the two positions whose rows lie nearest
    distance: float  # ‖row − row‖ of these two

    @property
    def widest(self) -> float:
        """The largest difference between two pairs of positions that stand equally far apart."""
        return float((self.high - self.low).max())


def by_offset(similarity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The lowest, mean and highest entry along each diagonal of [position, position] -> three of [2 · position − 1]."""
    n = len(similarity)
    diagonals = [similarity.diagonal(offset) for offset in range(1 - n, n)]
    parts = [torch.stack([diagonal.min(), diagonal.mean(), diagonal.max()]) for diagonal in diagonals]
    low, mean, high = torch.stack(parts, dim=-1)
    return low, mean, high


def closest_pair(table: Tensor) -> tuple[tuple[int, int], float]:
    """The two rows of a table [position, d_model] that lie nearest, and how near; the first such pair."""
    if len(table) < 2:
        return (0, 0), 0.0
    gaps = torch.cdist(table, table, compute_mode="donot_use_mm_for_euclid_dist")
    gaps.fill_diagonal_(math.inf)
    best = float(gaps.min())
    first, second = (gaps <= best * (1 + 1e-9)).nonzero()[0].tolist()  # rounding must not choose among equal pairs
    return (first, second), best


def _view(table: Tensor, similarity: Tensor) -> PositionView:
    return PositionView(table, similarity, *by_offset(similarity), *closest_pair(table))


def formula_view(config: PositionalConfig) -> PositionView:
    """The sinusoidal encoding. Rows of whole pairs all have length √(d_model / 2), so the product over it is the cosine."""
    trace = encode_positions(config)
    return _view(trace.encoding, trace.similarity / (config.d_model / 2))


def learned_view(table: Tensor, n_position: int) -> PositionView:
    """The first rows of a learned table; fewer than asked for where the table ends."""
    part = table[:n_position].double().cpu()
    unit = F.normalize(part, dim=-1)
    return _view(part, unit @ unit.T)


def query_and_key(d_model: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two unit-normal vectors [d_model] in float64, drawn on the CPU."""
    generator = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, d_model, generator=generator).double()
    return q, k


def rotary_view(config: PositionalConfig, seed: int) -> PositionView:
    """One query at every position against one key at every position, both turned by where they stand."""
    q, k = query_and_key(config.d_model, seed)
    q_turned, k_turned = (_turned(x, torch.arange(config.n_position), config) for x in (q, k))
    return _view(q_turned, q_turned @ k_turned.T / math.sqrt(config.d_model))


def _turned(x: Tensor, positions: Tensor, config: PositionalConfig) -> Tensor:
    return rotate(x.expand(len(positions), -1), positions.double() * config.step, config.base, "adjacent").rotated


@dataclass(frozen=True)
class MovedPair:
    """One query and one key, the key always ``offset`` further on: the query at ``start``, ``start`` + 1, ..."""

    start: int
    rotary: Tensor  # [place] score / √d when both are turned
    added: Tensor  # [place] the same when a row of positions is added to each


def move_pair(
    config: PositionalConfig, offset: int, seed: int, table: Tensor | None = None, places: int = 64
) -> MovedPair:
    """Walk a query and a key along the positions together.

    ``table`` [position, d_model] gives the added rows; None takes the config's sinusoids. Added rows are scaled to the
    size of the content (unit variance a feature), so that they weigh as much. A learned table's row 0 is left out: it
    always holds the mark of a beginning and stands far from all others.

    Raises:
        ValueError: if the table is too short for a single place.
    """
    first = 0 if table is None else 1
    start = max(first, first - offset)
    if table is not None:
        places = min(places, len(table) - start - max(0, offset))
        if places < 1:
            raise ValueError(f"a table of {len(table)} rows has no two positions {offset} apart")
    at = torch.arange(start, start + places)
    q, k = query_and_key(config.d_model, seed)
    turned = (_turned(q, at, config) * _turned(k, at + offset, config)).sum(-1) / math.sqrt(config.d_model)
    if table is None:
        added_q, added_k = rows(at.double(), config), rows(at.double() + offset, config)
    else:
        q, k = query_and_key(table.shape[1], seed)
        added_q, added_k = table.double().cpu()[at], table.double().cpu()[at + offset]
    size = torch.cat([added_q, added_k]).square().mean().sqrt()
    added = ((q + added_q / size) * (k + added_k / size)).sum(-1) / math.sqrt(len(q))
    return MovedPair(start, turned, added)
