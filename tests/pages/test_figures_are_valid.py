"""What the pages send is what Plotly itself would have made of it: no property it does not know, no value changed."""

import json

import plotly.graph_objects as go
import pytest

from app import syllabus
from tests.pages.opening import SLUGS, array, charts, open_page


def plain(value):
    """Without typed arrays, empty lists and templates, so that two spellings of the same figure compare equal."""
    if isinstance(value, dict):
        if "bdata" in value:
            return plain(array(value).tolist())
        return {name: plain(part) for name, part in value.items() if part != [] and name != "template"}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return None if value != value else value  # NaN, a gap, is null in JSON


@pytest.mark.parametrize("slug", SLUGS)
def test_plotly_accepts_every_figure_unchanged(slug):
    app = open_page(slug)
    prefix, number = syllabus.STATIONS[slug].prefix, 0
    states = [charts(app)]
    while any(button.key == f"{prefix}_experiment_{number}" for button in app.button):
        states.append(charts(app.button(key=f"{prefix}_experiment_{number}").click().run()))
        number += 1
    assert number
    assert any(states)
    for figure in (figure for state in states for figure in state):
        made = json.loads(go.Figure(plain(figure)).to_json())  # raises for what Plotly does not know
        assert plain(made) == plain(figure)
