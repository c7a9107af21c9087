"""Figures leave as real pictures: SVG and PNG, by the box, by Plotly's camera, and by the page that opens off line."""

import io
from xml.etree import ElementTree

import pytest
from PIL import Image

from app import pictures
from app.figures import heatmap
from app.frame import Stage
from app.theme import Look
from tests.browser.conftest import settle
from tests.pages.test_takeaway import Z

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SVG = "{http://www.w3.org/2000/svg}"


def saved(page, button) -> tuple[str, bytes]:
    """The name and the bytes of what a button saves."""
    with page.expect_download() as download:
        button.click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def words_of(svg: bytes) -> str:
    return " ".join("".join(text.itertext()) for text in ElementTree.fromstring(svg).iter(f"{SVG}text"))


def colours_of(png: bytes) -> int:
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    return len(set(picture.convert("RGB").resize((200, 200)).getdata()))


def test_a_figure_leaves_as_svg_and_png(visit):
    page = visit("attention", accept_downloads=True)
    name, svg = saved(page, page.locator(".st-key-attention_pipeline .modebar-btn").first)
    assert name == "attention_pipeline.svg"
    assert "because" in words_of(svg), "Plotly's camera writes the tokens"

    page.get_by_text("Take it with you").click()
    settle(page)
    for title, key, word in (("Who looks at whom", "attention_pipeline", "because"), ("The score, term by term", "attention_cell", "dimension")):  # fmt: skip
        box = page.get_by_label("Figure", exact=True)
        box.fill(title)
        box.press("Enter")
        settle(page)
        name, svg = saved(page, page.locator("button[data-format=svg]"))
        assert name == f"{key}.svg"
        assert word in words_of(svg)
        assert b"@font-face" in svg, "the typeface travels along"
        name, png = saved(page, page.locator("button[data-format=png]"))
        assert name == f"{key}.png"
        assert colours_of(png) > 20, "something is drawn"
        assert Image.open(io.BytesIO(png)).width > 900, "twice as sharp as the screen"
    assert not page.faults


def test_the_page_that_opens_off_line_saves_both(browser, tmp_path):
    stage = Stage("a_figure", "A title", heatmap.heatmap(Z, ["one", "two"], ["x", "y", "z"], Look()), alt="…")
    file = tmp_path / "figure.html"
    file.write_bytes(pictures.page(stage, "http://here/"))
    context = browser.new_context(offline=True, accept_downloads=True)
    page = context.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector(".js-plotly-plot .main-svg")
    name, svg = saved(page, page.locator(".modebar-btn[data-title='Download as SVG']"))
    assert name == "a_figure.svg"
    assert "one" in words_of(svg)
    name, png = saved(page, page.locator(".modebar-btn[data-title='Download as PNG']"))
    assert name == "a_figure.png"
    assert colours_of(png) > 3
    context.close()
