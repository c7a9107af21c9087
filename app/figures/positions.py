"""Positions as pictures: the table of all rows, its waves, similarity by offset, the turn M_φ and its clocks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures import heatmap
from app.theme import Look

Array = np.ndarray
MANY = 8192  # cells; beyond, a picture goes out as one byte a cell and without the numbers under the pointer
ROOM = 17  # pixels a name needs


def rows_axis(names: Sequence[str], look: Look, pixels: float, **more: Any) -> dict[str, Any]:
    """Row 0 on top, as many names as find room in that many pixels; the names are categories, so hover shows all."""
    step = max(1, round(ROOM * len(names) / pixels + 0.3))
    return heatmap.axis(None, len(names), look, down=True, showticklabels=True, type="category", tickmode="array",
                        tickvals=[names[at] for at in range(0, len(names), step)]) | more  # fmt: skip


def numbers_axis(count: int, look: Look, title: str, **more: Any) -> dict[str, Any]:
    """Plain numbers under the columns."""
    step = next(s for s in (1, 2, 4, 8, 16, 32, 64, 128) if count <= 16 * s)
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
    cell |= {"y": list(names[:n_row]), "colorbar": heatmap.colour_bar(value_name, look, x=1.0)}
    if z.size > MANY:
        cell |= _levels(z, limit, cell["colorbar"]) | {
            "hovertemplate": "position %{y}<br>dimension %{x}<extra></extra>"
        }
    elif columns:  # as category names they are sent once a column, where customdata would be once a cell
        cell |= {"x": list(columns), "hovertemplate": "position %{y}<br>%{x} = %{z:.4f}<extra></extra>"}
    else:
        cell["hovertemplate"] = "position %{y}<br>dimension %{x} = %{z:.4f}<extra></extra>"
    x = numbers_axis(n_column, look, "dimension", domain=[0, 0.9])
    if "x" in cell:
        x |= {"type": "category", "tickvals": [columns[at] for at in x["tickvals"]]}
    shapes = [heatmap.outline(0, at, n_column, 1, look.ink) for at, _ in framed if 0 <= at < n_row]
    words = [
        {"text": word, "x": 0.905, "xref": "paper", "xanchor": "left", "y": at, "yref": "y", "showarrow": False}
        for at, word in framed if 0 <= at < n_row
    ]  # fmt: skip
    traces = [cell, *_no_rows(n_row, len(names), n_column, look)]
    layout = look.layout(height=height, xaxis=x, yaxis=rows_axis(names, look, height - 60, title={"text": "position"}),
                         shapes=shapes, annotations=words, dragmode=False)  # fmt: skip
    return go.Figure(traces, layout, skip_invalid=True)


def _levels(z: Array, limit: float, bar: dict[str, Any]) -> dict[str, Any]:
    """A large signed matrix as one byte a cell, its colour bar in the matrix's own numbers."""
    ticks = {"tickmode": "array", "tickvals": [-127, 0, 127], "ticktext": [f"−{limit:g}", "0", f"{limit:g}"]}
    levels = np.clip(np.round(z / limit * 127), -127, 127).astype(np.int8)
    return {"z": levels, "zmin": -127, "zmax": 127, "colorbar": bar | ticks}


def _no_rows(first: int, stop: int, wide: int, look: Look) -> list[dict[str, Any]]:
    """Hatched ground over the positions first to stop that have no row."""
    if first >= stop:
        return []
    return [{
        "type": "scatter", "x": [-0.5, wide - 0.5, wide - 0.5, -0.5], "y": [first - 0.5, first - 0.5, stop - 0.5, stop - 0.5],
        "mode": "none", "fill": "toself", "hoverinfo": "skip",
        "fillpattern": {"shape": "/", "size": 8, "fgcolor": look.quiet, "bgcolor": look.masked, "fillmode": "replace"},
    }]  # fmt: skip


