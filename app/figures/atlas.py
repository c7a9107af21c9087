"""All heads of a model in one picture: a tile a head, laid out by layer, or in the order of a measure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.figures import heatmap
from app.figures.base import Drawing
from app.theme import Look

Array = np.ndarray
MOST_CELLS = 600_000  # one byte each: what a picture may cost
ROOM = 0.8  # width by height of the place it is drawn in


@dataclass(frozen=True)
class Grid:
    """Where the heads stand: ``order`` are flat places (layer · n_head + head) row by row."""

    order: tuple[int, ...]
    columns: int
    rows: tuple[str, ...]  # names of the rows and of the columns, and what they count
    across: tuple[str, ...]
    titles: tuple[str, str]


def by_layer(n_layer: int, n_head: int) -> Grid:
    """Layers downwards (several in a row, if there are many) or to the right, whichever makes the tiles squarer."""
    best = min(range(1, n_layer + 1), key=lambda k: _oblong(k * n_head, math.ceil(n_layer / k)))
    if _oblong(n_layer, n_head) < _oblong(best * n_head, math.ceil(n_layer / best)):
        order = tuple(layer * n_head + head for head in range(n_head) for layer in range(n_layer))
        return Grid(order, n_layer, _numbers(n_head), _numbers(n_layer), ("head", "layer"))
    rows = tuple(str(a) if best == 1 else f"{a}–{min(a + best, n_layer) - 1}" for a in range(0, n_layer, best))
    across = tuple(str(at % n_head) for at in range(best * n_head))
    return Grid(tuple(range(n_layer * n_head)), best * n_head, rows, across, ("layer", "head"))


def by_rank(order: Sequence[int], columns: int) -> Grid:
    """The heads in a given order, the first at the top left."""
    return Grid(tuple(order), columns, tuple(str(at + 1) for at in range(0, len(order), columns)), (), ("rank", ""))


def _oblong(columns: int, rows: int) -> float:
    return abs(math.log(ROOM * rows / columns))


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def atlas(
    maps: Array, grid: Grid, look: Look, titles: Sequence[str], *, pick: int, off: Sequence[int] = (), height: int = 470
) -> Drawing:
    """Maps [head, query, key] and their titles by flat place, laid out on the grid.

    ``pick`` is outlined and ``off`` greyed, both flat places. A click reports a place in ``grid.order``.
    """
    order, place_of = list(grid.order), {flat: place for place, flat in enumerate(grid.order)}
    drawing = heatmap.tiled(
        pooled(maps)[order], look, [titles[flat] for flat in order], columns=grid.columns, pick=place_of[pick],
        off=[place_of[flat] for flat in off], height=height,
    )  # fmt: skip
    marks = drawing.plain["data"][-1]
    x, y = np.asarray(marks["x"], dtype=float), np.asarray(marks["y"], dtype=float)
    named = {"tickmode": "array", "showticklabels": True}
    rows = {"tickvals": y[:: grid.columns], "ticktext": grid.rows, "title": {"text": grid.titles[0]}, **named}
    if not grid.across:
        return drawing.amended(yaxis=rows)
    across = {"tickvals": x[: grid.columns], "ticktext": grid.across, "title": {"text": grid.titles[1]}, **named}
    return drawing.amended(yaxis=rows, xaxis=across)


def pooled(maps: Array) -> Array:
    """The maps, each block of cells by its largest where all of them would be too many to send."""
    step = math.ceil(math.sqrt(maps.size / MOST_CELLS))
    if step <= 1:
        return maps
    n, rows, columns = maps.shape
    padded = np.pad(maps, ((0, 0), (0, -rows % step), (0, -columns % step)))
    return padded.reshape(n, padded.shape[1] // step, step, padded.shape[2] // step, step).max(axis=(2, 4))
