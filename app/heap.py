"""What the process holds of the machine's memory: what is free goes back.

The C library keeps what it once had. Reading the five tokenizers of the BPE page takes 70 MB for a moment and leaves 26 MB
of them empty; asked, it gives them back. The asking is a function of glibc; elsewhere this does nothing.
"""

import ctypes
import threading
import time
from functools import lru_cache
from typing import Any

EVERY = 30.0  # seconds; a look at the heaps takes a few milliseconds


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


@lru_cache(maxsize=1)
def keep_small() -> bool:
    """Once a process: every half minute what is free goes back. Says whether this machine can."""
    if _glibc() is None:
        return False
    threading.Thread(target=_keep, name="heap", daemon=True).start()
    return True


def _keep() -> None:
    while True:
        time.sleep(EVERY)
        give_back()
