"""The app as served, for visitors by websocket."""

import pytest

from benchmarks.servers import serving, wait_until_it_answers


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for all that only visit; as from a fresh clone, with no fetched model."""
    home = str(tmp_path_factory.mktemp("home"))
    with serving("app", environment={"ATTENTION_LAB_HOME": home}) as server:
        wait_until_it_answers(server)
        yield server


@pytest.fixture(scope="session")
def address(server):
    return server.address
