"""All of an LSTM over a text in one picture: gates, candidate, cell and hidden, one band each, the steps in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures import heatmap
from app.figures.base import figure, unseen
from app.theme import FONT_SIZE, Look

Array = np.ndarray


@dataclass(frozen=True)
class Band:
    """One quantity: ``z`` [unit, step]. Without a limit it is a gate, 0 to 1 in its role's own colour."""

    symbol: str
    name: str
    role: str
    z: Array
    limit: float | None = None


def stack(
    bands: Sequence[Band],
    units: Sequence[str],
    characters: Sequence[str],
    look: Look,
    *,
    pick: tuple[int, int],
    height: int = 520,
) -> go.Figure:
    """Bands from top to bottom over the same steps. The last trace holds clickable marks: x is the step, y the place
    ``band · n_unit + unit``.

    Args:
        units, characters: inert labels; pick: (row of ``units``, step) to frame in every band.
    """
    n_unit, n_step = bands[0].z.shape
    gap = 0.018
    tall = (1 - gap * (len(bands) - 1)) / len(bands)
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    words, shapes = [], []
    row, step = pick
    for number, band in enumerate(bands):
        top = 1 - number * (tall + gap)
        key = "" if number == 0 else str(number + 1)
        layout[f"yaxis{key}"] = heatmap.axis(None, n_unit, look, down=True, domain=[max(0.0, top - tall), top])
        kind: heatmap.Kind = "probability" if band.limit is None else "signed"
        hover = f"{band.name} {band.symbol} of unit %{{customdata}} after “%{{x}}”<br>%{{z:.3f}}<extra></extra>"
        traces.append(
            heatmap.trace(band.z, look, kind, limit=band.limit, role=band.role if band.limit is None else None)
            | {
                "yaxis": f"y{key}",
                "hovertemplate": hover,
                "customdata": np.repeat(np.asarray(units, dtype=object)[:, None], n_step, axis=1),
            }
        )
        ends = "0 to 1" if band.limit is None else f"±{band.limit:g}"
        words.append({"text": f"<b>{band.symbol}</b> {band.name}<br>{ends}", "x": -0.012, "xanchor": "right", "xref": "paper", "align": "right",
                      "y": top - tall / 2, "yref": "paper", "yanchor": "middle", "showarrow": False, "font": {"size": FONT_SIZE, "color": look.text(band.role)}})  # fmt: skip
        shapes.append(
            heatmap.outline(0, row, n_step, 1, look.ink, yref=f"y{key}", line={"color": look.ink, "width": 1.2})
        )
    shapes.append(
        {
            "type": "rect",
            "x0": step - 0.5,
            "x1": step + 0.5,
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "line": {"color": look.ink, "width": 2},
        }
    )
    # One invisible axis over the whole height takes the clicks of all bands.
    layout[f"yaxis{len(bands) + 1}"] = {
        "overlaying": "y",
        "domain": [0, 1],
        "range": [len(bands) * n_unit - 0.5, -0.5],
        "visible": False,
        "fixedrange": True,
    }
    rows = len(bands) * n_unit
    traces.append(
        heatmap.clickable(
            rows,
            n_step,
            yaxis=f"y{len(bands) + 1}",
            hoverinfo="skip",
            **unseen(9),
        )
    )
    layout["xaxis"] = heatmap.axis(
        characters,
        n_step,
        look,
        anchor=f"y{len(bands)}",
        tickangle=0,
        tickvals=list(range(n_step)),
        ticktext=list(characters),
    )
    base = look.layout(height=height, shapes=shapes, annotations=words, margin={"l": 104, "r": 8, "t": 8, "b": 8}, dragmode=False,
                       clickmode="event+select", hovermode="closest")  # fmt: skip
    return figure(traces, base | layout)
