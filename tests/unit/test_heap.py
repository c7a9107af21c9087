"""Freed memory goes back to the system."""

import ctypes
import inspect
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app import heap
from tests.conftest import ROOT

linux = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a function of glibc")


def anonymous() -> int:
    """kB of this process that no file backs."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


@linux
def test_what_is_free_goes_back():
    # Blocks small enough for the heap, with one kept at its end, under which nothing is given back by itself.
    library = ctypes.CDLL(None)
    library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    blocks = [library.malloc(ctypes.c_size_t(60_000)) for _ in range(1000)]
    for block in blocks:
        ctypes.memset(block, 1, 60_000)
    last = blocks.pop()
    for block in blocks:
        library.free(block)
    before = anonymous()
    assert heap.give_back()
    assert before - anonymous() > 30_000, "of 60 MB"
    library.free(last)


THREAD = """
import ctypes, threading
from pathlib import Path
from app import heap
{anonymous}
heap.keep_small() if {kept} else None
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def use(sizes):
    blocks = [library.malloc(ctypes.c_size_t(size)) for size in sizes]
    for block, size in zip(blocks, sizes):
        ctypes.memset(block, 1, size)
    for block in blocks:
        library.free(block)
use([30_000_000])  # after which glibc takes blocks and ends of that size for small
before = anonymous()
thread = threading.Thread(target=use, args=([1_000_000] * 40,))
thread.start()
thread.join()
heap.give_back()
print(anonymous() - before)
"""


@linux
@pytest.mark.parametrize("kept", [True, False])
def test_what_a_thread_has_freed_goes_back(kept):
    program = THREAD.format(anonymous=inspect.getsource(anonymous), kept=kept)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    left = int(done.stdout)
    assert left < 6_000 if kept else left > 30_000, "kB; the C library's own way is the reason for all this"


@linux
def test_it_is_set_up_once():
    def keepers():
        return sum(thread.name == "heap" for thread in threading.enumerate())

    heap.keep_small.cache_clear()
    before = keepers()  # an app opened in this process has its own
    assert heap.few_heaps()
    assert heap.keep_small()
    assert heap.keep_small()
    assert keepers() == before + 1


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(heap, "_glibc", lambda: None)
    heap.keep_small.cache_clear()
    assert not heap.give_back()
    assert not heap.few_heaps()
    assert not heap.keep_small()
    heap.keep_small.cache_clear()
