"""Room for what stands around a plot, set aside before the browser finds out that it needs it.

Plotly draws a figure, measures its labels, and draws it all again when they do not fit (``automargin``). With enough
room from the start it draws once. Where the estimate is too small, Plotly still measures and draws again.
"""

import html
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from app.theme import FONT_SIZE

# Advance widths of the characters from space to ~ in Source Sans, thousandths of the type's size.
WIDTHS = (
    200, 289, 426, 497, 497, 824, 609, 249, 303, 303, 418, 497, 249, 311, 249, 350, 497, 497, 497, 497, 497, 497, 497, 497, 497,
    497, 249, 249, 497, 497, 497, 425, 847, 543, 588, 571, 615, 527, 494, 617, 652, 263, 479, 579, 486, 727, 647, 664, 566, 664,
    569, 534, 536, 645, 515, 786, 513, 476, 539, 303, 350, 303, 497, 500, 542, 504, 553, 456, 555, 496, 292, 504, 544, 246, 247,
    495, 255, 829, 547, 542, 555, 555, 347, 419, 338, 544, 467, 719, 446, 467, 425, 303, 241, 303, 497,
)  # fmt: skip
OTHERS = dict.fromkeys("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", 360) | {"·": 249, "−": 497, "±": 497, "…": 950}
LINE = 1.35 * FONT_SIZE  # pixels from one line to the next
TITLE = 23  # an axis' title
LEGEND = 34  # one row of a legend above
NUMBERS = 24  # numbers that Plotly chooses, beside an upright axis
BAR = 48  # a colour bar (``heatmap.colour_bar``), its numbers and its title
DIGIT = 9
BREAK, TAG = re.compile(r"<br\s*/?>"), re.compile(r"<[^>]*>")


def width(letters: str) -> float:
    """Pixels of one line in the figures' type; a guess on the large side where the font is another one."""
    return sum(map(_advance, letters)) * FONT_SIZE / 1000 + 2


def _advance(letter: str) -> int:
    code = ord(letter) - 32
    if 0 <= code < len(WIDTHS):
        return WIDTHS[code]
    if unicodedata.category(letter) == "Mn":
        return 0
    return OTHERS.get(letter, 1050 if unicodedata.east_asian_width(letter) in "WF" else 660)


@lru_cache(maxsize=4096)
def _box(label: str) -> tuple[float, float]:
    """Pixels (wide, tall) of a label in Plotly's small HTML."""
    lines = [html.unescape(TAG.sub("", line)) for line in BREAK.split(label)]
    return max(map(width, lines)), LINE * len(lines)


def margin(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> dict[str, float]:
    """The layout's margin with room for names, titles, colour bar and legend."""
    given = {"l": 0, "r": 0, "t": 0, "b": 0} | layout.get("margin", {})
    needed = _needed(traces, layout)
    for _ in range(2):  # Plotly pads what it measures by the smallest margin, and by no more than 12 pixels
        pad = min(12, *given.values())
        given |= {side: max(given[side], math.ceil(room + pad)) for side, room in needed.items() if room}
    return given


def _needed(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> dict[str, float]:
    """Pixels that the labels take on each side of the plot."""
    room = {"l": 0.0, "r": 0.0, "t": 0.0, "b": 0.0}

    def reserve(**sides: float) -> None:
        for side, pixels in sides.items():
            room[side] = max(room[side], pixels)

    for name, axis in layout.items():
        if name[1:5] != "axis" or not axis.get("automargin") or not axis.get("visible", True):
            continue
        if "constrain" in axis:  # a square plot leaves room on two sides, and only the browser knows which
            continue
        mirror, title = 2.0 * bool(axis.get("mirror")), TITLE * ("title" in axis)
        last, shown = axis.get("domain", (0, 1))[1], axis.get("showticklabels", True)
        boxes = [_box(str(label)) for label in _names(name, axis, traces)] if shown else []
        if name[0] == "y":
            if _begin(layout, axis, "x") < 0.01:
                reserve(l=max((wide for wide, _ in boxes), default=NUMBERS * shown) + title + 2 * mirror)
            reserve(r=mirror, t=6 * bool(boxes and last > 0.99))
        elif _begin(layout, axis, "y") < 0.01:
            turned = [_turned(box, axis.get("tickangle", 0)) for box in boxes] or [(LINE * shown, 4.0 * shown)]
            reserve(b=max(below for below, _ in turned) + title + 2 * mirror, t=mirror)
            reserve(r=max(beyond for _, beyond in turned) * (last > 0.8))
    for trace in traces:
        if trace.get("showscale") and (bar := trace.get("colorbar")):
            reserve(r=BAR + 2 * bar["xpad"] + DIGIT * (abs(trace.get("zmax") or 0) < 1))
    if layout.get("showlegend") and (layout.get("legend") or {}).get("orientation") == "h":
        reserve(t=LEGEND)
    return room


def _names(name: str, axis: Mapping[str, Any], traces: Sequence[Mapping[str, Any]]) -> Iterable[Any]:
    """The axis' names: its own, or those of its traces' categories."""
    if "ticktext" in axis:
        return axis["ticktext"]
    way, here = name[0], name.replace("axis", "")
    rows = [trace.get(way) for trace in traces if trace.get(f"{way}axis", way) == here]
    return [label for row in rows if isinstance(row, (list, tuple)) for label in row if isinstance(label, str)]


def _begin(layout: Mapping[str, Any], axis: Mapping[str, Any], other: str) -> float:
    """Where the axis stands, 0 to 1: at the beginning of the one that it is anchored to."""
    anchor = axis.get("anchor", other)
    across = layout.get(f"{other}axis{anchor[1:]}", {}) if anchor != "free" else {}
    return float(across.get("domain", (0, 1))[0])


def _turned(box: tuple[float, float], angle: float) -> tuple[float, float]:
    """Pixels (below the axis, beyond its end) of a label under an axis, turned by that many degrees."""
    wide, tall = box
    if not angle:
        return tall, 0.0
    turn = math.radians(abs(angle))
    return wide * math.sin(turn) + tall * math.cos(turn) + 8, tall * math.cos(turn) / 2 + 3
