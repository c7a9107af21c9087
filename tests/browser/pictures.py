"""The README's pictures: every page as a visitor first sees it, and one figure as its page exports it. Run: make pictures"""

import io
import shutil
import subprocess
import sys
import time
import urllib.request

from PIL import Image
from playwright.sync_api import sync_playwright

from app import syllabus
from tests.browser.conftest import FLAGS, free_port, settle
from tests.conftest import ROOT

OUT = ROOT / "assets" / "pictures"
EXPORTED = "positional-encoding"
COLOURS = 128  # a palette keeps each picture near 60 kB


def main() -> None:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "main.py"), "--server.port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2)
                break
            except OSError:
                time.sleep(0.3)
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.set_default_timeout(120_000)
            for slug in ["", *(station.slug for station in syllabus.built())]:
                page.goto(f"{address}/{slug}")
                page.wait_for_selector(".js-plotly-plot .main-svg, [data-testid=stImage] img")
                settle(page)
                shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS)
                shot.save(OUT / f"{slug or 'home'}.png", optimize=True)
                print(slug or "home", flush=True)
            page.goto(f"{address}/{EXPORTED}")
            settle(page)
            page.get_by_text("Take it with you").click()
            settle(page)
            with page.expect_download() as download:
                page.locator("button[data-format=png]").click()
            picture = Image.open(download.value.path()).convert("RGB").quantize(COLOURS)
            picture.save(OUT / f"exported-{EXPORTED}.png", optimize=True)
            browser.close()
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    main()
