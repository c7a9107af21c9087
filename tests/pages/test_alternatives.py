"""What a figure says to those who do not see it: an alternative made from its numbers, and the numbers as a table."""

import re

import pytest

from tests.pages.opening import SLUGS, fine, open_page


def alternatives(app) -> list[str]:
    """What a screen reader says of every figure: Plotly's, Altair's, and the strips of tokens."""
    drawn = [chart.proto.alt for kind in ("plotly_chart", "vega_lite_chart") for chart in app.get(kind)]
    strips = [
        re.search(r'<div[^>]* role="group"[^>]* aria-label="([^"]*)"', html.proto.body) for html in app.get("html")
    ]
    return drawn + [strip.group(1) for strip in strips if strip]


@pytest.mark.parametrize("slug", SLUGS)
def test_every_figure_says_its_numbers_and_has_a_table(slug):
    app = open_page(slug)
    first = alternatives(app)
    assert first
    silent = [said for said in first if not re.search(r"\d", said)]
    assert not silent, "an alternative is made from the figure's numbers"
    experiments = [b.key for b in app.button if b.key and "_experiment_" in b.key]
    fine(app.button(key=experiments[1]).click().run())
    moved = alternatives(app)
    assert moved[0] != first[0], "the main figure's alternative follows its state"

    prefix = slug.replace("-", "_")
    app.session_state[f"{prefix}_take"] = True
    fine(app.run())
    choice = app.selectbox(key=f"{prefix}_take_figure")
    assert len(choice.options) == len(moved), "each figure of the page has its numbers in the box"
    for title in (choice.options[0], choice.options[-1]):
        fine(app.selectbox(key=f"{prefix}_take_figure").set_value(title).run())
        assert len(app.dataframe[-1].value) > 0, f"“{title}” has a table"
