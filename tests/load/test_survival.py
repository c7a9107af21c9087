"""Faults that the app as served must survive: a page that raises, visitors who send garbage, no disk, the end."""

import asyncio
import re
import signal
import time

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.exceptions import ConnectionClosed

from app import syllabus
from benchmarks.fuzz import Wanderer
from benchmarks.servers import serving, wait_until_it_answers
from benchmarks.visitor import ScriptError, Visitor, control, positions
from tests.conftest import apart
from tests.load.broken import SECRET

pytestmark = pytest.mark.xdist_group("browser")
SLUGS = ["", *(station.slug for station in syllabus.built())]
BROKEN = ("-m", "tests.load.broken")


@pytest.fixture(scope="module")
def broken():
    """The app, whose pages raise when their sentence holds the word "raise", with no home and no room on any disk."""
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "ATTENTION_LAB_HOME", "TMPDIR"), "/proc/nowhere")
    with serving("app", by=BROKEN, environment=nowhere) as server:
        wait_until_it_answers(server)
        yield server


async def alive(address, page="attention"):
    """A fresh visitor's figures there, before and after a move."""
    async with Visitor(address, page) as visitor:
        await visitor.open()
        opened = visitor.figures()
        slider = control(visitor)
        await visitor.move(slider, positions(slider)[-1])
        return opened, visitor.figures()


def test_a_page_that_raises_is_a_sentence_and_reaches_nobody_else(broken):
    async def both():
        async with Visitor(broken.address, "attention") as one, Visitor(broken.address, "attention") as two:
            await asyncio.gather(one.open(), two.open())
            before = two.figures()
            box = one.all("text_input")[0]
            with pytest.raises(ScriptError):
                await one.type(box, "raise the flag")
            seen = one.all("exception")
            temperature = control(two, "attention_temperature")
            moved = await asyncio.gather(
                one.type(box, "raise it again"), two.move(temperature, 5.0), return_exceptions=True
            )
            await two.move(temperature, 1.0)
            await one.type(box, "The cat sat on the mat because it was tired.")
            return before, seen, moved, two.figures(), one.figures()

    before, seen, moved, after, recovered = apart(both())
    assert len(seen) == 1
    assert "encountered an error" in seen[0].message
    assert not seen[0].stack_trace
    assert not re.search(f"{SECRET}|ZeroDivision|Traceback|/", str(seen[0])), "nothing of the inside is shown"
    assert isinstance(moved[0], ScriptError)
    assert not isinstance(moved[1], BaseException)
    assert after == before, "the other's page is as it was"
    assert recovered == before, "and so is this one's, once its text is another"
    assert "ZeroDivisionError" in broken.log(), "the host finds the cause in the log"


def garbage(widget):
    """Messages that no browser sends."""
    forged = BackMsg()
    forged.rerun_script.page_name = "attention"
    forged.rerun_script.query_string = "%FF%FE=%00&sentence=%ED%A0%80&=&&attention_head=\x7f"
    forged.rerun_script.fragment_id = "nowhere"
    forged.rerun_script.page_script_hash = "0" * 32
    for value in ({"string_value": "{"}, {"double_value": float("nan")}, {"json_value": "]"}, {"bytes_value": b"\x00"},
                  {"trigger_value": True}, {"int_value": 2**60}):  # fmt: skip
        forged.rerun_script.widget_states.widgets.append(WidgetState(id=widget, **value))
    clear = BackMsg(clear_cache=True)
    stop = BackMsg(stop_script=True)
    return [forged.SerializeToString(), clear.SerializeToString(), stop.SerializeToString(), b"", b"\xff" * 500]


async def flood(visitor):
    """Far more at once than any page sends."""
    await visitor._socket.send(b"\x00" * 30_000_000)
    while True:
        ForwardMsg.FromString(await visitor._socket.recv())


def test_garbage_of_one_visitor_reaches_nobody_else(broken):
    async def send_all():
        before = await alive(broken.address)
        for kind in ("slider", "selectbox", "text_input", "plotly_chart", "button_group"):
            async with Wanderer(broken.address, "attention") as visitor:
                await visitor.settle()
                for data in garbage(visitor.all(kind)[0].id):
                    try:
                        await visitor._socket.send(data)
                    except ConnectionClosed:
                        break  # Streamlit closed it, which is its right
        async with Wanderer(broken.address, "attention") as visitor:
            await visitor.open()
            with pytest.raises(ConnectionClosed):
                await flood(visitor)
        return before, await alive(broken.address)

    before, after = apart(send_all())
    assert before == after
    assert broken.process.poll() is None


PRESSED = "rnn_gradients_train"


def test_nothing_can_be_written_and_every_page_opens_and_the_end_is_clean(broken):
    """The last of this server: all pages on a full disk, training runs; then the host stops it with all of them on."""

    async def visit_all():
        visitors = [Wanderer(broken.address, slug) for slug in SLUGS]
        for visitor in visitors:
            await visitor.__aenter__()
            await visitor.settle()
        trainer = visitors[SLUGS.index("rnn-gradients")]
        button = next(b for b in trainer.all("button") if b.id.endswith(PRESSED))
        await trainer.change(WidgetState(id=button.id, trigger_value=True))
        assert any(b.id.endswith("rnn_gradients_stop") for b in trainer.all("button")), "it trains"
        broken.process.send_signal(signal.SIGTERM)
        for _ in range(300):
            if broken.process.poll() is not None:
                return
            await asyncio.sleep(0.1)

    before = len(broken.log())  # the planted faults have left their traces there
    try:
        apart(visit_all())
    except ScriptError:
        pytest.fail(broken.log())
    assert broken.process.poll() in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    time.sleep(0.2)  # what it printed last is on its way
    assert "Traceback" not in broken.log()[before:]
