"""Few runs at a time.

All visitors' scripts share one interpreter, which runs one thread at a time anyway. A hundred threads that are all in the
middle of something hand its lock to and fro and push each other's work out of the processor's caches; one after the
other they are done sooner, each of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, local
from time import monotonic

AT_ONCE = 2
PATIENCE = 0.5  # seconds; whoever waited so long goes ahead, so that a model that is being loaded stops nobody

_free = BoundedSemaphore(AT_ONCE)
_thread = local()
_latest = 0.0  # when the latest turn ended


@contextmanager
def turn() -> Iterator[None]:
    """Wait for one's turn, and leave it to the next at the end. Within one's turn this does nothing."""
    if getattr(_thread, "has_turn", False):
        yield
        return
    global _latest
    mine = _free.acquire(timeout=PATIENCE)
    _thread.has_turn = True
    try:
        yield
    finally:
        _thread.has_turn, _latest = False, monotonic()
        if mine:
            _free.release()


def quiet_for() -> float:
    """Seconds since a turn ended. A turn that lasts longer than that counts as quiet: it has the processor to itself."""
    return monotonic() - _latest
