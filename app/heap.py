"""What the process holds of the machine's memory: what nobody needs goes back, at times that disturb nobody.

Python looks through everything it holds as soon as there is a quarter more of it: with a class of a hundred that is every
few seconds and stops all of them for 0.1 to 0.4 s. Here that is done once in half a minute, when nobody is moving
anything; what is short-lived is still collected at once.

The C library keeps what it once had. Reading the five tokenizers of the BPE page takes 70 MB for a moment and leaves 26 MB
of them empty; asked, it gives them back. It does so for every gap, but not for the free end of the heaps that it makes for
threads, eight for each processor, and once it has seen large blocks it lets such an end grow to 64 MB: fifty visitors' new
networks left 200 MB there. Here it keeps 4 MB of each and makes no more than two, besides those of threads that are older
than this program. All this is glibc's; elsewhere it does nothing.
"""

import ctypes
import gc
import threading
from functools import lru_cache
from time import monotonic, sleep
from typing import Any

from app import turns

EVERY, LONGEST = 30.0, 300.0  # seconds: so often, but in the midst of a class only so often
PAUSE = 1.0  # seconds without a visitor's run
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
LARGE = 4 << 20  # bytes
HEAPS = 2
YOUNG, MIDDLE, NEVER = (
    10_000,
    20,
    1_000_000,
)  # collections of Python's three generations: after so many objects, or such collections


@lru_cache(maxsize=1)
def _glibc() -> Any:
    """The C library, where it is glibc; otherwise None."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # no such thing on Windows
        return None
    return library if hasattr(library, "malloc_trim") else None


def give_back() -> bool:
    """Free pages go back to the system; says whether there were any. The interpreter runs on meanwhile."""
    library = _glibc()
    return bool(library and library.malloc_trim(ctypes.c_size_t(0)))


def few_heaps() -> bool:
    """As early as can be. Says whether the C library was willing."""
    library = _glibc()
    return bool(library and library.mallopt(M_ARENA_MAX, HEAPS))


@lru_cache(maxsize=1)
def keep_small() -> bool:
    """Once a process: from now on. Says whether this machine takes free memory back."""
    gc.set_threshold(YOUNG, MIDDLE, NEVER)
    if library := _glibc():
        for name in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            library.mallopt(name, LARGE)
    threading.Thread(target=_keep, name="heap", daemon=True).start()
    return _glibc() is not None


def _keep() -> None:
    latest = monotonic()
    while True:
        sleep(PAUSE)
        since = monotonic() - latest
        if since > LONGEST or (since > EVERY and turns.quiet_for() > PAUSE):
            gc.collect()
            give_back()
            latest = monotonic()
