"""Everything that is computed once and shared: the one choice of device, loaded checkpoints, one trace per config.

The only ``st.cache_*`` of the project. What is cached is frozen and shared by all visitors by reference; every cache
is bounded, in entries and in time, so that a class of a hundred cannot fill the memory.
"""

import gc
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import streamlit as st
import torch

from models import checkpoints
from models.errors import CheckpointError
from models.trace import Encoding, Head, ModelTrace, TracedModel

T = TypeVar("T")
HOUR = 3600


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
    """Once a process: one thread for small tensors, the default models in memory, and all of it frozen for the
    garbage collector, which would otherwise walk it again and again."""
    torch.set_num_threads(1)
    torch.set_grad_enabled(True)
    for name in checkpoints.names():
        try:
            model(name)
        except CheckpointError:
            continue  # the page that needs it says so
    gc.collect()
    gc.freeze()


@st.cache_resource(max_entries=4, show_spinner="Loading the model …")
def model(name: str) -> TracedModel:
    """A shipped checkpoint by name, one instance for all visitors. Raises CheckpointError with a sentence."""
    return checkpoints.load(name, str(device()))


@st.cache_resource(max_entries=48, ttl=HOUR, show_spinner=False)
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


@st.cache_resource(max_entries=24, ttl=HOUR, show_spinner=False)
def trace(name: str, encoding: Encoding, heads_off: frozenset[Head] = frozenset()) -> ModelTrace:
    """A model's whole forward pass over a sentence; one computation for all visitors who ask for the same."""
    with torch.no_grad():
        return model(name).trace(encoding, heads_off)


def run(function: Callable[..., T], *args: Any) -> T:
    """``function(*args)`` computed once per arguments. They must be hashable by value: frozen configs, numbers, text.

    The function must be pure and return something frozen: all visitors share the result.
    """
    return _run(f"{function.__module__}.{function.__qualname__}", function, args)


@st.cache_resource(max_entries=192, ttl=HOUR, show_spinner=False)
def _run(name: str, _function: Callable[..., T], args: tuple[Any, ...]) -> T:
    return _function(*args)
