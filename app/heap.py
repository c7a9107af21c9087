"""What the process holds of the machine's memory: few heaps, and what is free goes back.

The C library keeps a heap for every thread, up to eight a core, and returns nothing of what a crowd has left behind: after
a class the process stays as large as the class was. Both are settings of glibc; elsewhere this does nothing.
"""

import ctypes
import threading
import time
from functools import lru_cache
from typing import Any

ARENA_MAX = -8  # mallopt's name for it: M_ARENA_MAX
ARENAS = 2
EVERY = 30.0  # seconds; a look at the heaps takes a few milliseconds


@lru_cache(maxsize=1)
def _glibc() -> Any:
    """The C library, where it is glibc; otherwise None."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):  # no such thing on Windows
        return None
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def give_back() -> bool:
    """Free pages go back to the system; says whether there were any. The interpreter runs on meanwhile."""
    library = _glibc()
    return bool(library and library.malloc_trim(ctypes.c_size_t(0)))


@lru_cache(maxsize=1)
def keep_small() -> bool:
    """Once a process, before its threads come: two heaps, and every half minute what is free goes back. Says whether
    this machine can."""
    library = _glibc()
    if library is None:
        return False
    library.mallopt(ARENA_MAX, ARENAS)
    threading.Thread(target=_keep, name="heap", daemon=True).start()
    return True


def _keep() -> None:
    while True:
        time.sleep(EVERY)
        give_back()
