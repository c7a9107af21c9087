"""A mask at work, in one row: the scores, the scores after the mask, the weights, and what each row adds up to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures import heatmap
from app.figures.base import figure
from app.theme import FONT_SIZE, Look

Array = np.ndarray
PANELS = ([0.0, 0.28], [0.3, 0.58], [0.6, 0.88])
SUMS = [0.9, 1.0]


def panels(
    scaled: Array, masked: Array, weights: Array, future: Array, tokens: Sequence[str], look: Look, *,
    limit: float, hatched: tuple[bool, bool], titles: Sequence[str], height: int = 430,
) -> go.Figure:  # fmt: skip
    """Three maps [query, key] side by side and the row sums of the last.

    Args:
        future: bool [query, key], True on the cells that a causal model may not see; a line runs along their border.
        limit: both score maps are coloured from −limit to limit, so that they can be compared; beyond takes the end.
        hatched: whether ``future`` is masked in the second and in the third map; otherwise its values are drawn.
    """
    n = len(tokens)
    maps = [
        (scaled, "signed", limit, False, "score"), (masked, "signed", limit, hatched[0], "after the mask"),
        (weights, "probability", 1.0, hatched[1], "weight"),
    ]  # fmt: skip
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"yaxis": heatmap.axis(tokens, n, look, down=True, **_frame(look))}
    for place, (z, kind, top, hide, name) in enumerate(maps):
        number = "" if place == 0 else str(place + 1)
        where = {"xaxis": f"x{number}", "yaxis": "y"}
        shown = np.where(future, np.nan, z) if hide else np.nan_to_num(z, neginf=-3e38)
        hover = f"query %{{y}}, key %{{x}}<br>{name} %{{z:.4g}}<extra></extra>"
        traces.append(heatmap.trace(shown, look, kind, limit=top, hovertemplate=hover, **where))  # type: ignore[arg-type]
        traces += heatmap.hatch(future, look, **where) if hide else []
        traces.append(_border(n, look, **where))
        names = tokens if n <= 14 else None
        layout[f"xaxis{number}"] = heatmap.axis(
            names, n, look, domain=PANELS[place], anchor="y", tickangle=-60, **_frame(look)
        )
    sums = weights.sum(-1, keepdims=True)
    traces.append(
        heatmap.trace(sums, look, limit=1.0, xaxis="x4", yaxis="y", texttemplate="%{z:.2f}", textfont={"size": FONT_SIZE},
                      hovertemplate="row of %{y} adds up to %{z:.4g}<extra></extra>")
    )  # fmt: skip
    layout["xaxis4"] = heatmap.axis(None, 1, look, domain=SUMS, anchor="y", **_frame(look))
    centres = [sum(domain) / 2 for domain in (*PANELS, SUMS)]
    words = [
        {"text": title, "x": x, "y": 1, "xref": "paper", "yref": "paper", "xanchor": "center", "yanchor": "bottom", "showarrow": False,
         "font": {"size": FONT_SIZE, "color": look.text("weight") if at == 2 else look.ink}}
        for at, (title, x) in enumerate(zip((*titles, "sum"), centres, strict=True))
    ]  # fmt: skip
    margin = {"l": 8, "r": 8, "t": 30, "b": 8}
    return figure(
        traces,
        look.layout(height=height, annotations=words, margin=margin, dragmode=False, **layout),
    )


def _frame(look: Look) -> dict[str, Any]:
    return {"showline": True, "mirror": True, "linecolor": look.faint}


def _border(n: int, look: Look, **where: str) -> dict[str, Any]:
    """The stairs between what a row may see and what it may not."""
    x = np.repeat(np.arange(n), 2) + 0.5
    y = np.concatenate([[-0.5], np.repeat(np.arange(n - 1), 2) + 0.5, [n - 0.5]])
    return {"type": "scatter", "mode": "lines", "x": x.astype(np.float32), "y": y.astype(np.float32), "hoverinfo": "skip",
            "line": {"color": look.ink, "width": 1.5}, **where}  # fmt: skip


def growing(weights: Array, n_prompt: int, n_now: int, tokens: Sequence[str], look: Look) -> go.Figure:
    """The triangle of a text that is being written: rows up to ``n_now`` are there, the last one is framed, the rest of
    the square is empty. A line parts the prompt from what the model wrote.

    Args:
        weights: [query, key] of the whole text; only the first n_now rows and columns are drawn.
    """
    n = len(tokens)
    z = np.full((n, n), np.nan, dtype=np.float32)
    z[:n_now, :n_now] = weights[:n_now, :n_now]
    future = np.zeros((n, n), dtype=bool)
    future[:n_now, :n_now] = ~np.tri(n_now, dtype=bool)
    z[future] = np.nan
    hover = "%{y} looks at %{x}<br>weight %{z:.4f}<extra></extra>"
    written = [t if at < n_now else "" for at, t in enumerate(tokens)]
    shapes = [heatmap.outline(0, n_now - 1, n_now, 1, look.ink)]
    if n_prompt < n:
        shapes.append({"type": "line", "x0": -0.5, "x1": n - 0.5, "y0": n_prompt - 0.5, "y1": n_prompt - 0.5,
                       "line": {"color": look.quiet, "width": 1.5, "dash": "dot"}})  # fmt: skip
    bar = heatmap.colour_bar("weight", look)
    layout = look.layout(
        xaxis=heatmap.axis(written, n, look, tickangle=-60, **_frame(look)),
        yaxis=heatmap.axis(written, n, look, down=True, **_frame(look)),
        height=max(500, 110 + 19 * n), shapes=shapes, dragmode=False,  # a row has the height of its name
    )  # fmt: skip
    cells = heatmap.trace(z, look, hovertemplate=hover, showscale=True, colorbar=bar)
    return figure([cells, *heatmap.hatch(future, look)], layout)
