"""Attention as one picture in the layout of a matrix product: rows meet columns where they are multiplied.

            Kᵀ (d_k × key)      V (key × d_v)
    Q       the grid            output
    (query  (query × key)       (query × d_v)
     × d_k)

The grid morphs in the browser through its stages; nothing is asked of the server.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures import heatmap
from app.figures.base import figure
from app.theme import FONT_SIZE, INK, Look

Array = np.ndarray


@dataclass(frozen=True)
class GridStage:
    """One state of the grid: ``z`` [query, key], how it is coloured, and what the step is called."""

    name: str
    z: Array
    kind: heatmap.Kind
    limit: float


def attention(
    q: Array, k: Array, v: Array, output: Array, stages: Sequence[GridStage], tokens: Sequence[str], look: Look, *,
    pick: tuple[int, int], shown: int, masked: Array | None = None, height: int = 590,
) -> go.Figure:  # fmt: skip
    """Q [query, d_k], K [key, d_k], V [key, d_v], output [query, d_v] and the grid, with one cell's row and column framed.

    The grid is trace 0 and its clickable cells are the last trace (row-major).
    """
    n_query, n_key = stages[0].z.shape
    limit = heatmap.nice_limit(np.concatenate([q, k, v], axis=None), 0.97)
    grid = _grid(stages[shown], look)
    blocks = [
        _block(q, "query %{y}<br>q[%{x}] = %{z:.3f}", limit, look, "x2", "y"),
        _block(k.T, "key %{x}<br>k[%{y}] = %{z:.3f}", limit, look, "x", "y2"),
        _block(v, "key %{y}<br>v[%{x}] = %{z:.3f}", limit, look, "x3", "y3"),
        _block(output, "output of %{y}<br>dimension %{x} = %{z:.3f}", limit, look, "x3", "y"),
    ]
    extra = heatmap.hatch(masked, look) if masked is not None else []
    i, j = pick
    shapes = [
        heatmap.outline(0, i, q.shape[1], 1, look.role("query"), xref="x2", yref="y"),
        heatmap.outline(j, 0, 1, k.shape[1], look.role("key"), xref="x", yref="y2"),
        heatmap.outline(0, j, v.shape[1], 1, look.role("value"), xref="x3", yref="y3"),
        heatmap.outline(j, i, 1, 1, look.ink, xref="x", yref="y"),
    ]
    layout = look.layout(
        height=height,
        xaxis=heatmap.axis(tokens, n_key, look, domain=GRID_X, anchor="y", tickangle=-60),
        yaxis=heatmap.axis(tokens, n_query, look, down=True, domain=GRID_Y, anchor="x2"),
        xaxis2=heatmap.axis(None, q.shape[1], look, domain=LEFT, anchor="y"),
        yaxis2=heatmap.axis(None, k.shape[1], look, down=True, domain=TOP, anchor="x"),
        xaxis3=heatmap.axis(None, v.shape[1], look, domain=RIGHT, anchor="y"),
        yaxis3=heatmap.axis(  # names for the hover alone
            tokens, n_key, look, down=True, most=n_key, domain=TOP, anchor="x3", showticklabels=False
        ),
        shapes=shapes,
        annotations=_titles(q, k, v, stages[shown], look),
        updatemenus=[_morph(stages, shown, look)],
        margin={"l": 8, "r": 8, "t": 76, "b": 8},
        dragmode=False,
        clickmode="event+select",
        hovermode="closest",
    )  # fmt: skip
    frames = [
        {"name": s.name, "data": [_grid(s, look)], "traces": [0],
         "layout": {"annotations": _titles(q, k, v, s, look)}} for s in stages
    ]  # fmt: skip
    return figure([grid, *blocks, *extra, _cells(stages)], layout, frames)


LEFT, GRID_X, RIGHT = [0.0, 0.17], [0.2, 0.79], [0.83, 1.0]
TOP, GRID_Y = [0.73, 1.0], [0.0, 0.61]


def _grid(stage: GridStage, look: Look) -> dict[str, Any]:
    return heatmap.trace(stage.z, look, stage.kind, limit=stage.limit) | {
        "xaxis": "x",
        "yaxis": "y",
        "hoverinfo": "skip",
    }


def _cells(stages: Sequence[GridStage]) -> dict[str, Any]:
    """The clickable cells with all stages of each under the pointer, whatever stage is on show."""
    n_query, n_key = stages[0].z.shape
    lines = "<br>".join(f"{s.name} = %{{customdata[{n}]:.4f}}" for n, s in enumerate(stages))
    every = np.stack([s.z.ravel() for s in stages], axis=-1).astype(np.float32)
    hover = f"query %{{y}} looks at key %{{x}}<br>{lines}<extra></extra>"
    return heatmap.clickable(n_query, n_key, customdata=every, hovertemplate=hover)


def _block(z: Array, hover: str, limit: float, look: Look, xaxis: str, yaxis: str) -> dict[str, Any]:
    block = heatmap.trace(z, look, "signed", limit=limit) | {"xaxis": xaxis, "yaxis": yaxis}
    if z.shape[0] * z.shape[1] > 2048:  # a wide head: one byte a cell, and no numbers under a two-pixel column
        block |= {
            "z": np.clip(z / limit * 127, -127, 127).astype(np.int8),
            "zmin": -127,
            "zmax": 127,
            "hoverinfo": "skip",
        }
        return block
    return block | {"hovertemplate": hover + "<extra></extra>"}


def _titles(q: Array, k: Array, v: Array, stage: GridStage, look: Look) -> list[dict[str, Any]]:
    low = f"−{stage.limit:g}" if stage.kind == "signed" else "0"

    def title(text: str, x: list[float], y: float, colour: str) -> dict[str, Any]:
        return {"text": text, "x": (x[0] + x[1]) / 2, "y": y, "xref": "paper", "yref": "paper", "showarrow": False,
                "yanchor": "bottom", "font": {"size": FONT_SIZE, "color": colour}}  # fmt: skip

    return [
        title(f"<b>Q</b><br>{q.shape[0]} × {q.shape[1]}", LEFT, GRID_Y[1], look.text("query")),
        title(f"<b>Kᵀ</b>  {k.shape[1]} × {k.shape[0]}", GRID_X, TOP[1], look.text("key")),
        title(f"<b>V</b><br>{v.shape[0]} × {v.shape[1]}", RIGHT, TOP[1], look.text("value")),
        title(f"<b>{stage.name}</b><br>{low} to {stage.limit:g}", GRID_X, GRID_Y[1], look.text("weight")),
        title(f"<b>output</b><br>{q.shape[0]} × {v.shape[1]}", RIGHT, GRID_Y[1], look.ink),
    ]


def _morph(stages: Sequence[GridStage], shown: int, look: Look) -> dict[str, Any]:
    # Plotly paints the pressed button near-white in every theme, so the words on it are dark in every theme.
    still = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    return {
        "type": "buttons", "direction": "right", "active": shown, "showactive": True, "x": 0.0, "y": 1.0, "xanchor": "left",
        "yanchor": "bottom", "pad": {"b": 34}, "font": {"size": FONT_SIZE, "color": INK["light"]},
        "bgcolor": look.quiet if look.mode == "dark" else look.faint, "bordercolor": look.faint,
        "buttons": [{"label": s.name, "method": "animate", "args": [[s.name], still]} for s in stages],
    }  # fmt: skip
