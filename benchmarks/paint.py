"""From the key press to new pixels, in a real Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, sync_playwright
from playwright.sync_api import TimeoutError as TooLong

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip
FIGURE = ".js-plotly-plot .main-svg, [data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg"

# The clock starts at the key's own event. A figure has changed when a mark, a picture or a canvas of it has; the
# second frame after that is on the screen.
ARM = """() => {
  const inside = ".js-plotly-plot, [data-testid=stVegaLiteChart]";
  window.painted = new Promise((done) => {
    let pressed = 0;
    addEventListener("keydown", (event) => { pressed = event.timeStamp; }, {capture: true, once: true});
    const watch = new MutationObserver((changes) => {
      if (!pressed || !changes.some((c) => c.target.closest && c.target.closest(inside))) return;
      watch.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - pressed)));
    });
    watch.observe(document.body, {subtree: true, childList: true, attributes: true,
                                  attributeFilter: ["d", "href", "xlink:href", "points", "width"]});
    setTimeout(() => { watch.disconnect(); done(null); }, 5000);
  });
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, else Playwright's own."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def press_to_pixels(browser: Browser, address: str, page_name: str, key: str, presses: int) -> list[float]:
    """Seconds, one a press; presses that changed no figure are left out.

    ``key`` is the widget's; a slider takes arrow keys, a box takes arrow and Enter.
    """
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(60_000)
    try:
        page.goto(f"{address}/{page_name}")
        page.wait_for_selector(FIGURE)
        page.wait_for_timeout(2000)
        widget = page.locator(f".st-key-{key}")
        slider = widget.locator("input[type=range]")
        one = _sweep(slider) if slider.count() else None
        measured = [_timed(page, next(one)) if one else _pick(page, widget) for _ in range(presses + 2)]
        return [ms / 1000 for ms in measured[2:] if ms is not None]
    except TooLong:
        return []
    finally:
        page.close()


def _sweep(slider: Locator) -> Iterator[str]:
    """The arrow key for the next position: up to the slider's end, back to its start, and so on."""
    key = "ArrowRight"
    while True:
        slider.focus()
        if slider.evaluate("s => +s.value >= +s.max"):
            key = "ArrowLeft"
        elif slider.evaluate("s => +s.value <= +s.min"):
            key = "ArrowRight"
        yield key


def _pick(page: Page, widget: Locator) -> float | None:
    """The option above, in a box that is open."""
    widget.locator("input").click()
    page.keyboard.press("ArrowUp")
    page.wait_for_timeout(200)
    return _timed(page, "Enter")


def _timed(page: Page, key: str) -> float | None:
    page.evaluate(ARM)
    page.keyboard.press(key)
    ms: float | None = page.evaluate("window.painted")
    page.wait_for_timeout(300)  # the rest of the page settles
    return ms
