"""Heatmaps and their parts: one matrix with named rows and columns, masked cells, an outlined pick, clickable cells.

Arrays go out as float32 (Plotly ships numpy as base64 of its dtype); labels must already be inert (``text.labels``).
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from app.figures.base import Drawing, figure, unseen
from app.theme import FONT_SIZE, Look

Array = np.ndarray
Kind = Literal["probability", "signed"]
MAX_TICKS = 40  # beyond, names are drawn at every second, third ... cell


def nice_limit(z: Array, share: float = 1.0) -> float:
    """The smallest of 1, 2, 5 × 10ⁿ that holds at least that ``share`` of the finite |values|: steps that a small move seldom
    crosses. Below 1, the few values beyond the limit take the end colour."""
    finite = np.abs(z[np.isfinite(z)])
    at = math.ceil(share * (finite.size - 1))
    top = float(np.partition(finite.ravel(), at)[at]) if finite.size else 0.0
    if top == 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(top))
    return next(m * power for m in (1, 2, 5, 10) if top <= m * power * (1 + 1e-6))


def trace(
    z: Array,
    look: Look,
    kind: Kind = "probability",
    *,
    limit: float | None = None,
    role: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A Plotly heatmap trace of z [row, column] as a plain dict.

    ``limit`` is the end of the colour range: 1 for probabilities, ``nice_limit`` for signed values unless given.
    ``role`` takes that role's own ramp instead of purple. Extra keywords go to Plotly (xaxis, customdata, ...).
    """
    if kind == "signed":
        top = nice_limit(z) if limit is None else limit
        low, scale = -top, look.diverging
    else:
        top = 1.0 if limit is None else limit
        low, scale = 0.0, look.sequential if role is None else look.ramp(role)
    base = {"type": "heatmap", "z": np.ascontiguousarray(z, dtype=np.float32), "zmin": low, "zmax": top,
            "colorscale": scale, "showscale": False, "hoverongaps": False}  # fmt: skip
    return base | more


def colour_bar(title: str, look: Look, **more: Any) -> dict[str, Any]:
    """A slim scale beside a heatmap; pass as ``colorbar`` together with ``showscale=True``."""
    return {"title": {"text": title, "side": "right", "font": {"size": FONT_SIZE}}, "thickness": 12, "outlinewidth": 0,
            "tickfont": {"size": FONT_SIZE}, "nticks": 5, "x": 1.0, "xpad": 7} | more  # fmt: skip


