"""Room around a plot: never less than given, more for longer names, and what Plotly would measure on the safe side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.figures import heatmap, room
from app.theme import FONT_SIZE, Look

LOOK = Look("light")
SIDES = ("l", "r", "t", "b")


def around(names, **axis):
    return room.margin([], LOOK.layout(yaxis=heatmap.axis(names, len(names), LOOK, down=True, **axis)))


@given(st.lists(st.text(max_size=30), min_size=1, max_size=20))
def test_room_is_never_taken_away(names):
    found = around(names)
    assert all(found[side] >= LOOK.layout()["margin"][side] for side in SIDES)


@given(st.text(alphabet="abcdefghij WM", min_size=1, max_size=20))
def test_a_longer_name_takes_more_room(name):
    assert around([name + "mm"])["l"] > around([name])["l"]


def test_a_name_is_as_wide_as_its_letters_in_the_type():
    # measured in Chromium with Source Sans at 16 px: "because" takes 55.5 pixels
    assert 55.5 <= room.width("because") <= 60
    assert room.width("漢字") >= 2 * FONT_SIZE


def test_small_html_is_measured_as_it_is_read():
    assert around(["&lt;b&gt;"])["l"] == around(["<i>&lt;b&gt;</i>"])["l"] < around(["amplt;bampgt;"])["l"]
    assert around(["one<br>two"])["l"] == around(["two"])["l"]


def test_what_only_the_browser_knows_is_left_to_it():
    assert around(["long name"], constrain="domain") == LOOK.layout()["margin"]
    assert around(["long name"], automargin=False) == LOOK.layout()["margin"]


@pytest.mark.parametrize("angle", [-60, -90, 60])
def test_slanted_names_reach_further_down(angle):
    def below(tickangle):
        layout = LOOK.layout(xaxis=heatmap.axis(["because"], 1, LOOK, tickangle=tickangle))
        return room.margin([], layout)["b"]

    assert below(angle) > below(0) + 20


def test_a_figure_is_sent_with_its_room_and_without_flat_typed_arrays():
    import numpy as np

    drawing = heatmap.heatmap(np.eye(3), ["because"] * 3, ["a", "b", "c"], LOOK, click=True)
    sent = drawing.to_dict()
    assert sent["layout"]["margin"]["l"] > drawing.plain["layout"]["margin"]["l"] + 50
    assert sent["layout"]["datarevision"] == 1
    flat = [value for trace in sent["data"] for value in trace.values() if isinstance(value, dict) and "bdata" in value]
    assert all("shape" in value for value in flat)
