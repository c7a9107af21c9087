"""Positions as pictures: the table of all rows, its waves, similarity by offset, the turn M_φ and its clocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures import heatmap
from app.figures.base import figure
from app.theme import Look

Array = np.ndarray
MANY = 2048  # cells; beyond, a picture goes out as one byte a cell and without the numbers under the pointer
ROOM = 17  # pixels a name needs


def rows_axis(names: Sequence[str], look: Look, pixels: float, **more: Any) -> dict[str, Any]:
    """Row 0 on top, as many names as find room in that many pixels; the names are categories, so hover shows all."""
    step = max(1, round(ROOM * len(names) / pixels + 0.3))
    return heatmap.axis(None, len(names), look, down=True, showticklabels=True, type="category", tickmode="array",
                        tickvals=[names[at] for at in range(0, len(names), step)], ticklabelstandoff=6) | more  # fmt: skip


def numbers_axis(count: int, look: Look, title: str, **more: Any) -> dict[str, Any]:
    """Plain numbers under the columns."""
    step = next(s for s in (1, 2, 4, 8, 16, 32, 64, 128) if count <= 12 * s)
    return heatmap.axis(None, count, look, showticklabels=True, tickmode="array", tickvals=list(range(0, count, step)),
                        ticktext=[str(at) for at in range(0, count, step)], title={"text": title}) | more  # fmt: skip


def table(
    z: Array, names: Sequence[str], look: Look, *, limit: float, value_name: str, columns: Sequence[str] = (),
    framed: Sequence[tuple[int, str]] = (), height: int = 560,
) -> go.Figure:  # fmt: skip
    """Rows of positions z [position, dimension] under their names, some framed and called by a word at the right.

    ``names`` may be longer than z: positions that have no row are hatched. ``columns`` say on hover what each one is.
    """
    n_row, n_column = z.shape
    cell = heatmap.trace(z, look, "signed", limit=limit, showscale=True)
    cell |= {"y": list(names[:n_row]), "colorbar": heatmap.colour_bar(value_name, look, xpad=4)}
    if z.size > MANY:
        cell |= _levels(z, limit, cell["colorbar"]) | {
            "hovertemplate": "position %{y}<br>dimension %{x}<extra></extra>"
        }
    elif columns:  # as category names they are sent once a column, where customdata would be once a cell
        cell |= {"x": list(columns), "hovertemplate": "position %{y}<br>%{x} = %{z:.4f}<extra></extra>"}
    else:
        cell["hovertemplate"] = "position %{y}<br>dimension %{x} = %{z:.4f}<extra></extra>"
    x = numbers_axis(n_column, look, "dimension", domain=[0, 0.85])
    if "x" in cell:
        x |= {"type": "category", "tickvals": [columns[at] for at in x["tickvals"]]}
    shapes = [heatmap.outline(0, at, n_column, 1, look.ink) for at, _ in framed if 0 <= at < n_row]
    words = _words(framed, n_row, (height - 60) / len(names))
    axes: dict[str, Any] = {"xaxis": x, "yaxis": rows_axis(names, look, height - 60, title={"text": "position"})}
    traces = [cell]
    if n_row < len(names):
        traces += _no_rows(n_row, len(names), look)
        unseen = {"visible": False, "fixedrange": True}
        axes["xaxis2"] = unseen | {"overlaying": "x", "range": [0, 1], "domain": x["domain"]}
        axes["yaxis2"] = unseen | {"overlaying": "y", "range": [len(names) - 0.5, -0.5]}
        middle = (n_row + len(names) - 1) / 2
        ground = {"bgcolor": look.background, "borderpad": 4}
        words.append(
            {
                "text": "no row was learned for these",
                "x": 0.5,
                "xref": "x2",
                "y": middle,
                "yref": "y2",
                "showarrow": False,
            }
            | ground
        )
    layout = look.layout(height=height, **axes, shapes=shapes, annotations=words, dragmode=False)
    return figure(traces, layout)


def _levels(z: Array, limit: float, bar: dict[str, Any] | None = None) -> dict[str, Any]:
    """A large signed matrix as one byte a cell, its colour bar in the matrix's own numbers."""
    levels = np.clip(np.round(z / limit * 127), -127, 127).astype(np.int8)
    ticks = {"tickmode": "array", "tickvals": [-127, 0, 127], "ticktext": [f"−{limit:g}", "0", f"{limit:g}"]}
    return {"z": levels, "zmin": -127, "zmax": 127} | ({"colorbar": bar | ticks} if bar else {})


