"""Opening a page as a visitor does, and reading what it shows."""

import base64
import json
from functools import lru_cache
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest

from app import syllabus
from tests.conftest import ROOT

HOME = "home"
SLUGS = [station.slug for station in syllabus.built()]
TIMEOUT = 120


@lru_cache(maxsize=1)
def _registered() -> Any:
    """The pages as st.navigation names them. Before its first run AppTest knows a page by its file's name alone, and
    a run of home first would not be a fresh visitor."""
    return AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT).run()._registered_pages


def open_page(slug: str = HOME, **query: str) -> AppTest:
    """A fresh visitor on a page, with the given URL parameters."""
    app = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT)
    for name, value in query.items():
        app.query_params[name] = value
    if slug != HOME:
        app._registered_pages = _registered()
        app.switch_page(str(syllabus.STATIONS[slug].file))
    return app.run()


def set_sentence(app: AppTest, text: str) -> AppTest:
    """The reader types another sentence."""
    return app.text_input(key="sentence").set_value(text).run()


def fine(app: AppTest) -> AppTest:
    """No exception, no unexplained error; returns the app for chaining."""
    assert not app.exception, [e.value for e in app.exception]
    assert not app.error, [e.value for e in app.error]
    return app


def charts(app: AppTest) -> list[dict[str, Any]]:
    """Every Plotly figure on the page as the JSON that the browser gets."""
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def array(value: Any) -> np.ndarray:
    """A Plotly value as the browser reads it: a base64 typed array or a list."""
    if not isinstance(value, dict):
        return np.asarray(value)
    flat = np.frombuffer(base64.b64decode(value["bdata"]), dtype=np.dtype(value["dtype"]))
    shape = value.get("shape")
    return flat.reshape([int(n) for n in shape.split(",")]) if shape else flat


def words(app: AppTest) -> str:
    """All Markdown and captions on the page."""
    return "\n".join(element.value for element in (*app.markdown, *app.caption))


def picture(app: AppTest) -> str:
    """All that is drawn, as one string: two states with the same picture give the same string."""
    specs = [chart.proto.spec for chart in app.get("plotly_chart")]
    vega = [f"{c.proto.spec}{[d.data.data for d in c.proto.datasets]}" for c in app.get("vega_lite_chart")]
    return "\n".join(specs + vega)