def axis(
    names: Sequence[str] | None, count: int, look: Look, *, down: bool = False, most: int = MAX_TICKS, **more: Any
) -> dict[str, Any]:
    """An axis of ``count`` cells, ``most`` of them named. ``down`` puts row 0 on top. Names are numbered ticks, so equal
    tokens stay apart; under the pointer Plotly knows the drawn ones alone, and ``cell_names`` has the others."""
    base: dict[str, Any] = {
        "range": [count - 0.5, -0.5] if down else [-0.5, count - 0.5],
        "showgrid": False, "zeroline": False, "fixedrange": True, "ticks": "", "automargin": True,
        "tickfont": {"size": FONT_SIZE, "color": look.ink},
    }  # fmt: skip
    if names is None:
        base["showticklabels"] = False
    else:
        step = -(-count // most)
        at = range(0, count, step)
        base |= {"tickmode": "array", "tickvals": list(at), "ticktext": [names[i] for i in at]}
    return base | more


def hatch(mask: Array, look: Look, **more: Any) -> list[dict[str, Any]]:
    """Grey ground and diagonal strokes over the cells where ``mask`` [row, column] is True: masked is never zero.

    Strokes of cells that meet corner to corner are joined, so a triangle costs a few lines and not one a cell.
    """
    if not mask.any():
        return []
    ground = np.where(mask, 1.0, np.nan).astype(np.float32)
    grey = [[0, look.masked], [1, look.masked]]
    xs: list[float] = []
    ys: list[float] = []
    rows, columns = mask.shape
    for diagonal in range(rows + columns - 1):
        start: tuple[float, float] | None = None
        for row in range(min(diagonal, rows - 1), max(-1, diagonal - columns), -1):
            column = diagonal - row
            if mask[row, column]:
                start = start or (column - 0.5, row + 0.5)
                end = (column + 0.5, row - 0.5)
            elif start:
                xs, ys, start = [*xs, start[0], end[0], math.nan], [*ys, start[1], end[1], math.nan], None
        if start:
            xs, ys = [*xs, start[0], end[0], math.nan], [*ys, start[1], end[1], math.nan]
    return [
        {"type": "heatmap", "z": ground, "colorscale": grey, "showscale": False, "hoverinfo": "skip"} | more,
        {"type": "scatter", "x": np.array(xs, np.float32), "y": np.array(ys, np.float32), "mode": "lines", "hoverinfo": "skip",
         "line": {"color": look.quiet, "width": 0.8}} | more,
    ]  # fmt: skip


def clickable(rows: int, columns: int, **more: Any) -> dict[str, Any]:
    """Invisible marks over every cell, row-major: Plotly reports no click on a heatmap itself.

    They lie over the heatmap, so they carry the hover text too (pass ``hovertemplate`` and ``customdata``).
    """
    y, x = np.divmod(np.arange(rows * columns), columns)
    dtype = np.uint8 if max(rows, columns) < 256 else np.uint16
    at = {"x": x.astype(dtype), "y": y.astype(dtype)}
    return {"type": "scatter", "hoverinfo": "none"} | at | unseen(14) | more


def outline(x: float, y: float, wide: float, tall: float, colour: str, **more: Any) -> dict[str, Any]:
    """A frame of ``wide`` × ``tall`` cells whose first cell is (x, y)."""
    return {"type": "rect", "x0": x - 0.5, "x1": x + wide - 0.5, "y0": y - 0.5, "y1": y + tall - 0.5,
            "line": {"color": colour, "width": 2.5}} | more  # fmt: skip


def heatmap(
    z: Array,
    rows: Sequence[str] | None,
    columns: Sequence[str] | None,
    look: Look,
    kind: Kind = "probability",
    *,
    limit: float | None = None,
    role: str | None = None,
    masked: Array | None = None,
    pick: tuple[int, int] | None = None,
    row_title: str = "",
    column_title: str = "",
    value_name: str = "value",
    bar: bool = True,
    click: bool = False,
    numbers: bool | None = None,
    square: bool = False,
    tilt: bool | None = None,
    most: int = MAX_TICKS,
    height: int = 460,
) -> Drawing:
    """One matrix as a finished figure.

    Args:
        z: [row, column]; rows, columns: inert labels, or None to draw no names.
        masked: bool [row, column], drawn hatched grey; pick: (row, column) to outline.
        numbers: write the values into the cells; by default where 8 columns or fewer leave the room.
        tilt: write the columns' names slanted; by default where they are many or long.
        most: names drawn on an axis; every cell says both of its own under the pointer.
    """
    n_row, n_column = z.shape
    small = n_column <= 8 and n_row <= 16
    cell = trace(z, look, kind, limit=limit, role=role)
    titles = row_title or "row", column_title or "column"
    named = cell_names(rows, columns, titles[1]) if max(len(rows or ()), len(columns or ())) > most else None
    where = (
        f"{titles[0]} %{{y}}<br>{titles[1]} %{{x}}" if named is None else f"{titles[0]} %{{text}}"
    ) + f"<br>{value_name} "
    if click:
        cell["hoverinfo"] = "skip"
    else:
        cell["hovertemplate"] = where + "%{z:.4g}<extra></extra>"
        cell |= {} if named is None else {"text": named}
    if small if numbers is None else numbers:
        cell |= {"texttemplate": "%{z:.2f}", "textfont": {"size": FONT_SIZE}}
    if bar:
        cell |= {"showscale": True, "colorbar": colour_bar(value_name, look)}
    traces = [cell]
    if masked is not None:
        cell["z"] = np.where(masked, np.nan, cell["z"]).astype(np.float32)
        traces += hatch(masked, look)
    if click:
        hover = where + "%{customdata:.4g}<extra></extra>"
        text = {} if named is None else {"text": [cell for row in named for cell in row]}
        traces.append(clickable(n_row, n_column, hovertemplate=hover, customdata=z.astype(np.float32).ravel(), **text))
    slanted = not _short(columns) if tilt is None else tilt
    x = axis(columns, n_column, look, most=most, tickangle=-60 if slanted else 0, **_title(column_title))
    y = axis(rows, n_row, look, down=True, most=most, **_title(row_title))
    x |= {"showline": True, "mirror": True, "linecolor": look.faint}  # a map of zeros keeps its edge
    y |= {"showline": True, "mirror": True, "linecolor": look.faint}
    if square:
        y |= {"scaleanchor": "x", "constrain": "domain"}
        x |= {"constrain": "domain"}
    shapes = [outline(pick[1], pick[0], 1, 1, look.ink)] if pick else []
    layout = look.layout(xaxis=x, yaxis=y, height=height, shapes=shapes, dragmode=False, clickmode="event+select")
    return figure(traces, layout)


def _title(words: str) -> dict[str, Any]:
    return {"title": {"text": words}} if words else {}  # an empty one would take its room all the same


def cell_names(rows: Sequence[str] | None, columns: Sequence[str] | None, column_title: str) -> list[list[str]] | None:
    """[row][column] what a cell of a map with more rows and columns than names is called under the pointer."""
    if rows is None or columns is None:
        return None
    return [[f"{row}<br>{column_title} {column}" for column in columns] for row in rows]


def _short(names: Sequence[str] | None) -> bool:
    return names is None or (len(names) <= 16 and sum(map(len, names)) <= 60)


def tiled(maps: Array, look: Look, titles: Sequence[str], *, columns: int, limit: float = 1.0, pick: int | None = None,
          height: int = 460, off: Sequence[int] = (), names: Sequence[str] = (), mark: int = 44) -> Drawing:  # fmt: skip
    """Many equal maps [map, row, column] in one heatmap, as levels of 1 to 255 in one byte a cell, 0 between the maps.
    (255 there would cost: its base64 is all slashes, and each slash is sent as six characters.)

    One tiled picture paints at once where a grid of subplots would take seconds. ``titles`` name the maps on hover,
    ``names`` (short ones, may be left out) above each map; ``pick`` is outlined, maps in ``off`` are greyed. A click
    on a tile, ``mark`` pixels wide around its middle, reports its index.
    """
    n_map, n_row, n_column = maps.shape
    n_down = -(-n_map // columns)
    above = max(1, round(n_row * (n_down + 2) * 20 / height)) if names else 0  # rows that hold a name of 16 px
    aside = max(1, min(n_column // 10, 2))
    tall, wide = n_row + max(1, above), n_column + aside  # an empty row and column keep tiles apart
    sheet = np.zeros((n_down * tall - max(1, above), columns * wide - aside), dtype=np.uint8)
    for index in range(n_map):
        down, across = divmod(index, columns)
        area = (slice(down * tall, down * tall + n_row), slice(across * wide, across * wide + n_column))
        sheet[area] = 1 + np.clip(maps[index] / limit * 254, 0, 254).astype(np.uint8)
    ends = look.sequential
    ground = look.panel if names else look.faint
    edge = 0.5 / 255
    scale = [
        [0, ground],
        [edge, ground],
        [edge, ends[0][1]],
        *([(1 + stop * 254) / 255, colour] for stop, colour in ends),
    ]
    tile = {
        "type": "heatmap",
        "z": sheet,
        "zmin": 0,
        "zmax": 255,
        "colorscale": scale,
        "showscale": False,
        "hoverinfo": "skip",
    }
    every = np.arange(n_map)
    x, y = (every % columns) * wide + (n_column - 1) / 2, (every // columns) * tall + (n_row - 1) / 2
    marks = {"type": "scatter", "x": x, "y": y, "text": list(titles), "hovertemplate": "%{text}<extra></extra>"}
    shapes = []
    for number in {*off, *(() if pick is None else (pick,))}:
        down, across = divmod(number, columns)
        box = outline(across * wide, down * tall, n_column, n_row, look.ink)
        if number in off:
            box |= {"fillcolor": look.masked, "opacity": 0.85}
        shapes.append(box)
    layout = look.layout(
        xaxis=axis(None, sheet.shape[1], look), yaxis=axis(None, sheet.shape[0], look, down=True),
        height=height, shapes=shapes, dragmode=False, clickmode="event+select", hovermode="closest",
        annotations=[
            {"text": name, "x": a % columns * wide + (n_column - 1) / 2, "y": a // columns * tall - 0.5, "yanchor": "bottom",
             "showarrow": False, "font": {"color": look.ink if a == pick else look.quiet}} for a, name in enumerate(names)
        ], margin={"l": 4, "r": 4, "t": 26 if names else 8, "b": 8},
    )  # fmt: skip
    return figure([tile, marks | unseen(mark)], layout)
