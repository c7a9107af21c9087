"""Sideways bars that are read against something: a ranking against chance, a distribution before and after a change."""

from collections.abc import Sequence
from functools import lru_cache

import altair as alt

from app.figures.charts import UNFILLED, Chart, Spec, filled, finish
from app.theme import Look

SPLIT = "\u200b"  # between a place and a name: two equal names stay two bars
STEP = 24  # pixels a bar


def _key(place: int, name: str) -> str:
    return f"{place}{SPLIT}{name}"


def _names() -> alt.Y:
    axis = alt.Axis(labelExpr=f"split(datum.label, '{SPLIT}')[1]", labelLimit=150, labelOverlap=False)
    return alt.Y("key:N", sort=None, title=None, axis=axis)


def ranking(
    names: Sequence[str], values: Sequence[float], look: Look, *, title: str, chance: float | None = None,
    limit: float | None = None, pick: int | None = None, faint: Sequence[int] = (), height: int | None = None,
    value_name: str = "",
) -> Chart:  # fmt: skip
    """One bar a name, an upright dashed rule at what chance would give; the picked bar in ink, ``faint`` ones pale."""
    spec = dict(_ranking(title, value_name or title, limit, chance is not None, height or 45 + STEP * len(names), look))
    kinds = ["picked" if at == pick else "faint" if at in set(faint) else "plain" for at in range(len(names))]
    rows = [
        {"key": _key(at, name), "name": name, "value": float(value), "kind": kind}
        for at, (name, value, kind) in enumerate(zip(names, values, kinds, strict=True))
    ]
    return filled(spec, rows, [{"value": chance}])


@lru_cache(maxsize=128)
def _ranking(title: str, value_name: str, limit: float | None, marked: bool, height: int, look: Look) -> Spec:
    scale = alt.Scale() if limit is None else alt.Scale(domain=[0, limit], clamp=True)
    shades = alt.Scale(domain=["picked", "plain", "faint"], range=[look.ink, look.role("weight"), look.masked])
    bars = alt.Chart(UNFILLED).mark_bar().encode(
        y=_names(),
        x=alt.X("value:Q", title=title or None, scale=scale, axis=alt.Axis(tickCount=4)),
        color=alt.Color("kind:N", scale=shades, legend=None),
        tooltip=[alt.Tooltip("name:N", title="name"), alt.Tooltip("value:Q", title=value_name, format=".4g")],
    )  # fmt: skip
    rule = (
        alt.Chart(UNFILLED).mark_rule(color=look.role("gradient"), strokeDash=[5, 4], strokeWidth=2).encode(x="value:Q")
    )
    return finish(alt.layer(bars, rule) if marked else alt.layer(bars), look, height).to_dict()


def before_after(
    names: Sequence[str], before: Sequence[float], after: Sequence[float], look: Look, *, title: str,
    words: tuple[str, str] = ("before", "after"), height: int | None = None,
) -> Chart:  # fmt: skip
    """Two bars a name."""
    rows = [
        {"key": _key(at, name), "name": name, "state": word, "value": float(value)}
        for word, values in zip(words, (before, after), strict=True)
        for at, (name, value) in enumerate(zip(names, values, strict=True))
    ]
    return filled(_before_after(title, words, height or 60 + 30 * len(names), look), rows)


@lru_cache(maxsize=64)
def _before_after(title: str, words: tuple[str, str], height: int, look: Look) -> Spec:
    shades = alt.Scale(domain=list(words), range=[look.role("weight"), look.role("cell")])
    chart = alt.Chart(UNFILLED).mark_bar().encode(
        y=_names(),
        yOffset=alt.YOffset("state:N", sort=list(words)),
        x=alt.X("value:Q", title=title, axis=alt.Axis(tickCount=5)),
        color=alt.Color("state:N", sort=list(words), scale=shades, title=None, legend=alt.Legend(labelLimit=400)),
        tooltip=[alt.Tooltip("name:N", title="token"), alt.Tooltip("state:N", title="state"),
                 alt.Tooltip("value:Q", title=title, format=".4g")],
    )  # fmt: skip
    return finish(alt.layer(chart), look, height).to_dict()
