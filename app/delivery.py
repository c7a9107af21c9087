"""What a run sends goes to the browser in batches.

Streamlit hands every message from the script's thread to the event loop by itself, wakes the loop twice for each, and
lets it go once round after each that it sends. Every round gives the interpreter away, to scripts that keep it: while a
class arrived, no page was sent before all scripts were through. Here the messages that the loop has not come to yet are
handed over and sent together, in their order; what they are, and how one is sent, stays Streamlit's.
"""

import asyncio
from collections import deque
from threading import Lock
from typing import Any

from streamlit.runtime import Runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.session_manager import SessionClientDisconnectedError

MOST = 200  # messages at once; Streamlit lets go of a visitor who is 500 behind, and a page has 100 to 200
PAUSE = 0.01  # seconds before the next so many
_flush = AppSession.flush_browser_queue


class _Mail:
    """What one session's scripts have said and the loop has not heard, and what it has heard and not sent."""

    def __init__(self) -> None:
        self.letters: deque[tuple[tuple[Any, ...], dict[str, Any]]] = deque()
        self.called = False  # the loop has been asked to come
        self.lock = Lock()
        self.rest: deque[Any] = deque()  # the loop's alone


def in_batches() -> None:
    """Once a process, before the first visitor."""
    AppSession._on_scriptrunner_event = _put  # type: ignore[assignment,method-assign]
    AppSession.flush_browser_queue = _nothing_left  # type: ignore[assignment,method-assign]
    Runtime._enqueued_some_message = _wake  # type: ignore[assignment,method-assign]


def _mail(session: AppSession) -> _Mail:
    mail: _Mail = session.__dict__.setdefault("_attention_lab_mail", _Mail())
    return mail


def _put(session: AppSession, *args: Any, **kwargs: Any) -> None:
    """In a script's thread; two of one session may overlap, when one is being replaced."""
    mail = _mail(session)
    with mail.lock:
        mail.letters.append((args, kwargs))
        first, mail.called = not mail.called, True
    if first:
        session._call_soon_on_event_loop(lambda: _take(session))


def _take(session: AppSession) -> None:
    """On the event loop: hear all there is, and send it."""
    mail = _mail(session)
    with mail.lock:
        letters, mail.letters, mail.called = mail.letters, deque(), False
    for args, kwargs in letters:
        session._handle_scriptrunner_event_on_event_loop(*args, **kwargs)
    _send(session)


def _nothing_left(session: AppSession) -> list[Any]:
    """Streamlit's loop asks for what is to be sent, and would go round once for each."""
    _send(session)
    return []


def _send(session: AppSession) -> None:
    """On the event loop, and nowhere else are messages sent: so they keep their order."""
    runtime, rest = Runtime.instance(), _mail(session).rest
    info = runtime._session_mgr.get_active_session_info(session.id)
    if info is None:  # away; what is in the queue waits for it, as ever
        rest.clear()
        return
    rest.extend(_flush(session))
    try:
        for _ in range(min(MOST, len(rest))):
            runtime._send_message(info, rest.popleft())
    except SessionClientDisconnectedError:
        rest.clear()
        runtime.disconnect_session(session.id, client=info.client)
    if rest:
        session._event_loop.call_later(PAUSE, _send, session)


def _wake(runtime: Runtime) -> None:
    """The loop sends what there is. Nearly always it is the loop itself that says so."""
    objects = runtime._get_async_objs()
    try:
        here = asyncio.get_running_loop() is objects.eventloop
    except RuntimeError:
        here = False
    if here:
        objects.need_send_data.set()
    else:
        objects.eventloop.call_soon_threadsafe(objects.need_send_data.set)
