"""Few runs at a time.

All visitors' scripts share one interpreter, which runs one thread at a time anyway. A hundred threads that are all in the
middle of something hand its lock to and fro and push each other's work out of the processor's caches; one after the
other they are done sooner, each of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, local
from time import monotonic, sleep

AT_ONCE = 2
COURTESY = 0.1  # seconds
PATIENCE = (
    0.5  # seconds without the end of a turn; who waits then goes ahead: a model that is being loaded stops nobody
)

_free = BoundedSemaphore(AT_ONCE)
_thread = local()
_here: set[object] = set()  # those who have a turn or wait for one
_latest = 0.0  # when the latest turn ended


@contextmanager
def turn() -> Iterator[None]:
    """Wait for one's turn, and leave it to the next at the end. Within one's turn this does nothing."""
    if getattr(_thread, "has_turn", False):
        yield
        return
    global _latest
    me = object()
    _here.add(me)
    while not (mine := _free.acquire(timeout=PATIENCE)) and quiet_for() < PATIENCE:
        pass  # others were served meanwhile: it is a long line, and nobody holds it up
    _thread.has_turn = True
    try:
        yield
    finally:
        _thread.has_turn, _latest = False, monotonic()
        _here.discard(me)
        if mine:
            _free.release()


def make_way() -> None:
    """For what nobody's hand waits for, between two of its steps: visitors who have a turn or wait for one go first, for
    a moment, so that it still gets on in a busy class."""
    if getattr(_thread, "has_turn", False):
        return
    until = monotonic() + COURTESY
    while _here and monotonic() < until:
        sleep(0.001)


def quiet_for() -> float:
    """Seconds since a turn ended. A turn that lasts longer than that counts as quiet: it has the processor to itself."""
    return monotonic() - _latest
