"""Everything that is computed once and shared: the one choice of device, loaded checkpoints, one trace per config.

The only caches of computed things in the project. What is cached is frozen and shared by all visitors by reference;
every cache is bounded, in entries and in time, so that a class of a hundred cannot fill the memory.

They are cachetools' and not Streamlit's, which hash all arguments anew at every look: 0.25 ms, five times a move.
"""

import gc
import math
import os
import re
import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import lru_cache
from threading import Condition
from typing import Any, TypeVar

import torch
from cachetools import TTLCache, cached
from cachetools.keys import typedkey

from app import heap
from models import checkpoints, fetch
from models.errors import CheckpointError
from models.trace import Encoding, Head, ModelTrace, TracedModel

T = TypeVar("T")
HOUR = 3600


def shared(entries: int, seconds: float = HOUR, key: Callable[..., Hashable] = typedkey) -> Any:
    """A function computed once per arguments, for all visitors; who asks for the same meanwhile waits for it.

    The arguments, or what ``key`` makes of them, must be hashable by value. Errors are not kept.
    """
    return cached(TTLCache(entries, seconds), key=key, condition=Condition())


@lru_cache(maxsize=1)
def device() -> torch.device:
    """ATTENTION_LAB_DEVICE, else CUDA when present, else the CPU. A device that is not there falls back to the CPU."""
    wish = os.environ.get("ATTENTION_LAB_DEVICE", "cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=wish)
        return torch.device(wish)
    except (RuntimeError, AssertionError):
        return torch.device("cpu")


@lru_cache(maxsize=1)
def device_note() -> str:
    """For the provenance line: where the tensors live."""
    here = device()
    return f"on the GPU ({torch.cuda.get_device_name(here)})" if here.type == "cuda" else "on the CPU"


@lru_cache(maxsize=1)
def warm() -> None:
    """Once a process: free memory goes back, one thread for small tensors, and the default models in memory."""
    heap.keep_small()
    torch.set_num_threads(1)
    for name in checkpoints.names():
        try:
            model(name)
        except CheckpointError:
            continue  # the page that needs it says so
    freeze()


def freeze() -> None:
    """What is in memory now stays: the garbage collector would otherwise walk all of it again and again."""
    gc.collect()
    gc.freeze()
    heap.give_back()


def model(name: str) -> TracedModel:
    """A model by name, one instance for all visitors: a shipped one, a fetched one, or ``owner/name`` from the hub.

    Raises:
        CheckpointError: with one sentence.
    """
    if name in checkpoints.names():
        return _shipped(name)
    if name not in fetch.SOURCES and not HUB_NAME.fullmatch(name):  # a visitor's text never becomes a path
        raise CheckpointError("A model of the hub is named like “owner/name”; this text is not.")
    if (refusal := _refused.get(name)) and time.monotonic() < refusal[0]:
        raise CheckpointError(refusal[1])
    try:
        return _foreign(name)
    except CheckpointError as problem:
        if len(_refused) >= 100:
            _refused.clear()
        _refused[name] = (time.monotonic() + 30, str(problem))  # nobody asks the hub anew at every click
        raise


_refused: dict[str, tuple[float, str]] = {}
_opened: set[str] = set()
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@shared(4, math.inf)
def _shipped(name: str) -> TracedModel:
    return checkpoints.load(name, str(device()))


@shared(2, math.inf)
def _foreign(name: str) -> TracedModel:
    """A model that runs on transformers, which is imported here and not before."""
    if name not in fetch.SOURCES and not hub_allowed():
        raise CheckpointError(HUB_IS_OFF)
    source: Any = fetch.model_folder(name) if name in fetch.SOURCES else name
    from models.pretrained import load_pretrained

    loaded = load_pretrained(source, device=device())
    _opened.add(name)
    return loaded


HUB_IS_OFF = "Any model of the hub can be opened where the host sets ATTENTION_LAB_HUB=1; here it is off."


def hub_allowed() -> bool:
    """Whether visitors may have models fetched from the hub: the host says so, for it costs memory and traffic."""
    return os.environ.get("ATTENTION_LAB_HUB") == "1"


def is_open(name: str) -> bool:
    """Whether the model is in memory, or soon will be."""
    return name in _opened or name in checkpoints.names()


def offered(name: str) -> fetch.Availability:
    """Whether a fetched model can be opened; once it is open, the memory it takes is no reason against it."""
    known = fetch.available(name)
    return replace(known, fits=True) if name in _opened else known


@shared(48)
def read(name: str, text: str, max_tokens: int) -> Encoding:
    """A text as a model reads it, cut to ``max_tokens`` so that a picture of it stays legible."""
    encoding = model(name).encode(text)
    if len(encoding.ids) <= max_tokens:
        return encoding
    keep = max_tokens
    cut = encoding.truncated + len(encoding.ids) - keep
    if model(name).kind == "encoder":  # the closing [SEP] stays: the model was never trained without it
        ids, tokens = encoding.ids[: keep - 1] + encoding.ids[-1:], encoding.tokens[: keep - 1] + encoding.tokens[-1:]
    else:
        ids, tokens = encoding.ids[:keep], encoding.tokens[:keep]
    return Encoding(ids, tokens, cut)


def trace(name: str, encoding: Encoding, heads_off: frozenset[Head] = frozenset()) -> ModelTrace:
    """A model's whole forward pass over a sentence; one computation for all visitors who ask for the same."""
    return (_trace if name in checkpoints.names() else _large_trace)(name, encoding, heads_off)


@shared(24)
def _trace(name: str, encoding: Encoding, heads_off: frozenset[Head]) -> ModelTrace:
    with torch.no_grad():
        return model(name).trace(encoding, heads_off)


@shared(4)
def _large_trace(name: str, encoding: Encoding, heads_off: frozenset[Head]) -> ModelTrace:
    """A model with hundreds of heads: one trace can take 30 MB."""
    with torch.no_grad():
        return model(name).trace(encoding, heads_off)


def run(function: Callable[..., T], *args: Any) -> T:
    """``function(*args)`` computed once per arguments. They must be hashable by value: frozen configs, numbers, text.

    The function must be pure and return something frozen: all visitors share the result.
    """
    return _run(function, *args)


def _by_place(function: Callable[..., Any], *args: Any) -> Hashable:
    """A function by its name and file: each run of a page defines the page's own ones anew, and they are the same."""
    code = getattr(function, "__code__", None)
    return typedkey(function.__module__, function.__qualname__, code and code.co_filename, *args)


@shared(192, key=_by_place)
def _run(function: Callable[..., T], *args: Any) -> T:
    return function(*args)


def forget() -> None:
    """Everything that is cached here goes."""
    for each in (_shipped, _foreign, read, _trace, _large_trace, _run):
        each.cache_clear()
