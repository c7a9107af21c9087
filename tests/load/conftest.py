"""The app as served, for visitors by websocket."""

import pytest


@pytest.fixture
def server(served):
    return served.server


@pytest.fixture
def address(server):
    return server.address
