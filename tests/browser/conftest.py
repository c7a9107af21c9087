"""The app as served, and a real Chromium looking at it."""

import shutil

import pytest
from playwright.sync_api import sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--disable-quic"]  # fmt: skip


# Whether a script runs or something waits for its data, and whether the page changed.
STATE = """[document.querySelector("[data-testid=stApp]")?.dataset.testScriptState !== "notRunning"
    || !!document.querySelector("[data-testid=stStatusWidget], [data-testid=stSkeleton]"),
    document.querySelectorAll("*").length + location.href]"""


@pytest.fixture
def server(served):
    """The app's address."""
    return served.server.address


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as p:
        path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        chromium = p.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, server):
    """visit(path, **context options) -> a page that has settled; its faults are in ``page.faults``."""
    contexts = []

    def go(path: str = "", **options):
        context = browser.new_context(**({"viewport": {"width": 1400, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.faults, page.sent = [], []  # what went wrong; what the page asked of the server
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: page.sent.append(frame)))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("dialog", lambda dialog: (page.faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
        # On a deep link Streamlit first asks for its own addresses under the page's path: those 404s are not ours.
        page.on(
            "console",
            lambda m: page.faults.append(m.text) if m.type == "error" and "Failed to load" not in m.text else None,
        )
        page.on(
            "requestfailed", lambda r: None if r.url.startswith(server) else page.faults.append(f"asked for {r.url}")
        )
        page.goto(f"{server}/{path}")
        page.wait_for_selector(".stMainBlockContainer h1")
        settle(page)
        return page

    yield go
    for context in contexts:
        context.close()


def settle(page) -> None:
    """Until the script has run and the page has stopped changing."""
    still, last = 0, None
    for _ in range(300):
        page.wait_for_timeout(100)
        running, now = page.evaluate(STATE)
        still = still + 1 if now == last and not running else 0
        last = now
        if still >= 5:  # twice as long as the lower part waits for the hand to rest
            return
    raise AssertionError("the page did not settle")
