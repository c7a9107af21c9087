"""The one way from traces and layout to a Plotly figure."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go


def figure(
    traces: Sequence[dict[str, Any]], layout: dict[str, Any], frames: Sequence[dict[str, Any]] = ()
) -> go.Figure:
    """The figure without Plotly's validation, which takes longer than everything else on a slider's move. The page
    tests validate every figure of every page instead."""
    return go.Figure(traces, layout, frames, skip_invalid=True, _validate=False)
