"""The server goes away and comes back on its port, as in every update of a host; the browser stays open meanwhile."""

import pytest

from tests.browser.conftest import settle
from tests.browser.test_journeys import NUMBERS

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
STATE = "attention?attention_temperature=2.5&sentence=The+dog+chased+the+ball."


def test_a_page_outlives_its_server_and_goes_on_with_the_next_move(visit, served):
    page = visit(STATE)
    before, address = page.evaluate(NUMBERS), page.url
    assert len(before) > 200
    with page.expect_websocket() as again:
        served.stop()
        assert page.evaluate(NUMBERS) == before, "what is drawn stays while the server is away"
        served.start()
    assert not again.value.is_closed(), "the browser has found the new server by itself"
    settle(page)
    assert (page.url, page.evaluate(NUMBERS)) == (address, before)

    page.locator(".st-key-attention_layer input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**attention_layer=4**")
    page.wait_for_function(f"before => ({NUMBERS})() !== before", arg=before)
    settle(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert "attention_temperature=2.5" in page.url

    fresh = visit(page.url.split("/", 3)[3])
    assert fresh.evaluate(NUMBERS) == page.evaluate(NUMBERS), "the old page and the address alone show the same"
