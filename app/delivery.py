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


class _Mail:
    """What one session's scripts have said and the loop has not heard."""

    def __init__(self) -> None:
        self.letters: deque[tuple[tuple[Any, ...], dict[str, Any]]] = deque()
        self.called = False  # the loop has been asked to come
        self.lock = Lock()


def in_batches() -> None:
    """Once a process, before the first visitor."""
    AppSession._on_scriptrunner_event = _put  # type: ignore[assignment,method-assign]
    Runtime._enqueued_some_message = _wake  # type: ignore[assignment,method-assign]


def _put(session: AppSession, *args: Any, **kwargs: Any) -> None:
    """In a script's thread; two of one session may overlap, when one is being replaced."""
    mail: _Mail = session.__dict__.setdefault("_attention_lab_mail", _Mail())
    with mail.lock:
        mail.letters.append((args, kwargs))
        first, mail.called = not mail.called, True
    if first:
        session._call_soon_on_event_loop(lambda: _take(session, mail))


def _take(session: AppSession, mail: _Mail) -> None:
    """On the event loop: hear and send all there is. Streamlit's own loop then finds nothing left."""
    with mail.lock:
        letters, mail.letters, mail.called = mail.letters, deque(), False
    for args, kwargs in letters:
        session._handle_scriptrunner_event_on_event_loop(*args, **kwargs)
    runtime = Runtime.instance()
    if info := runtime._session_mgr.get_active_session_info(session.id):
        try:
            for message in session.flush_browser_queue():
                runtime._send_message(info, message)
        except SessionClientDisconnectedError:
            runtime.disconnect_session(session.id, client=info.client)


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
