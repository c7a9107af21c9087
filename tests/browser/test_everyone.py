"""Every page can be read by everyone: the accessibility rules, letters large enough, no label on another."""

import pytest

from app import syllabus
from tests.browser import axe, measure
from tests.browser.conftest import settle

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SLUGS = [station.slug for station in syllabus.built()]
HALL = {"width": 1920, "height": 1080}
DESK = {"width": 1400, "height": 900}
PHONE = {"width": 390, "height": 844}
GROUND = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
HALL_TEXT = 16  # pixels, so that the last row can read it


def breaks_no_rule(page):
    """No violation of ours; Streamlit's own are met, or they would have to leave the list."""
    left, met = axe.ours(page, axe.violations(page))
    assert not left
    assert met == set(axe.CHROME), "this is no longer found in Streamlit: strike it from tests/browser/axe.py"


def darken(page):
    """The visitor's system turns dark; what the server draws follows with the next move."""
    page.emulate_media(color_scheme="dark")
    page.get_by_role("button", name="Reset").click()
    settle(page)
    assert page.evaluate(GROUND) == "rgb(18, 21, 28)"


def each_label_can_be_read(page, width):
    for figure in measure.figures(page):
        assert not measure.overlaps(figure), f"{figure['name']} at {width} pixels: labels on each other"
        assert not measure.cut(figure), f"{figure['name']} at {width} pixels: labels cut off"


@pytest.mark.parametrize("slug", SLUGS)
def test_a_page_is_for_everyone(visit, slug):
    """One load a page, because loads are what the browser tests spend their time on."""
    page = visit(slug, viewport=HALL)
    figures = measure.figures(page)
    assert figures
    small = [
        (figure["name"], measure.smallest(figure)) for figure in figures if measure.smallest(figure) < HALL_TEXT - 0.1
    ]
    assert not small, f"at 1920 pixels every text of a figure has {HALL_TEXT} pixels or more"
    each_label_can_be_read(page, 1920)
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        settle(page)
        each_label_can_be_read(page, size["width"])
    page.set_viewport_size(DESK)
    settle(page)
    breaks_no_rule(page)
    darken(page)
    breaks_no_rule(page)
    assert not page.faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_map_is_for_everyone(visit, scheme):
    page = visit("", color_scheme=scheme)
    breaks_no_rule(page)
    assert all(page.eval_on_selector_all("[data-testid=stImage] img", "all => all.map(one => one.alt)"))


def test_opened_boxes_break_no_rule(visit):
    page = visit("attention")
    page.get_by_text("The code that ran").click()
    page.get_by_text("Take it with you").click()
    settle(page)
    page.get_by_role("button", name="Share").click()
    settle(page)
    assert page.locator("[data-testid=stPopoverBody] img").count(), "the box with the link and its QR code is open"
    assert page.locator("[data-testid=stDataFrame]").count(), "so is the box with the numbers"
    breaks_no_rule(page)


def test_the_rules_find_what_breaks_them(visit):
    """A picture and a button without words, put into a page, are found and are nobody's but ours."""
    page = visit("attention")
    page.evaluate("""document.querySelector('[class*=st-key-lab_version_]').insertAdjacentHTML('beforeend',
        '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><button></button>')""")
    left, _ = axe.ours(page, axe.violations(page))
    assert {rule for rule, _, _ in left} == {"image-alt", "button-name"}
