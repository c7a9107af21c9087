"""The experiment as code leaves a real browser, and the link in it is the page's own."""

import pytest

from tests.browser.conftest import settle
from tests.browser.test_pictures import saved
from tests.pages.test_recipes import notebook_cells, played

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def test_a_script_and_a_notebook_are_saved_and_run(visit):
    page = visit("positional-encoding?positional_encoding_positions=8", accept_downloads=True)
    page.get_by_text("Take it with you").click()
    settle(page)
    name, script = saved(page, page.get_by_role("button", name="Python script"))
    assert name == "positional_encoding.py"
    assert page.url in script.decode(), "the link that opens this state"
    name, notebook = saved(page, page.get_by_role("button", name="Notebook"))
    assert name == "positional_encoding.ipynb"
    for cells in ([script.decode()], notebook_cells(notebook)):
        space, printed = played(*cells)
        assert space["table"].shape == (8, 32)
        assert "0.841" in printed, "sin 1, in the row of position 1"
    assert not page.faults
