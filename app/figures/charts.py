"""Small statistical charts in Altair: lines over a setting, bars over named things. One look over all of them."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import altair as alt

from app.theme import Look

AxisScale = Literal["linear", "log", "symlog"]
Spec = dict[str, Any]
UNFILLED = alt.Data(values=[])


@dataclass(frozen=True)
class Chart:
    """A Vega-Lite spec ready to draw. Altair builds and validates each kind of chart once (tens of milliseconds, behind
    a lock over all threads); a move only fills in the numbers."""

    spec: Spec


def lines(
    x: Sequence[float], series: Mapping[str, Sequence[float]], look: Look, *, x_title: str, y_title: str,
    colours: Mapping[str, str] | None = None, x_scale: AxisScale = "linear", y_scale: AxisScale = "linear",
    mark: float | None = None, height: int = 220, y_domain: tuple[float, float] | None = None,
    x_domain: tuple[float, float] | None = None,
) -> Chart:  # fmt: skip
    """One line a series over x; ``colours`` maps a series to a role, ``mark`` draws an upright rule at the live value.

    The dash differs with the series as well, so that colour is never alone.
    """
    names = tuple(series)
    roles = tuple((colours or {}).get(name, role) for name, role in zip(names, _cycle(len(names)), strict=True))
    spec = copy(_lines(names, roles, look, x_title, y_title, x_scale, y_scale, mark is not None, len(x) <= 24, height))
    rows = [
        {"x": float(a), "series": name, "y": float(b)}
        for name, ys in series.items()
        for a, b in zip(x, ys, strict=True)
    ]
    first = spec["layer"][0]
    for axis, domain in (("x", x_domain), ("y", y_domain)):
        if domain is not None:
            way = first["encoding"][axis]
            scale = {k: v for k, v in way["scale"].items() if k != "zero"} | {"domain": list(map(float, domain))}
            first = first | {"encoding": first["encoding"] | {axis: way | {"scale": scale}}}
    return filled(spec | {"layer": [first, *spec["layer"][1:]]}, rows, [{"x": mark}])


@lru_cache(maxsize=128)
def _lines(
    names: tuple[str, ...], roles: tuple[str, ...], look: Look, x_title: str, y_title: str, x_scale: AxisScale,
    y_scale: AxisScale, marked: bool, dotted: bool, height: int,
) -> Spec:  # fmt: skip
    domain = alt.Scale(domain=list(names), range=[look.role(role) for role in roles])
    base = alt.Chart(UNFILLED).encode(
        x=alt.X("x:Q", title=x_title, scale=alt.Scale(type=x_scale, nice=False), axis=_few(x_scale)),
        y=alt.Y("y:Q", title=y_title, scale=alt.Scale(type=y_scale, zero=False), axis=alt.Axis(tickCount=4)),
        color=alt.Color("series:N", sort=list(names), scale=domain, title=None),
        strokeDash=alt.StrokeDash("series:N", sort=list(names), title=None),
        tooltip=[
            alt.Tooltip("series:N", title="line"),
            alt.Tooltip("x:Q", title=x_title),
            alt.Tooltip("y:Q", title=y_title, format=".4g"),
        ],
    )
    layers: list[alt.Chart] = [base.mark_line(strokeWidth=2.5, point={"size": 40, "filled": True} if dotted else False)]
    if marked:
        layers.append(alt.Chart(UNFILLED).mark_rule(color=look.ink, strokeWidth=1.5).encode(x="x:Q"))
    return finish(alt.layer(*layers), look, height).to_dict()


def bars(
    names: Sequence[str], values: Sequence[float], look: Look, *, title: str, role: str = "weight",
    signed: bool = False, height: int = 220, limit: float | None = None, name_title: str = "", sideways: bool = False,
) -> Chart:  # fmt: skip
    """One bar a name, in the given order. ``signed`` colours below and above zero apart; ``limit`` fixes the scale's end."""
    spec = copy(_bars(title, role, signed, height, limit, name_title, sideways, len(names) > 24, look))
    # Two equal names are two bars: the place is the category and the name is only written beside it.
    rows = [
        {"key": f"{place}\u200b{name}", "name": name, "value": float(value)}
        for place, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    return filled(spec, rows)


@lru_cache(maxsize=128)
def _bars(
    title: str, role: str, signed: bool, height: int, limit: float | None, name_title: str, sideways: bool, many: bool,
    look: Look,
) -> Spec:  # fmt: skip
    domain = None if limit is None else [-limit if signed else 0, limit]
    size = alt.Scale() if domain is None else alt.Scale(domain=domain, clamp=True)
    angle = 0 if sideways or many else -45
    label = alt.Axis(labelExpr="split(datum.label, '\u200b')[1]", labelOverlap=many, labelAngle=angle)
    name: dict[str, Any] = {"sort": None, "title": name_title or None, "axis": label}
    number: dict[str, Any] = {"title": title, "scale": size, "axis": alt.Axis(tickCount=4)}
    shape: dict[str, Any] = (
        {"y": alt.Y("key:N", **name), "x": alt.X("value:Q", **number)}
        if sideways
        else {"x": alt.X("key:N", **name), "y": alt.Y("value:Q", **number)}
    )
    colour: Any = alt.value(look.role(role))
    if signed:
        cold, warm = look.diverging[0][1], look.diverging[-1][1]
        colour = alt.condition("datum.value < 0", alt.value(cold), alt.value(warm))
    tips = [alt.Tooltip("name:N", title=name_title or "name"), alt.Tooltip("value:Q", title=title, format=".4g")]
    bar = alt.Chart(UNFILLED).mark_bar().encode(**shape, color=colour, tooltip=tips)
    return finish(alt.layer(bar), look, height).to_dict()


def filled(spec: Spec, *rows: Sequence[Mapping[str, Any]]) -> Chart:
    """The rows of each layer, in the layer. Rows of the whole chart Streamlit would send through pandas into Arrow at
    every move: milliseconds, and 66 MB for the imports."""
    layers = [layer | {"data": {"values": own}} for layer, own in zip(spec["layer"], rows, strict=False)]
    return Chart({name: value for name, value in spec.items() if name != "data"} | {"layer": layers})


def finish(chart: Any, look: Look, height: int) -> Any:
    """The theme over an Altair chart; every chart goes through here."""
    return chart.properties(height=height, width="container").configure(**look.altair_config())


def _cycle(count: int) -> list[str]:
    order = ["weight", "query", "key", "value", "cell", "hidden", "gradient", "forget"]
    return [order[i % len(order)] for i in range(count)]


def _few(scale: AxisScale) -> alt.Axis:
    return (
        alt.Axis(tickCount=5, format="~s")
        if scale == "log"
        else alt.Axis(tickCount=6, labelOverlap=True, labelSeparation=8)
    )