def _no_rows(first: int, stop: int, look: Look) -> list[dict[str, Any]]:
    """Hatched ground over the positions first to stop that have no row, on axes of plain numbers over the named ones."""
    low, high = first - 0.5, stop - 0.5
    pattern = {"shape": "/", "size": 9, "fgcolor": look.quiet, "bgcolor": look.masked, "fillmode": "replace"}
    return [{
        "type": "scatter", "x": [0, 1, 1, 0], "y": [low, low, high, high], "xaxis": "x2", "yaxis": "y2", "mode": "none",
        "fill": "toself", "fillpattern": pattern, "hoverinfo": "skip",
    }]  # fmt: skip


def _words(framed: Sequence[tuple[int, str]], n_row: int, pixels: float) -> list[dict[str, Any]]:
    """The framed rows' names at the right; two that would touch move apart."""
    inside = sorted((at, word) for at, word in framed if 0 <= at < n_row)
    close = len(inside) == 2 and (inside[1][0] - inside[0][0]) * pixels < ROOM + 4
    anchors = ("bottom", "top") if close else ("middle", "middle")
    return [
        {"text": word, "x": 0.86, "xref": "paper", "xanchor": "left", "y": at, "yref": "y", "yanchor": anchor, "showarrow": False}
        for (at, word), anchor in zip(inside, anchors, strict=False)
    ]  # fmt: skip


@dataclass(frozen=True)
class Band:
    """One wave to draw: at whole positions, and (where there is a formula) ``fine`` points a position between them.

    ``coarse``: less than two dots a turn. Then the dots are joined too, for they trace another, slower wave.
    """

    name: str
    sine: Array
    cosine: Array | None = None
    sine_between: Array | None = None
    cosine_between: Array | None = None
    coarse: bool = False


def _wave(
    dots: Array, between: Array | None, band: Band, word: str, look: Look, start: int, fine: int
) -> list[dict[str, Any]]:
    colour, dash = (look.role("weight"), "solid") if word == "sin" else (look.quiet, "dot")
    called = f"{band.name.split('<')[0]}{'' if band.cosine is None and not band.coarse else ', ' + word}"
    traces: list[dict[str, Any]] = []
    if between is not None:
        smooth = {
            "color": look.quiet if band.coarse else colour,
            "width": 1 if band.coarse else 1.8,
            "dash": dash,
            "shape": "spline",
        }
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x0": start,
                "dx": 1 / fine,
                "y": np.float32(between),
                "line": smooth,
                "hoverinfo": "skip",
            }
        )
    joined = between is None or band.coarse
    traces.append({
        "type": "scatter", "mode": "lines+markers" if joined else "markers", "x0": start, "dx": 1, "y": np.float32(dots),
        "line": {"color": colour, "width": 2.5 if band.coarse else 1.8},
        "marker": {"color": colour, "size": 6, "symbol": "circle" if word == "sin" else "circle-open"},
        "hovertemplate": f"position %{{x}}<br>{called} = %{{customdata:.4f}}<extra></extra>",
    })  # fmt: skip
    return traces


