"""Attention as arcs over a line of tokens: above it what each token looks at, below it who looks at the picked one.

Arcs of equal strength share a trace with gaps, so a sentence of 64 tokens costs a handful of traces, not thousands.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures import heatmap
from app.figures.base import figure, unseen
from app.theme import Look

Array = np.ndarray
STEPS = np.linspace(0, np.pi, 9)  # drawn as a spline
STRENGTHS = (0.0, 0.1, 0.25, 0.5, 0.75)  # lower ends of the classes in which arcs are drawn alike


def arcs(
    weights: Array, tokens: Sequence[str], look: Look, pick: int, *, least: float = 0.05, height: int = 430
) -> go.Figure:
    """Weights [query, key] with the token ``pick``'s own row above the line and its column below it.

    The other tokens' rows are drawn faintly above (of a long sentence only their strong links). Weights under ``least`` and those of a token on itself have no arc.
    The clickable tokens are the last trace.
    """
    n = len(tokens)
    drawn = np.where(np.eye(n, dtype=bool) | (weights < least), 0.0, weights)
    others, row, column = drawn.copy(), np.zeros_like(drawn), np.zeros_like(drawn)
    if n > 24:  # a long sentence's hundreds of weak links would be a grey cloud
        others[others < 4 * least] = 0.0
    others[pick], row[pick], column[:, pick] = 0.0, drawn[pick], drawn[:, pick]
    traces = [
        *_side(others, look.role("weight"), 1, faint=True),
        *_side(row, look.role("query"), 1),
        *_side(column, look.role("key"), -1),
    ]
    sizes = [weights[pick, at] for at in range(n)], [weights[at, pick] for at in range(n)]
    hover = f"looked at by {tokens[pick]}: %{{customdata[0]:.3f}}<br>looks at {tokens[pick]}: %{{customdata[1]:.3f}}"
    marks = {
        "type": "scatter", "x": np.arange(n, dtype=np.uint8), "y": np.zeros(n, dtype=np.uint8),
        "customdata": np.array(sizes, dtype=np.float32).T, "text": list(tokens), "hovertemplate": "%{text}<br>" + hover + "<extra></extra>",
    } | unseen(40)  # fmt: skip
    band = _band(tokens)
    top = max(1.0, *(_span(part) / 2 for part in (others, row)))
    bottom = max(1.0, _span(column) / 2)
    share = band / height
    unit = (top + bottom) / (1 - share)  # the band of words takes its pixels, the arcs share the rest
    y = {"range": [-bottom - share * unit / 2, top + share * unit / 2], "visible": False, "fixedrange": True}
    half = share * unit / 2
    for trace in traces:  # arcs stand on the band's edge
        trace["y"] = np.float32(trace["y"] + trace.pop("meta") * half)
    words = [f"<b>{token}</b>" if at == pick else token for at, token in enumerate(tokens)]
    x = heatmap.axis(words, n, look, range=[-0.7, n - 0.3], anchor="free", automargin=False, showline=False,
                     position=(bottom + share * unit) / unit, autotickangles=[0, -90])  # fmt: skip
    x |= {"tickvals": list(range(n)), "ticktext": words}  # all of them, however many
    frame = heatmap.outline(pick, 0, 0.9, 0, look.ink) | {"x0": pick - 0.45, "x1": pick + 0.45, "y0": -half, "y1": half}
    layout = look.layout(
        xaxis=x, yaxis=y, height=height, dragmode=False, clickmode="event+select", hovermode="closest", shapes=[frame],
    )  # fmt: skip
    return figure([*traces, marks], layout)


def _side(part: Array, colour: str, up: int, faint: bool = False) -> list[dict[str, Any]]:
    """The arcs of weights [query, key] in classes of strength; ``meta`` keeps the side until the band is known."""
    traces = []
    for low, high in zip(STRENGTHS, (*STRENGTHS[1:], np.inf), strict=True):
        query, key = np.nonzero((part > low) & (part <= high))
        if not len(query):
            continue
        middle, radius = (query + key)[:, None] / 2, (query - key)[:, None] / 2
        x = middle + radius * np.cos(STEPS)
        y = up * np.abs(radius) * np.sin(STEPS)
        gap = np.full((len(query), 1), np.nan)
        strength = min(1.0, (low + min(high, 1.0)) / 2)
        line = {"color": colour, "width": 1 + (3 if faint else 7) * strength, "shape": "spline", "smoothing": 1.3}
        traces.append({
            "type": "scatter", "mode": "lines", "hoverinfo": "skip", "line": line, "meta": up,
            "opacity": 0.12 + 0.25 * strength if faint else 0.35 + 0.65 * strength,
            "x": np.float32(np.hstack([x, gap])).ravel(), "y": np.float32(np.hstack([y, gap])).ravel(),
        })  # fmt: skip
    return traces


def _span(part: Array) -> float:
    """The longest distance that an arc bridges, in tokens."""
    query, key = np.nonzero(part)
    return float(np.abs(query - key).max()) if len(query) else 0.0


def _band(tokens: Sequence[str]) -> int:
    """Pixels of height that the words take: one line, or their length when they must stand on end."""
    lying = len(tokens) <= 18 and sum(map(len, tokens)) <= 95
    return 34 if lying else 24 + 9 * min(16, max(map(len, tokens)))
