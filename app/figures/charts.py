"""Small statistical charts in Altair: lines over a setting, bars over named things. One look over all of them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import altair as alt
import pandas as pd

from app.theme import Look

AxisScale = Literal["linear", "log", "symlog"]


def lines(
    x: Sequence[float], series: Mapping[str, Sequence[float]], look: Look, *, x_title: str, y_title: str,
    colours: Mapping[str, str] | None = None, x_scale: AxisScale = "linear", y_scale: AxisScale = "linear",
    mark: float | None = None, height: int = 220, y_domain: tuple[float, float] | None = None,
) -> alt.LayerChart:  # fmt: skip
    """One line a series over x; ``colours`` maps a series to a role, ``mark`` draws an upright rule at the live value.

    The dash differs with the series as well, so that colour is never alone.
    """
    table = pd.DataFrame(
        [(a, name, b) for name, ys in series.items() for a, b in zip(x, ys, strict=True)], columns=["x", "series", "y"]
    )
    names = list(series)
    shades = [look.role((colours or {}).get(name, role)) for name, role in zip(names, _cycle(len(names)), strict=True)]
    y_options: dict[str, Any] = {"type": y_scale} | (
        {"domain": y_domain} if y_domain else {"zero": False} if y_scale == "linear" else {}
    )
    base = alt.Chart(table).encode(
        x=alt.X("x:Q", title=x_title, scale=alt.Scale(type=x_scale, nice=False), axis=_few(x_scale)),
        y=alt.Y("y:Q", title=y_title, scale=alt.Scale(**y_options), axis=alt.Axis(tickCount=4)),
        color=alt.Color("series:N", sort=names, scale=alt.Scale(domain=names, range=shades), title=None),
        strokeDash=alt.StrokeDash("series:N", sort=names, title=None),
        tooltip=[alt.Tooltip("series:N", title="line"), alt.Tooltip("x:Q", title=x_title), alt.Tooltip("y:Q", title=y_title, format=".4g")],
    )  # fmt: skip
    layers = [base.mark_line(strokeWidth=2.5, point={"size": 40, "filled": True} if len(x) <= 24 else False)]
    if mark is not None:
        layers.append(alt.Chart(pd.DataFrame({"x": [mark]})).mark_rule(color=look.ink, strokeWidth=1.5).encode(x="x:Q"))
    return finish(alt.layer(*layers), look, height)


def bars(
    names: Sequence[str], values: Sequence[float], look: Look, *, title: str, role: str = "weight",
    signed: bool = False, height: int = 220, limit: float | None = None, name_title: str = "", sideways: bool = False,
) -> alt.Chart:  # fmt: skip
    """One bar a name, in the given order. ``signed`` colours below and above zero apart; ``limit`` fixes the scale's end."""
    table = pd.DataFrame({"place": range(len(names)), "name": list(names), "value": list(values)})
    domain = None if limit is None else [-limit if signed else 0, limit]
    size = alt.Scale() if domain is None else alt.Scale(domain=domain, clamp=True)
    label = alt.Axis(labelExpr="datum.label", labelOverlap=True, labelAngle=0 if sideways or len(names) > 24 else -45)
    # Two equal names are two bars: the place is the category and the name is only written beside it.
    table["key"] = [f"{place}\u200b{name}" for place, name in zip(table["place"], table["name"], strict=True)]
    label = label.copy()
    label.labelExpr = "split(datum.label, '\u200b')[1]"
    across = alt.X("key:N", sort=None, title=name_title or None, axis=label)
    up = alt.Y("value:Q", title=title, scale=size, axis=alt.Axis(tickCount=4))
    if sideways:
        across = alt.Y("key:N", sort=None, title=name_title or None, axis=label)  # type: ignore[assignment]
        up = alt.X("value:Q", title=title, scale=size, axis=alt.Axis(tickCount=4))  # type: ignore[assignment]
    colour: Any = alt.value(look.role(role))
    if signed:
        cold, warm = look.diverging[0][1], look.diverging[-1][1]
        colour = alt.condition("datum.value < 0", alt.value(cold), alt.value(warm))
    shape = {"y": across, "x": up} if sideways else {"x": across, "y": up}
    tips = [alt.Tooltip("name:N", title=name_title or "name"), alt.Tooltip("value:Q", title=title, format=".4g")]
    return finish(alt.Chart(table).mark_bar().encode(**shape, color=colour, tooltip=tips), look, height)


def finish(chart: Any, look: Look, height: int) -> Any:
    """The theme over a chart; every chart goes through here."""
    return chart.properties(height=height, width="container").configure(**look.altair_config())


def _cycle(count: int) -> list[str]:
    order = ["weight", "query", "key", "value", "cell", "hidden", "gradient", "forget"]
    return [order[i % len(order)] for i in range(count)]


def _few(scale: AxisScale) -> alt.Axis:
    return alt.Axis(tickCount=5, format="~s") if scale == "log" else alt.Axis(tickCount=6)
