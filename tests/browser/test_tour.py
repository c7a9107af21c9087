"""A link from the Share box and the tour, in a real browser."""

import pytest

from tests.browser.conftest import settle
from tests.browser.test_journeys import NUMBERS, OVERFLOW

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
PANEL = ".st-key-lab_tour"


def test_the_share_boxs_link_shows_the_same_to_the_last_digit(visit):
    """From tour to link: led by keys alone, answered, moved by hand, shared, opened by somebody else."""
    page = visit("attention")
    page.get_by_role("button", name="Guided tour").focus()
    page.keyboard.press("Enter")
    settle(page)
    assert "tour=1" in page.url
    page.locator(f"{PANEL} input[type=radio]").first.focus()
    page.keyboard.press("Space")
    settle(page)
    assert page.locator(f"{PANEL} [data-testid=stAlert]").count() == 1, "the verdict stands beside the figure"
    page.locator(f"{PANEL} .st-key-attention_tour_next button").focus()
    for _ in range(5):  # the focus stays on the button
        page.keyboard.press("Enter")
        settle(page)
    assert "tour=6" in page.url
    assert page.evaluate(OVERFLOW) <= 2
    knob = page.locator(".st-key-attention_seed input[type=range]")
    knob.focus()
    for _ in range(2):  # and on a slider
        page.keyboard.press("ArrowRight")
        settle(page)
    assert "attention_seed=2" in page.url
    page.get_by_role("button", name="Share").click()
    settle(page)
    link = page.locator(".stPopover code, [data-testid=stPopoverBody] code").first.inner_text()
    mine = page.evaluate(NUMBERS)

    friend = visit(link.split("/", 3)[3])
    assert friend.evaluate(NUMBERS) == mine
    assert len(mine) > 200
    assert friend.get_by_text("Stop 6 of").count() == 1, "the tour stands where it stood"
    friend.get_by_role("button", name="Free play").click()
    settle(friend)
    assert "tour" not in friend.url
    assert friend.locator(PANEL).count() == 0
    friend.go_back()
    settle(friend)
    assert friend.get_by_text("Stop 6 of").count() == 1, "the browser's way back works"
    assert not page.faults
    assert not friend.faults


def test_an_own_text_and_a_bare_stop_open_from_an_address(visit):
    page = visit(
        "bpe-merges?bpe_merges_corpus=A+text+of+your+own&bpe_merges_own=eNrLSVTIAaG8FB0IA4j0FFwz8xRCUitKFNIO7ylSKM5MzrBSeN6zGo7VFGyS7Cps9JPsAN_MF5M&tour=2"
    )
    assert "tour=2" in page.url
    assert "bpe_merges_own=eNrL" in page.url
    assert page.get_by_text("Stop 2 of").count() == 1
    page.locator(f"{PANEL} .st-key-bpe_merges_tour_next button").click()
    settle(page)
    assert "tour=3" in page.url
    page.get_by_role("link", name="RNN gradients", exact=True).first.click()
    settle(page)
    assert "tour" not in page.url, "another page is in free play"
    page.get_by_role("link", name="BPE merges", exact=True).first.click()
    settle(page)
    assert "tour=3" in page.url
    assert not page.faults
