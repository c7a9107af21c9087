"""What leaves a page is what the page shows."""

import io
import json

import numpy as np
import plotly.graph_objects
import pytest

from app import pictures, share, takeaway
from app.controls import Controls
from app.figures import charts, heatmap
from app.frame import Stage
from app.syllabus import Station
from app.theme import Look
from tests.pages.opening import SLUGS, fine, open_page, picture, words


def stage(figure, **more):
    return Stage("key", "A title", figure, alt="…", shape="weights [query 2 × key 3]", made_by="a test", **more)


Z = np.array([[0.25, 0.5, 0.25], [1.0, 0.0, 0.0]], dtype=np.float32)


def test_csv_and_npz_hold_the_numbers_with_names_shapes_and_maker():
    shown = stage(heatmap.heatmap(Z, ["a", "b"], ["x", "y", "z"], Look()))
    table = takeaway.frame_of(shown)
    assert table["value"].tolist() == Z.ravel().tolist()
    assert table[["axis_0", "axis_1"]].to_numpy().tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    held = np.load(io.BytesIO(takeaway.npz([shown], "http://here/?a=1")), allow_pickle=False)
    about = json.loads(str(held["about"]))
    assert about["link"] == "http://here/?a=1"
    ((name, facts),) = about["tensors"].items()
    np.testing.assert_array_equal(held[name], Z)
    assert facts == {"shape": [2, 3], "figure": "A title", "axes": "weights [query 2 × key 3]", "made_by": "a test"}


def test_tensors_that_are_drawn_coarser_leave_in_full():
    wide = np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 6)
    shown = stage(plotly.graph_objects.Figure(), tensors={"q": wide})
    np.testing.assert_array_equal(takeaway.arrays(shown)["q"], wide)


def test_a_chart_leaves_as_its_columns():
    chart = charts.lines([1, 2], {"a": [3, 4]}, Look(), x_title="x", y_title="y")
    table = takeaway.frame_of(stage(chart))
    assert table.to_dict("list") == {"x": [1, 2], "series": ["a", "a"], "y": [3, 4]}


def test_the_html_needs_no_network():
    page = pictures.page(stage(heatmap.heatmap(Z, None, None, Look())), "http://here/?a=--><script>").decode()
    assert 'src="http' not in page
    assert len(page) > 1_000_000, "Plotly's own code is inside"
    assert "--><script>" not in page[: page.index("</head>")]


def test_link_holds_only_what_differs_and_any_text():
    controls = Controls(Station("my-page", "", ""))
    controls.values = {"a": 1, "b": True, "sentence": "ü & =?", "c": [1, 2]}
    controls.defaults = {"a": 1, "b": False, "sentence": "x", "c": []}
    controls.shown = {"a": 1, "b": "true", "sentence": "ü & =?", "c": ["one", "two"]}
    assert controls.query() == "my_page_b=true&sentence=%C3%BC+%26+%3D%3F&my_page_c=one&my_page_c=two"
    assert share.qr("http://here/?" + controls.query()).startswith(b"\x89PNG")


@pytest.mark.parametrize("slug", SLUGS)
def test_every_page_can_be_taken_shared_and_reset(slug):
    app = open_page(slug)
    usual = picture(app)
    prefix = slug.replace("-", "_")
    experiment = [b.key for b in app.button if b.key and "_experiment_" in b.key][-1]
    fine(app.button(key=experiment).click().run())
    app.session_state[f"{prefix}_take"] = True
    app.session_state[f"{prefix}_share"] = True
    fine(app.run())
    assert any(prefix in block.value for block in app.code), "the link names what was changed"
    assert app.dataframe, "the numbers stand in a table"
    fine(app.button(key=f"{prefix}_reset").click().run())
    assert picture(app) == usual
    assert words(app)
