"""Figures of byte-pair encoding: the counts that decide a merge, and the tree that a word's tokens grew on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import altair as alt
import numpy as np
import plotly.graph_objects as go

from app.figures.base import figure
from app.figures.charts import UNFILLED, Chart, filled, finish
from app.theme import FONT_SIZE, Look


@dataclass(frozen=True)
class Bar:
    """A pair and its count; ``state`` is "chosen", "tied" (the same count, but younger symbols) or "other"."""

    label: str
    count: int
    state: str


@dataclass(frozen=True)
class Node:
    """A symbol of a word's tree; ``left`` and ``right`` are places in the list of nodes, None at a leaf."""

    label: str  # inert (``text.plotly``)
    hint: str  # inert
    start: int
    end: int
    left: int | None = None
    right: int | None = None


def candidates(bars: Sequence[Bar], look: Look, height: int = 230) -> Chart:
    """Sideways bars, the first on top, each with its count written at its end."""
    seen = tuple(state for state in ("chosen", "tied", "other") if any(bar.state == state for bar in bars))
    spec = _candidates(seen, look, height)
    # Two equal names are two bars: the place is the category and the name is only written beside it.
    rows = [
        {"key": f"{at}\u200b{bar.label}", "pair": bar.label, "count": bar.count, "state": bar.state}
        for at, bar in enumerate(bars)
    ]
    domain = {"domain": [0, max((bar.count for bar in bars), default=1) * 1.08]}
    layers = []
    for layer in spec["layer"]:
        encoding = layer["encoding"] | {"x": layer["encoding"]["x"] | {"scale": domain}}
        layers.append(layer | {"encoding": encoding})
    return filled(spec | {"layer": layers}, rows, rows)


@lru_cache(maxsize=32)
def _candidates(seen: tuple[str, ...], look: Look, height: int) -> dict[str, Any]:
    shades = {"chosen": look.role("weight"), "tied": look.role("cell"), "other": look.masked}
    label = alt.Axis(labelExpr="split(datum.label, '\u200b')[1]", labelLimit=220)
    base = alt.Chart(UNFILLED).encode(
        y=alt.Y("key:N", sort=None, title=None, axis=label),
        x=alt.X("count:Q", title="times in the text", axis=alt.Axis(tickCount=5, format="d")),
        tooltip=[alt.Tooltip("pair:N"), alt.Tooltip("count:Q"), alt.Tooltip("state:N")],
    )
    colour = alt.Color("state:N", scale=alt.Scale(domain=list(seen), range=[shades[s] for s in seen]), title=None)
    words = base.mark_text(align="left", dx=5, color=look.ink, fontSize=FONT_SIZE).encode(text="count:Q")
    return finish(alt.layer(base.mark_bar().encode(color=colour), words), look, height).to_dict()


def tree(nodes: Sequence[Node], roots: Sequence[int], look: Look, *, least_height: int = 120) -> go.Figure:
    """Leaves at the bottom, each merge above its two parts, the tokens on top of their trees in full colour."""
    level = _levels(nodes)
    middle = [(node.start + node.end - 1) / 2 for node in nodes]
    edges: list[tuple[float, float]] = []
    for at, node in enumerate(nodes):
        for part in (node.left, node.right):
            if part is not None:
                edges += [(middle[at], level[at]), (middle[part], level[part]), (np.nan, np.nan)]
    xs, ys = np.array(edges, dtype=np.float32).reshape(-1, 2).T
    lines = {"type": "scatter", "x": xs, "y": ys, "mode": "lines", "hoverinfo": "skip",
             "line": {"color": look.role("weight"), "width": 1.8}}  # fmt: skip
    marks = {"type": "scatter", "x": np.array(middle, dtype=np.float32), "y": np.array(level, dtype=np.float32), "mode": "markers", "opacity": 0,
             "marker": {"size": 26}, "text": [node.hint for node in nodes], "hovertemplate": "%{text}<extra></extra>"}  # fmt: skip
    words = [_word(node, middle[at], level[at], at in set(roots), look) for at, node in enumerate(nodes)]
    n_leaf, top = max((node.end for node in nodes), default=1), max(level, default=0)
    plain = {
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
        "fixedrange": True,
        "ticks": "",
        "showline": False,
    }
    layout = look.layout(
        xaxis=plain | {"range": [-0.8, n_leaf - 0.2]}, yaxis=plain | {"range": [-0.6, top + 0.6]}, annotations=words,
        height=max(least_height, 70 + 46 * top), dragmode=False, hovermode="closest",
    )  # fmt: skip
    return figure([lines, marks], layout)


def _levels(nodes: Sequence[Node]) -> list[int]:
    """A leaf stands on 0, a merge one above the higher of its parts. Parts come before what they make."""
    level: list[int] = []
    for node in nodes:
        parts = [level[part] for part in (node.left, node.right) if part is not None]
        level.append(1 + max(parts) if parts else 0)
    return level


def _word(node: Node, x: float, y: float, root: bool, look: Look) -> dict[str, Any]:
    strong = look.role("weight")
    return {"x": x, "y": y, "text": f"<b>{node.label}</b>" if root else node.label, "showarrow": False, "borderpad": 3,
            "bgcolor": strong if root else look.panel, "bordercolor": strong if root else look.faint, "borderwidth": 1,
            "font": {"size": FONT_SIZE, "color": look.background if root else look.ink}}  # fmt: skip
