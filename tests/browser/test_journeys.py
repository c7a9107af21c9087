"""What a person does in a browser, on every page."""

import pytest

from app import syllabus
from tests.browser.conftest import settle

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
SLUGS = [station.slug for station in syllabus.built()]

# What is drawn, as the browser holds it, and what is said of it.
NUMBERS = """() => JSON.stringify([...document.querySelectorAll('.js-plotly-plot')].map(p => p.data.map(t => t.z && (t.z.bdata || t.z)))
    .concat([...document.querySelectorAll('[class*=st-key-lab_version_]')].map(n => n.innerText)))"""
OVERFLOW = """() => { const m = document.querySelector('[data-testid=stMain]');
    return Math.max(m.scrollWidth - m.clientWidth, document.documentElement.scrollWidth - innerWidth) }"""

# Sides of the pictures at the top where Plotly needed more room than it was given, and so drew a second time.
DRAWN_TWICE = """() => [...document.querySelectorAll(".st-key-lab_upper .js-plotly-plot")].flatMap((plot) => {
  const { _size: taken, margin: given } = plot._fullLayout;
  return ["l", "r", "t", "b"].filter((side) => taken[side] > given[side] + 1).map((side) => [side, given[side], taken[side]]);
})"""

HOSTILE = "<img src=x onerror=alert(1)> [x](javascript:alert(1)) :red[x] $\\frac{1}{2}$ <b>b</b>"
PLANTED = """document.querySelectorAll("img[src='x'], a[href^='javascript']").length
    + [...document.querySelectorAll('.stMarkdownColoredText')].filter(e => e.textContent.trim() === 'x').length"""
GROUND = "getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor"
TICKS = """[...document.querySelectorAll('.js-plotly-plot .xtick text, .js-plotly-plot .ytick text')]
    .map(t => getComputedStyle(t).fill)"""


def type_sentence(page, text):
    box = page.locator(".st-key-sentence input")
    box.fill(text)
    box.press("Enter")
    settle(page)


def main_figure(page):
    """Where the first figure stands: a chart, or a strip of tokens."""
    kinds = (".js-plotly-plot", "[data-testid=stVegaLiteChart]", "[data-testid=stHtml]")
    return page.locator(", ".join(f".st-key-lab_stage {kind}" for kind in kinds)).first.bounding_box()


@pytest.mark.parametrize("slug", SLUGS)
def test_a_page_on_a_desk_and_its_link_on_a_phone_in_the_dark(visit, slug):
    """One journey a page, because a browser's loads are what the suite spends its time on."""
    page = visit(slug)
    box = main_figure(page)
    assert box["y"] + box["height"] <= 900, "question, formula, controls and main figure fit the first screenful"
    assert page.evaluate(OVERFLOW) <= 2
    assert page.evaluate(DRAWN_TWICE) == [], "app/figures/room.py set the room aside"
    page.locator("[class*='_experiment_'] button").nth(1).click()
    settle(page)
    mine = page.evaluate(NUMBERS)
    assert len(mine) > 200, "there are numbers to compare"

    friend = visit(page.url.split("/", 3)[3], viewport={"width": 390, "height": 844}, color_scheme="dark")
    assert friend.url == page.url, "the link holds the whole state, and nothing of it is refused"
    assert friend.evaluate(NUMBERS) == mine
    assert main_figure(friend)["y"] < 330, "on a phone the figure comes straight after the question"
    assert friend.evaluate(OVERFLOW) <= 2
    assert friend.evaluate(GROUND) == "rgb(18, 21, 28)"
    assert set(friend.evaluate(TICKS)) <= {"rgb(230, 233, 240)"}

    type_sentence(page, HOSTILE)
    assert page.evaluate(PLANTED) == 0, "typed markup stays text"
    assert page.locator("[data-testid=stException]").count() == 0
    assert not page.faults
    assert not friend.faults


def test_a_sentence_travels_along_the_road(visit):
    page = visit()
    type_sentence(page, HOSTILE)
    assert page.evaluate(PLANTED) == 0
    type_sentence(page, "The dog chased the ball.")
    assert "sentence=The+dog+chased+the+ball." in page.url
    page.locator(".st-key-lab_chapter_3").get_by_role("link", name="Attention", exact=True).click()
    settle(page)
    for slug in SLUGS[SLUGS.index("attention") :]:
        assert f"/{slug}" in page.url
        assert page.locator(".st-key-sentence input").input_value() == "The dog chased the ball."
        following = page.get_by_role("link", name="→")
        if following.count():
            following.click()
            settle(page)
    page.go_back()
    settle(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert not page.faults


def test_a_click_opens_a_cell_and_the_stages_morph_without_the_server(visit):
    page = visit("attention")
    plot = page.locator(".st-key-lab_stage .js-plotly-plot").first
    box = plot.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.6)
    settle(page)
    assert "attention_query=" in page.url
    assert "attention_key=" in page.url
    before, asked = page.evaluate(NUMBERS), len(page.sent)
    plot.locator("g.updatemenu-button").first.click()
    page.wait_for_timeout(600)
    assert page.evaluate(NUMBERS) != before
    assert len(page.sent) == asked, "no rerun was asked for"
    assert not page.faults


def test_a_moved_slider_draws_the_picture_and_stays_on_the_way_back(visit):
    """A move draws no control anew; the browser, the address and the session still agree on where it stands."""
    page = visit("attention")
    slider = page.locator(".st-key-attention_layer input[type=range]")
    page.evaluate("document.querySelector('.st-key-attention_layer').dataset.same = 'yes'")
    slider.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
        settle(page)
    assert "attention_layer=5" in page.url
    assert page.evaluate("document.querySelector('.st-key-attention_layer').dataset.same") == "yes"
    assert page.evaluate("document.activeElement.closest('.st-key-attention_layer') !== null"), "the focus stays"
    moved = page.evaluate(NUMBERS)
    assert "Layer 5, head 1" in page.locator(".st-key-lab_stage").inner_text()

    page.locator(".st-key-lab_lower h3").first.scroll_into_view_if_needed()
    settle(page)
    whole = page.evaluate(NUMBERS)
    assert visit(page.url.split("/", 3)[3]).evaluate(NUMBERS) == whole, "a friend sees the same, above and below"

    page.get_by_role("link", name="→").click()
    settle(page)
    page.get_by_role("link", name="← Attention").click()
    settle(page)
    assert page.locator(".st-key-attention_layer input[type=range]").input_value() == "5"
    assert "attention_layer=5" in page.url
    assert page.evaluate(NUMBERS) == whole
    assert moved != "[]"
    assert not page.faults
