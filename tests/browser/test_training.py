"""Live training in a browser: started, watched by a second visitor, left, found again, stopped."""

import pytest

from tests.browser.conftest import settle

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
PANEL = ".st-key-lab_section_recall"


def updates(page) -> int:
    """How many updates the panel speaks of."""
    words = page.locator(PANEL).inner_text()
    return int(words.split("Accuracy by distance after ")[1].split(" ")[0])


def wait_for(page, condition, what):
    for _ in range(300):
        if condition():
            return
        page.wait_for_timeout(200)
    raise AssertionError(what)


def test_training_is_shared_survives_leaving_and_stops(visit):
    page, second = (visit("rnn-gradients?rnn_gradients_seed=3") for _ in range(2))  # both before it starts: it is quick
    assert updates(page) == updates(second) == 0
    page.get_by_role("button", name="Train both").click()
    second.get_by_role("button", name="Train both").click()
    wait_for(page, lambda: updates(page) > 0, "the curves move while it trains")
    wait_for(second, lambda: updates(second) > 0, "a second visitor who asks for the same sees the same training")

    page.get_by_role("link", name="LSTM gates", exact=True).first.click()
    settle(page)
    page.get_by_role("link", name="RNN gradients", exact=True).first.click()
    page.wait_for_selector(PANEL)
    wait_for(page, lambda: page.locator(PANEL).get_by_text("Accuracy by distance after").count(), "the panel is back")

    second = visit("rnn-gradients?rnn_gradients_seed=4")  # one of its own, so that it cannot have ended by itself
    second.get_by_role("button", name="Train both").click()
    wait_for(second, lambda: updates(second) > 0, "it trains")
    second.get_by_role("button", name="Stop").dispatch_event("click")  # at once: a training lasts a few seconds
    wait_for(second, lambda: second.get_by_role("button", name="Train both").count(), "it can be started again")
    assert updates(second) > 0, "what was learned is kept"
    assert not page.faults
    assert not second.faults
