"""The one way from traces and layout to a Plotly figure."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from app.figures import room


class Drawing(go.Figure):
    """A figure that stays the plain dictionaries it was made of until somebody asks for Plotly's objects.

    Building and validating those objects takes longer than everything else on a slider's move, and to show a figure
    nobody needs them: Streamlit asks for ``to_dict`` alone. Any other use (its traces, an update, an export) makes
    them. A test of the pages has Plotly validate every figure instead.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        object.__setattr__(self, "_spec", spec)

    def __getattr__(self, name: str) -> Any:  # asked for whatever Plotly's own __init__ has not made yet
        spec = self.__dict__.pop("_spec", None)
        if spec is None:
            raise AttributeError(name)
        go.Figure.__init__(self, **spec, skip_invalid=True)
        return getattr(self, name)

    @property
    def plain(self) -> dict[str, Any]:
        """The dictionaries themselves, to read."""
        return self.__dict__["_spec"] if "_spec" in self.__dict__ else super().to_dict()

    def amended(self, **layout: Mapping[str, Any]) -> "Drawing":
        """The same figure with some parts of its layout completed: ``amended(xaxis={"tickangle": 0})``."""
        held = self.plain["layout"]
        return Drawing(
            self.plain | {"layout": held | {name: held.get(name, {}) | part for name, part in layout.items()}}
        )

    def to_dict(self) -> dict[str, Any]:
        """What is sent to the browser: arrays as base64 of their own dtype, and room for what stands around the plot."""
        if "_spec" not in self.__dict__:
            return super().to_dict()
        spec = self.__dict__["_spec"]
        layout = spec["layout"] | {"margin": room.margin(spec["data"], spec["layout"])}
        return _sendable(spec | {"layout": layout})


def figure(
    traces: Sequence[Mapping[str, Any]], layout: dict[str, Any], frames: Sequence[Mapping[str, Any]] = ()
) -> Drawing:
    """Traces, layout and frames, as plain dictionaries, as a figure."""
    return Drawing({"data": list(traces), "layout": layout} | ({"frames": list(frames)} if frames else {}))


def unseen(size: int) -> dict[str, Any]:
    """What makes a scatter's marks squares of ``size`` pixels that take the pointer and cannot be seen: one of them is
    drawn, the browser knows of all."""
    hidden = {"marker": {"opacity": 0}}
    marker = {"opacity": 0, "size": size, "symbol": "square", "maxdisplayed": 1}
    return {"mode": "markers", "marker": marker, "selected": hidden, "unselected": hidden}


SHORT = 2048  # numbers
PLAIN = frozenset({str, int, float, bool, type(None)})  # most of a figure, and nothing to do for them
SENT = {"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8"}  # fmt: skip


def _narrow(value: np.ndarray) -> np.ndarray:
    """64-bit whole numbers, which the browser's arrays do not hold, in the smallest type that holds these."""
    if value.dtype.kind not in "iu" or value.dtype.itemsize < 8 or not value.size:
        return value
    low, high = value.min(), value.max()
    small = (t for t in (np.int8, np.uint8, np.int16, np.int32) if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return value.astype(next(small, value.dtype))


def _sendable(value: Any) -> Any:
    """Plotly's wire form: typed arrays where the dtype allows, lists of texts and whole numbers otherwise.

    Short rows of numbers are lists as well: a second drawing, which Streamlit asks Plotly for straight after the first,
    is then found to change nothing (``Look.layout``: ``datarevision``), and costs a tenth.
    """
    if isinstance(value, dict):
        return {
            name: part if type(part) in PLAIN else _sendable(part)
            for name, part in value.items()
            if part is not None or name == "template"
        }
    if isinstance(value, np.ndarray):
        value = _narrow(value)
        if (sent := SENT.get(value.dtype.name)) is None or not value.size or not value.ndim:
            return value.tolist()
        if value.ndim == 1 and value.size <= SHORT:
            return [float(f"{number:.9g}") for number in value.tolist()] if sent == "f4" else value.tolist()
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {"dtype": sent, "bdata": data} | ({"shape": ", ".join(map(str, value.shape))} if value.ndim > 1 else {})
    if isinstance(value, (list, tuple)):
        return [part if type(part) in PLAIN else _sendable(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value
