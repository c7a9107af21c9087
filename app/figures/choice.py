"""From logits to one token: the same tokens as bars, stage after stage, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures.base import figure
from app.theme import FONT_SIZE, Look

Array = np.ndarray
GAP = 0.025


@dataclass(frozen=True)
class Panel:
    """One stage: a bar a token. Tokens that are not ``kept`` are drawn pale and hatched, as long as they were."""

    title: str
    values: Array  # [token]
    kept: Array  # bool [token]
    written: str = ".2f"  # how a number beside its bar looks
    shared: bool = True  # whether its axis is that of the other panels; the logits have their own


def choice(
    panels: Sequence[Panel], tokens: Sequence[str], look: Look, *, drawn: int | None = None, height: int = 500
) -> go.Figure:
    """Panels over the same tokens (inert labels), the first on top; ``drawn`` is the token that was drawn."""
    n, wide = len(tokens), (1 - GAP * (len(panels) - 1)) / len(panels)
    top = max(float(p.values.max()) for p in panels if p.shared) or 1.0
    axes: dict[str, Any] = {}
    traces, notes = [], []
    for at, panel in enumerate(panels):
        number = "" if at == 0 else str(at + 1)
        low = min(0.0, float(panel.values.min())) if not panel.shared else 0.0
        high = top if panel.shared else max(float(panel.values.max()), 1e-6)
        left = at * (wide + GAP)
        axes[f"xaxis{number}"] = {
            "domain": [left, left + wide], "range": [low, high + (high - low) * 0.45], "fixedrange": True, "anchor": "y",
            "showgrid": False, "zeroline": True, "zerolinecolor": look.faint, "showticklabels": False, "ticks": "",
        }  # fmt: skip
        traces.append(_bars(panel, tokens, look, f"x{number}", drawn if at == len(panels) - 1 else None))
        notes.append({"text": f"<b>{panel.title}</b>", "x": left, "y": 1.0, "xref": "paper", "yref": "paper", "xanchor": "left",
                      "yanchor": "bottom", "showarrow": False, "font": {"size": FONT_SIZE}})  # fmt: skip
    yaxis = {
        "range": [n - 0.5, -0.5], "fixedrange": True, "tickmode": "array", "tickvals": list(range(n)), "ticktext": list(tokens),
        "ticks": "", "showgrid": False, "zeroline": False, "automargin": True, "tickfont": {"size": FONT_SIZE, "color": look.ink},
    }  # fmt: skip
    layout = look.layout(yaxis=yaxis, annotations=notes, height=height, dragmode=False, bargap=0.18, **axes)
    layout["margin"] = {"l": 8, "r": 8, "t": 34, "b": 4}
    return figure(traces, layout)


def _bars(panel: Panel, tokens: Sequence[str], look: Look, xaxis: str, drawn: int | None) -> dict[str, Any]:
    plain = look.role("weight")
    colours = [look.ink if at == drawn else plain if kept else look.masked for at, kept in enumerate(panel.kept)]
    words = [
        (f"{value:{panel.written}}" + (" drawn" if at == drawn else "")) if kept else ""
        for at, (value, kept) in enumerate(zip(panel.values, panel.kept, strict=True))
    ]
    hatch = ["" if kept else "/" for kept in panel.kept]
    return {
        "type": "bar", "orientation": "h", "x": np.asarray(panel.values, dtype=np.float32), "y": np.arange(len(tokens)),
        "xaxis": xaxis, "yaxis": "y", "customdata": list(tokens), "text": words, "textposition": "outside", "cliponaxis": False,
        "textfont": {"size": FONT_SIZE, "color": look.ink},
        "marker": {"color": colours, "pattern": {"shape": hatch, "fgcolor": look.quiet, "size": 5, "solidity": 0.15}},
        "hovertemplate": f"%{{customdata}}<br>{panel.title} %{{x:.4g}}<extra></extra>",
    }  # fmt: skip
