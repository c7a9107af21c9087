"""A gradient on its way back through time: norms on a log axis, and the same as a relay of states."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures import heatmap
from app.figures.base import Drawing, figure, unseen
from app.theme import FONT_SIZE, Look, mix

Array = np.ndarray
FLOAT32_TOP, FLOAT32_BOTTOM = 38.53, -44.85  # log10 of the largest and of the smallest positive float32


@dataclass(frozen=True)
class Line:
    """One curve: log10 of a norm at every step; inf and −inf (an exact zero) are drawn at the edge of float32."""

    name: str
    log10: Array  # [step]
    role: str  # a role of the theme, or "ink"
    dash: str = "solid"


def norms(
    lines: Sequence[Line], characters: Sequence[str], look: Look, *, y_title: str, pick: int | None = None, click: bool = False,
    height: int = 400,
) -> go.Figure:  # fmt: skip
    """Curves over the steps 1 to T. Where float32 ran out, a band says so and marks stand in place of the curve.

    Args:
        characters: [step] inert labels of what each step read, for the hover text.
        pick: the step (0-based) to mark with an upright rule.
        click: put invisible marks on the first curve; a click reports the step as ``x`` (1-based).
    """
    n = len(characters)
    steps = np.arange(1, n + 1)
    low, high = _span(lines)
    traces: list[dict[str, Any]] = []
    for line in lines:
        colour = look.ink if line.role == "ink" else look.role(line.role)
        inside = np.where(np.isfinite(line.log10), line.log10, np.nan)
        hover = f"step %{{x}} reads %{{customdata[0]}}<br>{line.name}<br>%{{customdata[1]}}<extra></extra>"
        custom = np.stack([np.asarray(characters, dtype=object), [power(v) for v in line.log10]], axis=-1)
        traces.append({"type": "scatter", "mode": "lines", "x": steps, "y": inside.astype(np.float32), "name": line.name,
                       "line": {"color": colour, "width": 3, "dash": line.dash}, "customdata": custom, "hovertemplate": hover})  # fmt: skip
        traces += _beyond(line, steps, colour, hover, custom)
    if click:
        y = np.clip(np.nan_to_num(lines[0].log10, nan=0.0), low, high).astype(np.float32)
        marks = {"type": "scatter", "x": steps, "y": y, "hoverinfo": "skip", "showlegend": False}
        traces.append(marks | unseen(26))
    axis = {
        "gridcolor": look.faint,
        "zeroline": False,
        "fixedrange": True,
        "tickfont": {"size": FONT_SIZE},
        "automargin": True,
    }
    ticks = _ticks(low, high)
    layout = look.layout(
        xaxis=axis | {"title": {"text": "step t"}, "range": [0.5, n + 0.5]},
        yaxis=axis | {"title": {"text": y_title}, "range": [low, high], "tickvals": ticks, "ticktext": [f"10{_raised(t)}" for t in ticks]},
        height=height, showlegend=True, hovermode="closest", dragmode=False, clickmode="event+select",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "font": {"size": FONT_SIZE}, "itemclick": False, "itemdoubleclick": False},
        shapes=_limits(low, high, look) + ([_rule(pick + 1, look)] if pick is not None else []),
        annotations=_limit_words(low, high, look),
    )  # fmt: skip
    return figure(traces, layout)


def power(log10: float) -> str:
    """A number given by its log10, as people read it: 0.0123, 4.2·10⁻¹⁷, 0 (too small for float32)."""
    if math.isnan(log10):
        return "not a number"
    if math.isinf(log10):
        return "overflow: inf in float32" if log10 > 0 else "0 in float32"
    if -3 <= log10 < 4:
        return f"{10**log10:.4g}"
    whole = math.floor(log10)
    return f"{10 ** (log10 - whole):.2f}·10{_raised(whole)}"


def _raised(number: float) -> str:
    return str(int(number)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _span(lines: Sequence[Line]) -> tuple[float, float]:
    """The axis: all measured norms, the float32 limits where they were hit, in whole powers of ten.

    A bound (role "ink") may leave the picture at the top, so that it does not press the measured curves flat.
    """
    measured = np.concatenate([line.log10 for line in lines if line.role != "ink"])
    bounds = np.concatenate([np.empty(0), *(line.log10 for line in lines if line.role == "ink")])
    known = measured[np.isfinite(measured)]
    low, high = (float(known.min()), float(known.max())) if known.size else (-1.0, 1.0)
    over = bool(np.any(np.isposinf(measured)))
    known = bounds[np.isfinite(bounds)]
    if known.size:
        low, top = min(low, float(known.min())), float(known.max())
        high = max(high, top if over else min(top, high + max(6.0, high - low)))
    if over:
        high = max(high, FLOAT32_TOP + 2)
    if np.any(np.isneginf(measured)):
        low = min(low, FLOAT32_BOTTOM - 2)
    low, high = min(low, -1.0), max(high, 0.5)
    pad = 0.04 * (high - low)
    return low - pad, high + pad


def _ticks(low: float, high: float) -> list[int]:
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if (high - low) / s <= 7)
    return list(range(math.ceil(low / step) * step, math.floor(high / step) * step + 1, step))


def _beyond(line: Line, steps: Array, colour: str, hover: str, custom: Array) -> list[dict[str, Any]]:
    """Marks at the edge of float32 for the steps whose norm it could not hold."""
    marks = []
    for flag, edge, symbol in (
        (np.isposinf, FLOAT32_TOP, "triangle-up"),
        (np.isneginf, FLOAT32_BOTTOM, "triangle-down"),
    ):
        at = flag(line.log10)
        if at.any():
            marks.append({"type": "scatter", "mode": "markers", "x": steps[at], "y": np.full(int(at.sum()), edge, np.float32),
                          "marker": {"color": colour, "size": 8, "symbol": symbol}, "customdata": custom[at],
                          "hovertemplate": hover, "showlegend": False, "name": line.name})  # fmt: skip
    return marks


def _limits(low: float, high: float, look: Look) -> list[dict[str, Any]]:
    """A band over all that float32 cannot hold, where it is in sight."""
    band = {
        "type": "rect",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "fillcolor": look.masked,
        "opacity": 0.35,
        "line": {"width": 0},
        "layer": "below",
    }
    bands = []
    if high > FLOAT32_TOP:
        bands.append(band | {"y0": FLOAT32_TOP, "y1": high})
    if low < FLOAT32_BOTTOM:
        bands.append(band | {"y0": low, "y1": FLOAT32_BOTTOM})
    return bands


def _limit_words(low: float, high: float, look: Look) -> list[dict[str, Any]]:
    note = {"xref": "paper", "showarrow": False, "font": {"size": FONT_SIZE, "color": look.ink}}
    words = []
    if high > FLOAT32_TOP:
        words.append(
            note
            | {
                "x": 0.01,
                "xanchor": "left",
                "y": FLOAT32_TOP,
                "yanchor": "bottom",
                "text": "overflow: past 3.4·10³⁸ float32 says inf",
            }
        )
    if low < FLOAT32_BOTTOM:
        words.append(
            note
            | {
                "x": 0.01,
                "xanchor": "left",
                "y": FLOAT32_BOTTOM,
                "yanchor": "top",
                "text": "exactly 0: float32 has nothing below 1.4·10⁻⁴⁵",
            }
        )
    return words


def _rule(at: float, look: Look) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": at,
        "x1": at,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": look.ink, "width": 1.5, "dash": "dot"},
    }


def relay(
    characters: Sequence[str], log10: Array, first: int, look: Look, *, pick: int | None = None, height: int = 250
) -> go.Figure:
    """The network unrolled: each state hands the next one on; going back, each hands its gradient to the one before.

    Args:
        characters: inert labels of the window's steps; log10: [step] log10 of ‖∂L/∂h‖ at those steps.
        first: the 1-based number of the window's first step.

    A state is filled by its gradient, from 1 (full colour) over six powers of ten to nothing; under each arrow stands
    the factor by which the gradient changes on its way back.
    """
    n = len(characters)
    share = np.clip(1 + np.nan_to_num(log10, neginf=-99.0, posinf=0.0) / 6, 0, 1)
    red = look.role("gradient")
    fills = [mix(look.background, red, float(s)) for s in share]
    ring = [look.ink if i == pick else look.role("hidden") for i in range(n)]
    hover = [
        f"step {first + i} reads {c}<br>‖∂L/∂h‖ = {power(float(v))}"
        for i, (c, v) in enumerate(zip(characters, log10, strict=True))
    ]
    states = {"type": "scatter", "mode": "markers", "x": list(range(n)), "y": [1] * n, "hovertext": hover,
              "hovertemplate": "%{hovertext}<extra></extra>",
              "marker": {"size": 27, "color": fills, "line": {"color": ring, "width": [5 if i == pick else 3 for i in range(n)]}}}  # fmt: skip
    inputs = {"type": "scatter", "mode": "text", "x": list(range(n)), "y": [0] * n, "text": [f"<b>{c}</b><br>{first + i}" for i, c in enumerate(characters)],
              "hoverinfo": "skip", "textfont": {"size": FONT_SIZE, "color": look.ink}}  # fmt: skip
    notes = []
    for i in range(n):
        notes.append(_arrow(i, 0.28, i, 0.72, look.quiet, 2))
        if i:
            notes.append(_arrow(i - 0.74, 1.0, i - 0.27, 1.0, look.role("hidden"), 3))
            notes.append(_arrow(i - 0.27, 1.42, i - 0.74, 1.42, red, 3))
            notes.append({"x": i - 0.5, "y": 1.52, "yanchor": "bottom", "showarrow": False, "text": _factor(log10[i - 1], log10[i]),
                          "font": {"size": FONT_SIZE, "color": look.text("gradient")}})  # fmt: skip
    bare = {"visible": False, "fixedrange": True}
    layout = look.layout(xaxis=bare | {"range": [-0.6, n - 0.4]}, yaxis=bare | {"range": [-0.35, 1.95]}, height=height,
                         annotations=notes, dragmode=False)  # fmt: skip
    return figure([states, inputs], layout)


def _factor(before: float, after: float) -> str:
    if not (math.isfinite(before) and math.isfinite(after)):
        return "?" if not math.isinf(before) else "inf" if before > 0 else "0"
    factor = 10 ** min(before - after, 30)
    return f"×{factor:.2f}" if 0.01 <= factor < 100 else f"×{factor:.0e}"


def _arrow(x0: float, y0: float, x1: float, y1: float, colour: str, width: float) -> dict[str, Any]:
    return {"x": x1, "y": y1, "ax": x0, "ay": y0, "xref": "x", "yref": "y", "axref": "x", "ayref": "y", "text": "",
            "showarrow": True, "arrowhead": 2, "arrowsize": 0.9, "arrowwidth": width, "arrowcolor": colour}  # fmt: skip


def per_step(
    values: Array, characters: Sequence[str], names: Sequence[str], look: Look, kind: heatmap.Kind, *, limit: float | None = None,
    role: str | None = None, row_title: str = "unit", value_name: str = "h", pick: int | None = None, click: bool = False, height: int = 420,
) -> go.Figure:  # fmt: skip
    """A heatmap [unit, step] over the text, with the picked step framed as a column; at most 60 characters are named."""
    n_row, n_step = values.shape
    drawing = heatmap.heatmap(
        values, names, characters if n_step <= 60 else None, look, kind, limit=limit, role=role, row_title=row_title,
        column_title="step, by the character it reads" if n_step <= 60 else f"step 1 to {n_step}", value_name=value_name,
        numbers=False, click=click, most=60, height=height,
    )  # fmt: skip
    every = max(1, n_row // 8)
    steps = {"tickvals": list(range(n_step)), "ticktext": list(characters)} if n_step <= 60 else {}
    rows = {"tickvals": list(range(0, n_row, every)), "ticktext": list(names)[::every]}
    drawing = drawing.amended(xaxis={"tickangle": 0, **steps}, yaxis=rows)
    if pick is None:
        return drawing
    held = drawing.plain
    shapes = [*held["layout"].get("shapes", ()), heatmap.outline(pick, 0, 1, n_row, look.ink)]
    return Drawing(held | {"layout": held["layout"] | {"shapes": shapes}})
