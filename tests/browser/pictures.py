"""The README's pictures: every page as a visitor first sees it, and one figure as its page exports it. Run: make pictures"""

import io
import shutil

from PIL import Image
from playwright.sync_api import sync_playwright

from app import syllabus
from benchmarks.servers import serving, wait_until_it_answers
from tests.browser.conftest import FLAGS, settle
from tests.conftest import ROOT

OUT = ROOT / "assets" / "pictures"
EXPORTED = "positional-encoding"
COLOURS = 128  # a palette keeps each picture near 60 kB


def main() -> None:
    with serving("app") as server, sync_playwright() as p:
        wait_until_it_answers(server)
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(120_000)
        for slug in ["", *(station.slug for station in syllabus.built())]:
            page.goto(f"{server.address}/{slug}")
            page.wait_for_selector(".js-plotly-plot .main-svg, [data-testid=stImage] img")
            settle(page)
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
            shot.save(OUT / f"{slug or 'home'}.png", optimize=True)
            print(slug or "home", flush=True)
        page.goto(f"{server.address}/{EXPORTED}")
        settle(page)
        page.get_by_text("Take it with you").click()
        settle(page)
        with page.expect_download() as download:
            page.locator("button[data-format=png]").click()
        picture = Image.open(download.value.path()).convert("RGB").quantize(COLOURS)
        picture.save(OUT / f"exported-{EXPORTED}.png", optimize=True)
        browser.close()


if __name__ == "__main__":
    main()
