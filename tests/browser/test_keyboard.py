"""A page walked by keyboard alone."""

import pytest

from tests.browser.conftest import settle
from tests.browser.test_journeys import NUMBERS

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

# Where the focus is: the control's key, what it says, whether it can be seen, and its place on the page.
FOCUS = """() => { const e = document.activeElement, box = e.closest('[class*=st-key-]'), r = e.getBoundingClientRect(), s = getComputedStyle(e);
  const ring = n => { const s = getComputedStyle(n); return (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none' };
  let shown = false; for (let n = e, up = 0; n && up < 6; n = n.parentElement, up++) shown ||= ring(n);
  const keys = box ? [...box.classList].filter(c => c.startsWith('st-key-')).map(c => c.slice(7)) : [];
  return {key: keys[0] || '', name: e.getAttribute('aria-label') || e.innerText || e.tagName, kind: e.type || e.getAttribute('role') || e.tagName,
          camera: e.matches('.modebar-btn'), shown, top: r.top + scrollY} }"""


def tabs(page, most=150):
    """What Tab stops at, once round the page from its title."""
    stops = []
    page.evaluate("document.activeElement.blur()")
    page.locator(".stMainBlockContainer h1").click()
    for _ in range(most):
        page.keyboard.press("Tab")
        here = page.evaluate(FOCUS)
        if here in stops:  # from the page's end the focus goes round to its beginning
            break
        stops.append(here)
    return stops


def test_the_attention_page_by_keyboard_alone(visit):
    page = visit("attention")
    stops = tabs(page)
    keys = [stop["key"] for stop in stops]
    experiments = [key for key in keys if "_experiment_" in key]
    assert len(experiments) == 7, "Tab reaches each experiment"
    for control in ("sentence", "attention_source", "attention_layer", "attention_head", "attention_query", "attention_scaling",
                    "attention_temperature", "attention_stage", "attention_law_seed", "attention_code", "attention_take"):  # fmt: skip
        assert control in keys, f"Tab reaches {control}"
    assert keys.index("attention_experiment_0") < keys.index("sentence") < keys.index("attention_law_seed"), (
        "in the order of reading"
    )
    assert any(stop["camera"] for stop in stops), "Tab reaches the figure's own button"
    assert any(stop["name"].startswith("Download as PNG") for stop in stops), "and those of a small chart"
    # The page as a whole takes the focus between its parts, and a text field shows its caret.
    unseen = [stop["name"] for stop in stops if not stop["shown"] and stop["kind"] not in ("BODY", "MAIN", "text")]
    assert not unseen, "the focus can be seen wherever it is"

    usual = page.evaluate(NUMBERS)
    page.locator(".stMainBlockContainer h1").click()
    until(page, "attention_experiment_1")
    page.keyboard.press("Enter")
    settle(page)
    unscaled = page.evaluate(NUMBERS)
    assert unscaled != usual, "Enter on an experiment draws its figure"
    assert "attention_scaling=false" in page.url
    until(page, "attention_temperature")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    settle(page)
    assert page.evaluate(NUMBERS) != unscaled, "the arrows move a slider, and the figure follows"
    assert "attention_temperature=1.3" in page.url
    assert page.evaluate(FOCUS)["key"] == "attention_temperature", "the focus stays where it was"
    assert not page.faults


def until(page, key, most=80):
    """Press Tab until the focus stands on that control."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUS)["key"] == key:
            return
    raise AssertionError(f"Tab does not reach {key}")


def test_reduced_motion_stills_the_page_and_the_figure(visit):
    page = visit("attention", reduced_motion="reduce")
    moving = page.evaluate("""[...document.querySelectorAll('*')].filter(e => { const s = getComputedStyle(e);
        return [s.animationDuration, s.transitionDuration].some(d => d.split(',').some(one => parseFloat(one) > 0)) }).map(e => e.className).slice(0, 5)""")
    assert not moving, "no element of the page is animated"
    before = page.evaluate(NUMBERS)
    page.evaluate("""() => { window.frames_seen = 0; const plot = document.querySelector('.js-plotly-plot');
        plot.on('plotly_animatingframe', () => window.frames_seen++) }""")
    page.locator("g.updatemenu-button").first.click()
    page.wait_for_function("window.frames_seen > 0")
    page.wait_for_timeout(100)
    assert page.evaluate(NUMBERS) != before
    assert page.evaluate("window.frames_seen") == 1, "the stage changes in one step"
