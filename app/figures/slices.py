"""One wide tensor drawn as the slices that the heads own: a band of coloured slices over the numbers themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures import heatmap
from app.figures.base import figure, unseen
from app.theme import FONT_SIZE, Look, mix

Array = np.ndarray
SIGNS = 127  # signed values as one byte a cell: −127 to 127
BAND = 0.2  # the band's share of the picture's height


@dataclass(frozen=True)
class Block:
    """One tensor of the row: ``z`` [token, feature], cut into ``cuts`` equal slices (0 draws no slices)."""

    name: str
    z: Array
    role: str
    cuts: int


def slices(
    blocks: Sequence[Block], tokens: Sequence[str], look: Look, *, pick: int, off: Sequence[int] = (), height: int = 170
) -> go.Figure:
    """Blocks side by side over the same tokens, each with its band of slices; slice ``pick`` is named and framed.

    A click on a slice reports its number as ``customdata``. Each block has its own colour range, ±the smallest of
    1, 2, 5 × 10ⁿ that holds 97 % of it.
    """
    n_token = len(tokens)
    gap = max(1, sum(block.z.shape[1] for block in blocks) // 90)
    traces: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    start = 0
    for block in blocks:
        width = block.z.shape[1]
        limit = heatmap.nice_limit(block.z, 0.97)
        traces.append(_picture(block.z, limit, start, look))
        words.append(_word(f"<b>{block.name}</b>  {n_token} × {width}, ±{limit:g}", start + width / 2 - 0.5, look.text(block.role)
                           if block.role in ("query", "key", "value") else look.ink))  # fmt: skip
        if block.cuts:
            traces += [_band(block, start, pick, off, look), _targets(block, start, n_token)]
            shapes.append(_frame(block, start, pick, n_token, look))
            words.append(_number(block, start, pick, look))
        start += width + gap
    layout = look.layout(
        height=height,
        xaxis=heatmap.axis(None, start - gap, look),
        yaxis=heatmap.axis(None, n_token, look, down=True, domain=[0, 1 - BAND], title={"text": "token"}),
        yaxis2={"range": [0, 1], "domain": [1 - BAND, 1], "visible": False, "fixedrange": True},
        shapes=shapes, annotations=words, margin={"l": 4, "r": 4, "t": 26, "b": 4},
        dragmode=False, clickmode="event+select", hovermode="closest",
    )  # fmt: skip
    return figure(traces, layout)


def _picture(z: Array, limit: float, start: int, look: Look) -> dict[str, Any]:
    levels = np.clip(np.rint(z / limit * SIGNS), -SIGNS, SIGNS).astype(np.int8)
    return {"type": "heatmap", "z": levels, "x0": start, "dx": 1, "zmin": -SIGNS, "zmax": SIGNS, "colorscale": look.diverging,
            "showscale": False, "hoverinfo": "skip"}  # fmt: skip


def _edges(block: Block, start: int, index: int) -> tuple[float, float]:
    width = block.z.shape[1] / block.cuts
    return start + index * width - 0.5, start + (index + 1) * width - 0.5


def _band(block: Block, start: int, pick: int, off: Sequence[int], look: Look) -> dict[str, Any]:
    """The coloured slices: two tints in turn, the picked one full, those that are off grey."""
    colour = look.role(block.role)
    kinds = [mix(look.background, colour, 0.25), mix(look.background, colour, 0.45), look.masked, colour]
    z = np.arange(block.cuts) % 2
    z[list(off)] = 2
    z[pick] = 3
    steps = [[edge / 4, shade] for at, shade in enumerate(kinds) for edge in (at, at + 1)]
    width = block.z.shape[1] / block.cuts
    return {"type": "heatmap", "z": z[None].astype(np.uint8), "x0": start + width / 2 - 0.5, "dx": width, "y0": 0.5, "dy": 1,
            "yaxis": "y2", "zmin": -0.5, "zmax": 3.5, "colorscale": steps, "showscale": False, "hoverinfo": "skip"}  # fmt: skip


def _frame(block: Block, start: int, pick: int, n_token: int, look: Look) -> dict[str, Any]:
    left, right = _edges(block, start, pick)
    return {"type": "rect", "x0": left, "x1": right, "y0": -0.5, "y1": n_token - 0.5,
            "line": {"color": look.role(block.role), "width": 2.5}}  # fmt: skip


def _word(text: str, x: float, colour: str) -> dict[str, Any]:
    return {"text": text, "x": x, "y": 1, "xref": "x", "yref": "paper", "yanchor": "bottom", "showarrow": False,
            "font": {"size": FONT_SIZE, "color": colour}}  # fmt: skip


def _number(block: Block, start: int, pick: int, look: Look) -> dict[str, Any]:
    left, right = _edges(block, start, pick)
    return {"text": f"<b>{pick}</b>", "x": (left + right) / 2, "y": 0.5, "yref": "y2", "showarrow": False,
            "font": {"size": FONT_SIZE, "color": look.background}, "bgcolor": look.role(block.role), "borderpad": 1}  # fmt: skip


def _targets(block: Block, start: int, n_token: int) -> dict[str, Any]:
    """Unseen marks over the slices, a few a slice: Plotly reports no click on a heatmap itself."""
    n_row = min(n_token, 2)
    row, index = np.divmod(np.arange(n_row * block.cuts), block.cuts)
    width = block.z.shape[1] / block.cuts
    return {
        "type": "scatter", "x": (start + (index + 0.5) * width - 0.5).astype(np.float32),
        "y": ((row + 0.5) * n_token / n_row - 0.5).astype(np.float32), "customdata": index.astype(np.uint8),
        "hovertemplate": f"{block.name} of head %{{customdata}}: {width:g} of its {block.z.shape[1]} columns<extra></extra>",
    } | unseen(30)  # fmt: skip