def waves(
    bands: Sequence[tuple[str, Array, Array | None, Array, Array | None]], names: Sequence[str], look: Look, *,
    fine: int, start: int = 0, marks: Sequence[tuple[float, str]] = (), height: int = 440,
) -> go.Figure:  # fmt: skip
    """Some columns over the positions, one band each: (name, sine, cosine or None, the sine and cosine between).

    The curves have ``fine`` points a position, the dots stand at whole positions: the model knows the dots alone.
    """
    purple, grey = look.role("weight"), look.quiet
    traces: list[dict[str, Any]] = []
    for level, (name, sine, cosine, sine_between, cosine_between) in enumerate(bands):
        base = -2.4 * level
        for dots, line, colour, dash, word in (
            (cosine, cosine_between, grey, "dot", "cos"),
            (sine, sine_between, purple, "solid", "sin"),
        ):
            if dots is None or line is None:
                continue
            called = f"{name}, {word}" if cosine is not None else name
            between = {"type": "scatter", "mode": "lines", "x0": start, "dx": 1 / fine, "y": np.float32(line + base)}
            traces.append(between | {"line": {"color": colour, "width": 1.8, "dash": dash}, "hoverinfo": "skip"})
            traces.append({"type": "scatter", "mode": "markers", "x0": start, "dx": 1, "y": np.float32(dots + base),
                           "marker": {"color": colour, "size": 6, "symbol": "circle" if word == "sin" else "circle-open"},
                           "customdata": np.float32(dots), "hovertemplate": f"position %{{x}}<br>{called} = %{{customdata:.4f}}<extra></extra>"})  # fmt: skip
    n = len(bands[0][1])
    step = max(1, round(n / 34 + 0.4))
    x = {"range": [start - 0.5, start + n - 0.5], "tickmode": "array", "tickvals": list(range(start, start + n, step)),
         "ticktext": [names[at] for at in range(0, n, step)], "tickangle": -60 if n <= 34 else 0, "showgrid": False,
         "zeroline": False, "automargin": True, "fixedrange": True, "title": {"text": "position"}, "ticks": ""}  # fmt: skip
    if n > 34:
        x |= {"tickmode": "auto", "nticks": 12, "tickvals": None, "ticktext": None}
    y = {"range": [-2.4 * len(bands) + 1.2, 1.35], "tickmode": "array", "tickvals": [-2.4 * at for at in range(len(bands))],
         "ticktext": [band[0] for band in bands], "showgrid": True, "gridcolor": look.faint, "zeroline": False,
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
    return go.Figure(traces, layout, skip_invalid=True)


def square(z: Array, look: Look, *, limit: float, value_name: str, title: str, pick: Sequence[tuple[int, int]] = (),
           height: int = 400) -> go.Figure:  # fmt: skip
    """A matrix over positions [row, column], without names: its stripes are the point."""
    cell = heatmap.trace(z, look, "signed", limit=limit, showscale=True, colorbar=heatmap.colour_bar(value_name, look))
    cell["hovertemplate"] = f"{title} %{{y}} and %{{x}}<br>{value_name} %{{z:.4f}}<extra></extra>"
    if z.size > MANY:
        cell |= _levels(z, limit, cell["colorbar"]) | {"hovertemplate": f"{title} %{{y}} and %{{x}}<extra></extra>"}
    x = numbers_axis(z.shape[1], look, title, constrain="domain")
    y = numbers_axis(z.shape[0], look, title, constrain="domain", scaleanchor="x", range=[z.shape[0] - 0.5, -0.5])
    shapes = [heatmap.outline(column, row, 1, 1, look.ink) for row, column in pick]
    return go.Figure(
        [cell], look.layout(height=height, xaxis=x, yaxis=y, shapes=shapes, dragmode=False), skip_invalid=True
    )


def by_offset(first: int, low: Array, middle: Array, high: Array, look: Look, *, y_title: str, mark: float,
              y_range: tuple[float, float], height: int = 400) -> go.Figure:  # fmt: skip
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
    return go.Figure(traces, layout, skip_invalid=True)


def turn(matrix: Array, hands: Sequence[tuple[str, float, float]], look: Look, *, names: tuple[str, str],
         height: int = 430) -> go.Figure:  # fmt: skip
    """M_φ [d_model, d_model] at the left; at the right up to four pairs as clocks: (name, angle before, angle after).

    A clock's hand points to (sine, cosine): at angle 0 it stands upright and turns like a clock's.
    """
    n = len(matrix)
    left = [0.0, 0.5]
    axes: dict[str, Any] = {
        "xaxis": numbers_axis(n, look, "PE(t)", domain=left, constrain="domain"),
        "yaxis": numbers_axis(n, look, "PE(t + φ)", range=[n - 0.5, -0.5], scaleanchor="x", constrain="domain"),
    }
    cell = heatmap.trace(matrix, look, "signed", limit=1.0) | {
        "hovertemplate": "row %{y}, column %{x}<br>%{z:.4f}<extra></extra>"
    }
    if matrix.size > MANY:
        cell |= _levels(matrix, 1.0, {}) | {"colorbar": None, "hovertemplate": "row %{y}, column %{x}<extra></extra>"}
    traces, words = [cell], []
    for at, (name, before, after) in enumerate(hands[:4]):
        down, across = divmod(at, 2)
        number = at + 2
        x_domain = [0.56 + 0.23 * across, 0.77 + 0.23 * across]
        y_domain = [0.54, 0.96] if down == 0 else [0.0, 0.42]
        plain = {
            "showgrid": False,
            "zeroline": False,
            "showticklabels": False,
            "fixedrange": True,
            "range": [-1.12, 1.12],
            "constrain": "domain",
        }
        axes[f"xaxis{number}"] = plain | {"domain": x_domain, "anchor": f"y{number}"}
        axes[f"yaxis{number}"] = plain | {"domain": y_domain, "anchor": f"x{number}", "scaleanchor": f"x{number}"}
        traces += [t | {"xaxis": f"x{number}", "yaxis": f"y{number}"} for t in _clock(before, after, look, names)]
        words.append({"text": name, "x": sum(x_domain) / 2, "y": y_domain[1], "xref": "paper", "yref": "paper",
                      "yanchor": "bottom", "showarrow": False})  # fmt: skip
    layout = look.layout(height=height, annotations=words, dragmode=False, **axes)
    return go.Figure(traces, layout, skip_invalid=True)


def _clock(before: float, after: float, look: Look, names: tuple[str, str]) -> list[dict[str, Any]]:
    ring = np.linspace(0, 2 * np.pi, 49)
    sweep = np.linspace(before, after, 33) if abs(after - before) < 2 * np.pi else np.linspace(0, 2 * np.pi, 49)
    face = {"type": "scatter", "mode": "lines", "hoverinfo": "skip"}

    def hand(angle: float, colour: str, dash: str, name: str) -> dict[str, Any]:
        return {"type": "scatter", "mode": "lines+markers", "x": np.float32([0, np.sin(angle)]), "y": np.float32([0, np.cos(angle)]),
                "line": {"color": colour, "width": 3, "dash": dash}, "marker": {"size": [0, 9], "color": colour},
                "hovertemplate": f"{name}<br>sin %{{x:.3f}}, cos %{{y:.3f}}<extra></extra>"}  # fmt: skip

    return [
        face | {"x": np.float32(np.sin(ring)), "y": np.float32(np.cos(ring)), "line": {"color": look.faint, "width": 2}},
        face | {"x": np.float32(0.55 * np.sin(sweep)), "y": np.float32(0.55 * np.cos(sweep)), "line": {"color": look.role("cell"), "width": 3}},
        hand(before, look.quiet, "dot", names[0]),
        hand(after, look.role("weight"), "solid", names[1]),
    ]  # fmt: skip


def plane(x: Array, y: Array, start: int, look: Look, *, titles: tuple[str, str], framed: Sequence[int] = (),
          height: int = 430) -> go.Figure:  # fmt: skip
    """Positions as points of a plane, joined in their order; every eighth one and the ``framed`` ones are numbered."""
    shown = [str(start + at) if (start + at) % 8 == 0 or at in framed else "" for at in range(len(x))]
    big = [13 if at in framed else 7 for at in range(len(x))]
    points = {"type": "scatter", "mode": "lines+markers+text", "x": np.float32(x), "y": np.float32(y), "text": shown,
              "textposition": "top center", "line": {"color": look.faint, "width": 1.5},
              "marker": {"size": np.uint8(big), "color": look.role("weight")},
              "customdata": np.arange(start, start + len(x), dtype=np.uint16),
              "hovertemplate": "position %{customdata}<br>%{x:.3f}, %{y:.3f}<extra></extra>"}  # fmt: skip
    axis = {"gridcolor": look.faint, "zeroline": False, "fixedrange": True, "automargin": True}
    layout = look.layout(height=height, dragmode=False, xaxis=axis | {"title": {"text": titles[0]}, "constrain": "domain"},
                         yaxis=axis | {"title": {"text": titles[1]}, "scaleanchor": "x", "constrain": "domain"})  # fmt: skip
    return go.Figure([points], layout, skip_invalid=True)


def order(
    blocks: Sequence[tuple[str, Array, Array]],
    words: Sequence[str],
    titles: Sequence[str],
    look: Look,
    *,
    row: int = 24,
) -> go.Figure:
    """The same tokens in two texts, output by output. Each block: (its name, first [token, feature], second [...]).

    A block is three maps side by side, the two texts and their difference; all maps share one colour range.
    """
    limit = heatmap.nice_limit(np.concatenate([np.ravel(part) for _, *parts in blocks for part in parts]), 0.98)
    height = len(blocks) * (row * len(words) + 62) + 10
    axes: dict[str, Any] = {}
    traces: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for down, (name, first, second) in enumerate(blocks):
        top = 1 - (down * (row * len(words) + 62) + 30) / height
        rows = [top - row * len(words) / height, top]
        for across, (z, title) in enumerate(zip((first, second, second - first), titles, strict=True)):
            number = 3 * down + across
            tail = str(number + 1) if number else ""
            columns = [0.345 * across, 0.345 * across + 0.31]
            names = words if across == 0 else None
            axes[f"xaxis{tail}"] = heatmap.axis(None, z.shape[1], look, domain=columns, anchor=f"y{tail}")
            axes[f"yaxis{tail}"] = heatmap.axis(names, len(z), look, down=True, domain=rows, anchor=f"x{tail}")
            cell = heatmap.trace(z, look, "signed", limit=limit, xaxis=f"x{tail}", yaxis=f"y{tail}")
            traces.append(cell | {"hovertemplate": f"{title}<br>feature %{{x}}<br>%{{z:.4g}}<extra></extra>"})
            words_above = f"<b>{name}</b> · {title}" if across == 0 else title
            notes.append({"text": words_above, "x": columns[0], "xanchor": "left", "y": top, "xref": "paper",
                          "yref": "paper", "yanchor": "bottom", "showarrow": False})  # fmt: skip
    frames = [
        {"type": "rect", "xref": f"{key[:1]}{key[5:]} domain", "yref": f"y{key[5:]} domain", "x0": 0, "x1": 1, "y0": 0,
         "y1": 1, "line": {"color": look.faint, "width": 1}} for key in axes if key.startswith("x")
    ]  # fmt: skip
    margin = {"l": 8, "r": 8, "t": 0, "b": 0}
    layout = look.layout(height=height, annotations=notes, shapes=frames, dragmode=False, margin=margin, **axes)
    return go.Figure(traces, layout, skip_invalid=True)
