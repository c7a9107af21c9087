"""Two replicas behind the balancer that ``deploy/`` ships: visitors stay where they are, and survive a process's death.

Nothing is skipped where there is no HAProxy: then the test fails and says how to get it.
"""

import asyncio
import platform
import re
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pytest
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.exceptions import InvalidStatus

from benchmarks.servers import Server
from benchmarks.visitor import Control, Visitor, control, positions
from tests.conftest import apart
from tests.load.replicas import Balanced, Client, balanced

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(platform.system() != "Linux", reason="only Linux has more loopback addresses than one"),
]
PAGE, SESSIONS = "causal-mask", 40


class Reader(Visitor):
    """A visitor that also knows the page's boxes that open, by their name."""

    def block(self, place: tuple[int, ...], delta: Delta) -> None:
        self.boxes = getattr(self, "boxes", {}) | {delta.add_block.popover.label: delta.add_block.popover.id}

    def charts(self) -> list[bytes]:
        """The numbers in sight: all charts, as the bytes they are drawn from."""
        found = [chart for kind in ("plotly_chart", "vega_lite_chart") for chart in self.all(kind)]
        return [chart.SerializeToString(deterministic=True) for chart in found]

    async def press(self, box: str) -> None:
        await self._change(WidgetState(id=self.boxes[box], bool_value=True))


@dataclass
class Tab:
    """One browser tab: its cookies, its websocket, and what it last saw."""

    client: Client
    reader: Reader
    saw: list[bytes] = field(default_factory=list)
    query: str = ""
    move: tuple[Control, Any] | None = None

    @property
    def where(self) -> str:
        return self.client.cookies["lab"]


async def arrive(address: str, number: int, few: asyncio.Semaphore) -> Tab:
    """The page, then its websocket, then one move: what the reader has chosen stands in the address from then on."""
    async with few:
        client = Client(address)
        await asyncio.to_thread(client.get, f"/{PAGE}")
        tab = Tab(client, Reader(address, PAGE, headers=client.headers()))
        await tab.reader.__aenter__()
        await tab.reader.open()
        mover = control(tab.reader)
        assert mover is not None
        places = positions(mover)
        tab.move = mover, places[1 + number % (len(places) - 1)]
        await tab.reader.move(*tab.move)
        await tab.reader.open()  # the whole page as it stands now: a move alone draws its upper half
        tab.saw, tab.query = tab.reader.charts(), tab.reader.query()
        assert tab.saw
        return tab


async def come_back(tab: Tab, few: asyncio.Semaphore, reload: bool) -> None:
    """What a page does when its websocket breaks: a new one, with the same cookies. It asks for nothing then. A reader
    who moves on asks for the fragment of the control as the dead process named it; one who reloads has the address."""
    async with few:
        await asyncio.wait_for(tab.reader._socket.wait_closed(), 30)
        if reload:
            query = dict(parse_qsl(tab.query))
            tab.reader = Reader(tab.client.address, PAGE, query, headers=tab.client.headers())
        for _ in range(60):  # as a browser does: until the balancer has noticed, it answers 502
            with suppress(InvalidStatus):
                await tab.reader.__aenter__()
                break
            await asyncio.sleep(0.5)
        tab.client.keep_from(tab.reader)
        if reload:
            await tab.reader.open()
        else:
            await tab.reader.move(*tab.move)


def sessions(server: Server) -> int:
    """How many websockets this process itself counts."""
    with urllib.request.urlopen(f"{server.address}/_stcore/metrics?families=active_sessions", timeout=30) as answer:
        return int(float(re.search(r"^active_sessions\S* (\S+)", answer.read().decode(), re.MULTILINE)[1]))


async def stay_and_survive(here: Balanced) -> None:
    for server in here.servers:  # whoever comes first waits for the imports: not forty at once
        async with Visitor(server.address, PAGE) as first:
            await first.open()
    few = asyncio.Semaphore(4)
    tabs = await asyncio.gather(*(arrive(here.address, number, few) for number in range(SESSIONS)))
    assert len({tab.query for tab in tabs}) > 1, "different states"

    # Each stays on its process: as many sessions there as cookies that say so, and its files are found there alone.
    places = sorted({tab.where for tab in tabs})
    assert len(places) == 2
    by_place = [[tab for tab in tabs if tab.where == place] for place in places]
    assert sorted(map(len, by_place)) == sorted(map(sessions, here.servers))
    assert min(map(len, by_place)) >= SESSIONS // 4, "both get visitors"
    mine, other = by_place[0][0], by_place[1][0]
    await mine.reader.press("Share")
    picture = mine.reader.all("imgs")[0].imgs[0].url
    for _ in range(3):
        assert await asyncio.to_thread(mine.client.status, picture) == 200
        assert await asyncio.to_thread(other.client.status, picture) == 404, "the other process does not have it"
    assert await asyncio.to_thread(mine.client.status, "/_stcore/metrics") == 404, "not for visitors"

    # One process dies without a word.
    [dying] = [server for server in here.servers if Client(server.address).status(picture) == 200]
    [living] = [server for server in here.servers if server is not dying]
    lost, kept = by_place
    dying.process.kill()
    await asyncio.gather(*(come_back(tab, few, reload=number % 2 == 0) for number, tab in enumerate(lost)))
    assert {tab.where for tab in lost} == {kept[0].where}, "all have a cookie for the process that lives"
    assert sessions(living) == SESSIONS
    for tab in lost:
        assert tab.reader.charts() == tab.saw, "the same figures, from the state in the address"

    # Those on the living process never noticed.
    await asyncio.gather(*(tab.reader.move(control(tab.reader), positions(control(tab.reader))[0]) for tab in kept[:4]))
    for tab in tabs:
        await tab.reader.__aexit__()


@pytest.mark.timeout(600)
def test_a_visitor_keeps_its_process_and_outlives_it(monkeypatch):
    # Two cold processes beside other tests on two cores: patience, for no time is asserted here.
    monkeypatch.setattr("benchmarks.visitor.LIMIT", 240.0)
    with balanced(2) as here:
        apart(stay_and_survive(here))
        assert "?" not in here.log(), "what visitors type stays out of the balancer's log"
