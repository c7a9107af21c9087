"""What scripts say reaches the browser completely, in order, and from whatever thread."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from app import delivery
from tests.conftest import apart


class Session:
    """What delivery needs of Streamlit's session: it hears events and keeps messages until they are sent."""

    def __init__(self, loop):
        self.id, self._event_loop, self.called = "one", loop, 0
        self.heard, self.queue = [], []

    def _call_soon_on_event_loop(self, callback):
        self.called += 1
        self._event_loop.call_soon_threadsafe(callback)

    def _handle_scriptrunner_event_on_event_loop(self, number, *, message):
        self.heard.append(number)
        self.queue.append(message)


def flush(session):
    """Streamlit's own: empties the queue."""
    queue, session.queue = session.queue, []
    return queue


class Server:
    """Streamlit's runtime with one session."""

    def __init__(self, session, connected=True):
        self.sent, self.left = [], []
        info = SimpleNamespace(session=session, client="socket")
        self._session_mgr = SimpleNamespace(
            get_active_session_info=lambda name: info if connected and name == session.id else None
        )

    def _send_message(self, info, message):
        if message == "into the void":
            raise delivery.SessionClientDisconnectedError
        self.sent.append(message)

    def disconnect_session(self, name, client):
        self.left.append((name, client))


@pytest.fixture
def runtime(monkeypatch):
    """Says which server is the runtime."""
    monkeypatch.setattr(delivery, "_flush", flush)
    return lambda server: monkeypatch.setattr(delivery, "Runtime", SimpleNamespace(instance=lambda: server))


def test_nothing_is_lost_doubled_or_out_of_order(runtime):
    async def run():
        session = Session(asyncio.get_running_loop())
        server = Server(session)
        runtime(server)

        def script():
            for number in range(2000):
                delivery._put(session, number, message=number)

        thread = threading.Thread(target=script)
        thread.start()
        while thread.is_alive() or len(server.sent) < 2000:
            await asyncio.sleep(0.001)
        return session, server

    session, server = apart(run())
    assert session.heard == server.sent == list(range(2000))
    assert session.called < 2000, "some went together"


def test_two_scripts_of_one_session_are_both_heard(runtime):
    async def run():
        session = Session(asyncio.get_running_loop())
        runtime(Server(session))

        def script(name):
            for number in range(500):
                delivery._put(session, (name, number), message=number)

        threads = [threading.Thread(target=script, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        while any(t.is_alive() for t in threads) or len(session.heard) < 1000:
            await asyncio.sleep(0.001)
        return session.heard

    heard = apart(run())
    for name in "ab":
        assert [n for who, n in heard if who == name] == list(range(500))


def test_who_has_left_is_let_go_and_who_is_away_keeps_the_messages(runtime):
    async def run(server_of, message):
        session = Session(asyncio.get_running_loop())
        server = server_of(session)
        runtime(server)
        delivery._put(session, 1, message=message)
        await asyncio.sleep(0.01)
        return session, server

    _, server = apart(run(Server, "into the void"))
    assert server.left == [("one", "socket")]
    session, server = apart(run(lambda s: Server(s, connected=False), "hello"))
    assert session.queue == ["hello"], "until the browser is back"
    assert (server.sent, server.left) == ([], [])


def test_a_visitor_is_never_sent_more_at_once_than_streamlit_lets_wait(runtime, monkeypatch):
    monkeypatch.setattr(delivery, "MOST", 10)
    monkeypatch.setattr(delivery, "PAUSE", 0.001)

    async def run():
        session = Session(asyncio.get_running_loop())
        server = Server(session)
        runtime(server)
        for number in range(25):
            delivery._put(session, number, message=number)
        at_once = []
        while len(server.sent) < 30:
            await asyncio.sleep(0)
            at_once.append(len(server.sent))
            if len(server.sent) == 20:  # Streamlit's loop asks in between
                session.queue += range(25, 30)
                assert delivery._nothing_left(session) == []
        return server.sent, at_once

    sent, at_once = apart(run())
    assert sent == list(range(30)), "in order, whoever asks"
    assert max(b - a for a, b in zip([0, *at_once], at_once, strict=False)) == 10


def test_the_loop_is_woken_from_its_own_thread_and_from_others():
    async def run():
        woken = asyncio.Event()
        objects = SimpleNamespace(eventloop=asyncio.get_running_loop(), need_send_data=woken)
        server = SimpleNamespace(_get_async_objs=lambda: objects)
        delivery._wake(server)
        assert woken.is_set(), "at once"
        woken.clear()
        await asyncio.to_thread(delivery._wake, server)
        await asyncio.wait_for(woken.wait(), 5)

    apart(run())


def test_streamlit_still_has_what_is_replaced():
    for owner, names in (
        (delivery.AppSession, ("_on_scriptrunner_event", "_call_soon_on_event_loop", "flush_browser_queue",
                               "_handle_scriptrunner_event_on_event_loop")),
        (delivery.Runtime, ("_enqueued_some_message", "_send_message", "_get_async_objs", "disconnect_session")),
    ):  # fmt: skip
        assert all(callable(getattr(owner, name, None)) for name in names)