def waves(
    bands: Sequence[Band], names: Sequence[str], look: Look, *, fine: int = 1, start: int = 0,
    marks: Sequence[tuple[float, str]] = (), height: int = 440,
) -> go.Figure:  # fmt: skip
    """Some columns over the positions, one band each. The dots stand at whole positions: the model knows them alone."""
    traces: list[dict[str, Any]] = []
    for level, band in enumerate(bands):
        drawn = [] if band.cosine is None else _wave(band.cosine, band.cosine_between, band, "cos", look, start, fine)
        drawn += _wave(band.sine, band.sine_between, band, "sin", look, start, fine)
        for one in drawn:
            if "hovertemplate" in one:
                one["customdata"] = one["y"]
            one["y"] = np.float32(one["y"] - 2.4 * level)
        traces += drawn
    n = len(bands[0].sine)
    x = {"range": [start - 0.5, start + n - 0.5], "showgrid": False, "zeroline": False, "automargin": True, "fixedrange": True,
         "title": {"text": "position"}, "ticks": "", "tickangle": 0, "nticks": 12}  # fmt: skip
    if n <= 34:  # room for words: all of them up to 16 places, then every second one, the first mark among them
        step = 1 if n <= 17 else 2
        at = range(int(marks[0][0]) % step if marks else 0, n, step)
        x |= {
            "tickmode": "array",
            "tickvals": [start + i for i in at],
            "ticktext": [names[i] for i in at],
            "tickangle": -60,
        }
    y = {"range": [-2.4 * len(bands) + 1.2, 1.35], "tickmode": "array", "tickvals": [-2.4 * at for at in range(len(bands))],
         "ticktext": [band.name for band in bands], "showgrid": True, "gridcolor": look.faint, "zeroline": False,
         "automargin": True, "fixedrange": True}  # fmt: skip
    lines = [
        {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": look.ink, "width": 1}}
        for at, _ in marks
    ]
    words = [
        {"text": word, "x": at, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False} for at, word in marks
    ]
    layout = look.layout(height=height, xaxis=x, yaxis=y, shapes=lines, annotations=words, dragmode=False,
                         margin={"l": 8, "r": 8, "t": 26, "b": 8})  # fmt: skip
    return figure(traces, layout)


def square(
    z: Array, look: Look, *, limit: float, value_name: str, titles: tuple[str, str] = ("position", "position"),
    pick: Sequence[tuple[int, int]] = (), height: int = 360,
) -> go.Figure:  # fmt: skip
    """A square matrix [row, column] without names: its stripes are the point."""
    cell = heatmap.trace(z, look, "signed", limit=limit)
    where = f"{titles[0]} %{{y}}, {titles[1]} %{{x}}"
    cell["hovertemplate"] = f"{where}<br>{value_name} %{{z:.4f}}<extra></extra>"
    if z.size > MANY:
        cell |= _levels(z, limit) | {"hovertemplate": where + "<extra></extra>"}
    n = len(z)
    x = numbers_axis(n, look, titles[1], constrain="domain")
    y = numbers_axis(n, look, titles[0], constrain="domain", scaleanchor="x", range=[n - 0.5, -0.5])
    shapes = [heatmap.outline(column, row, 1, 1, look.ink) for row, column in pick]
    return figure(
        [cell],
        look.layout(height=height, xaxis=x, yaxis=y, shapes=shapes, dragmode=False),
    )


def by_offset(first: int, low: Array, middle: Array, high: Array, look: Look, *, y_title: str, mark: float,
              y_range: tuple[float, float], height: int = 360) -> go.Figure:  # fmt: skip
    """A curve over the offsets from ``first`` on, in a band from the lowest to the highest value that any pair has."""
    steps = {"type": "scatter", "mode": "lines", "x0": first, "dx": 1}
    band = look.role("query")
    traces = [
        steps | {"y": np.float32(low), "line": {"width": 0}, "hoverinfo": "skip"},
        steps | {"y": np.float32(high), "line": {"width": 0}, "fill": "tonexty", "hoverinfo": "skip",
                 "fillcolor": f"rgba({','.join(str(int(band[i:i + 2], 16)) for i in (1, 3, 5))},0.28)"},
        steps | {"y": np.float32(middle), "line": {"color": look.role("weight"), "width": 2.5},
                 "customdata": np.float32(np.stack([low, high], -1)),
                 "hovertemplate": "offset %{x}<br>mean %{y:.4f}<br>lowest %{customdata[0]:.4f}, highest %{customdata[1]:.4f}<extra></extra>"},
    ]  # fmt: skip
    axis = {
        "gridcolor": look.faint,
        "zeroline": True,
        "zerolinecolor": look.faint,
        "fixedrange": True,
        "automargin": True,
    }
    rule = {
        "type": "line",
        "x0": mark,
        "x1": mark,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": look.ink, "width": 1.5},
    }
    word = {"text": f"φ = {mark:g}", "x": mark, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
    layout = look.layout(height=height, xaxis=axis | {"title": {"text": "offset"}}, shapes=[rule], annotations=[word],
                         yaxis=axis | {"title": {"text": y_title}, "range": list(y_range)}, dragmode=False,
                         margin={"l": 8, "r": 8, "t": 26, "b": 8})  # fmt: skip
    return figure(traces, layout)


def clocks(
    hands: Sequence[tuple[str, float, float]], look: Look, *, names: tuple[str, str], height: int = 360
) -> go.Figure:
    """Up to four pairs as clocks: (name, angle before, angle after). ``names`` say what the two hands are.

    A hand points to (sine, cosine): at angle 0 it stands upright, and it turns as a clock's does.
    """
    centres = [(2.6 * (at % 2), -2.9 * (at // 2)) for at in range(len(hands[:4]))]
    plain = {"showgrid": False, "zeroline": False, "showticklabels": False, "fixedrange": True, "constrain": "domain"}
    wide, low = 3.8 if len(centres) > 1 else 1.2, -4.1 if len(centres) > 2 else -1.2
    x, y = plain | {"range": [-1.2, wide]}, plain | {"range": [low, 1.7], "scaleanchor": "x"}
    faces = [
        {
            "type": "circle",
            "x0": x - 1,
            "x1": x + 1,
            "y0": y - 1,
            "y1": y + 1,
            "line": {"color": look.faint, "width": 2},
        }
        for x, y in centres
    ]
    words = [
        {"text": name, "x": x, "y": y + 1.05, "yanchor": "bottom", "showarrow": False}
        for (x, y), (name, *_) in zip(centres, hands, strict=False)
    ]
    layout = look.layout(height=height, annotations=words, shapes=faces, dragmode=False, xaxis=x, yaxis=y)
    return figure(_hands(centres, hands, look, names), layout)


def _hands(
    centres: Sequence[tuple[float, float]],
    hands: Sequence[tuple[str, float, float]],
    look: Look,
    names: tuple[str, str],
) -> list[dict[str, Any]]:
    """All arcs, all hands before and all hands after the turn: three lines with gaps."""
    x, y = (np.array([centre[axis] for centre in centres])[:, None] for axis in (0, 1))
    before, after = (np.array([hand[at] for hand in hands[: len(centres)]])[:, None] for at in (1, 2))
    end = np.where(np.abs(after - before) >= 2 * np.pi, before + 2 * np.pi, after)  # a whole turn is one circle
    sweep = before + (end - before) * np.linspace(0, 1, 21)

    def points(angle: Array, reach: Array | float) -> dict[str, Array]:
        gap = np.full_like(x, np.nan)
        across, up = np.hstack([x + reach * np.sin(angle), gap]), np.hstack([y + reach * np.cos(angle), gap])
        return {"x": across.ravel().astype(np.float32), "y": up.ravel().astype(np.float32)}

    def line(angle: Array, colour: str, dash: str, name: str) -> dict[str, Any]:
        return points(angle, np.array([0.0, 1.0])) | {
            "type": "scatter", "mode": "lines+markers", "hoverinfo": "name", "name": name,
            "line": {"color": colour, "width": 3, "dash": dash},
            "marker": {"size": np.array([0, 9, 0] * len(centres), dtype=np.uint8), "color": colour, "opacity": 1, "line": {"width": 0}},
        }  # fmt: skip

    arc = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "line": {"color": look.role("cell"), "width": 3}}
    return [
        points(sweep, 0.55) | arc,
        line(before, look.quiet, "dot", names[0]),
        line(after, look.role("weight"), "solid", names[1]),
    ]


def plane(
    x: Array, y: Array, start: int, look: Look, *, titles: tuple[str, str], numbered: int, framed: Sequence[int] = (),
    height: int = 360,
) -> go.Figure:  # fmt: skip
    """Positions as points of a plane, joined in their order; the first few and the ``framed`` ones are numbered."""
    shown = [str(start + at) if at < numbered or at in framed else "" for at in range(len(x))]
    big = [14 if at in framed else 8 for at in range(len(x))]
    points = {"type": "scatter", "mode": "lines+markers+text", "x": np.float32(x), "y": np.float32(y), "text": shown,
              "textposition": "top center", "line": {"color": look.quiet, "width": 1},
              "marker": {"size": np.array(big, dtype=np.uint8), "color": look.role("weight")},
              "customdata": np.arange(start, start + len(x), dtype=np.uint16),
              "hovertemplate": "position %{customdata}<br>%{x:.3f}, %{y:.3f}<extra></extra>"}  # fmt: skip
    axis = {"gridcolor": look.faint, "zeroline": False, "fixedrange": True, "automargin": True}
    layout = look.layout(height=height, dragmode=False, xaxis=axis | {"title": {"text": titles[0]}, "constrain": "domain"},
                         yaxis=axis | {"title": {"text": titles[1]}, "scaleanchor": "x", "constrain": "domain"})  # fmt: skip
    return figure([points], layout)


def order(
    blocks: Sequence[tuple[str, Array, Array]],
    words: Sequence[str],
    titles: Sequence[str],
    look: Look,
    *,
    row: int = 24,
) -> go.Figure:
    """The same tokens in two texts, output by output. Each block: (its name, first [token, feature], second [...]).

    A block is three maps side by side in one sheet: the two texts and their difference. All maps share one colour range.
    """
    limit = heatmap.nice_limit(np.concatenate([np.ravel(part) for _, *parts in blocks for part in parts]), 0.98)
    tall = row * len(words)
    height = len(blocks) * (tall + 60)
    axes: dict[str, Any] = {}
    traces, notes, frames = [], [], []
    for down, (name, first, second) in enumerate(blocks):
        n, wide = first.shape
        top, tail = 1 - (down * (tall + 60) + 50) / height, str(down + 1) if down else ""
        gap = np.full((n, 3), np.nan)
        sheet = np.concatenate([first, gap, second, gap, second - first], axis=1)
        axes[f"xaxis{tail}"] = heatmap.axis(None, sheet.shape[1], look, anchor=f"y{tail}")
        axes[f"yaxis{tail}"] = heatmap.axis(
            words, n, look, down=True, domain=[top - tall / height, top], anchor=f"x{tail}", ticklabelstandoff=6
        )
        cell = heatmap.trace(sheet, look, "signed", limit=limit, xaxis=f"x{tail}", yaxis=f"y{tail}")
        traces.append(cell | {"hovertemplate": f"{name}<br>%{{y}}: %{{z:.4g}}<extra></extra>"})
        notes.append({"text": f"<b>{name}</b>", "x": -0.5, "xref": f"x{tail}", "xanchor": "left", "y": top, "yref": "paper",
                      "yanchor": "bottom", "yshift": 21, "showarrow": False})  # fmt: skip
        for across, title in enumerate(titles):
            start = across * (wide + 3)
            notes.append({"text": title, "x": start - 0.5, "xref": f"x{tail}", "xanchor": "left",
                          "y": top, "yref": "paper", "yanchor": "bottom", "showarrow": False})  # fmt: skip
            frames.append(
                heatmap.outline(start, 0, wide, n, look.faint, xref=f"x{tail}", yref=f"y{tail}")
                | {"line": {"color": look.faint, "width": 1}}
            )
    layout = look.layout(
        height=height, annotations=notes, shapes=frames, dragmode=False, margin={"l": 8, "r": 8, "t": 0, "b": 0}, **axes
    )
    return figure(traces, layout)
