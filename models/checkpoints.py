"""Shipped weights by name -> a model that all visitors share."""

import os
from collections.abc import Callable
from pathlib import Path

from models.errors import CheckpointError
from models.trace import TracedModel

__all__ = ["CheckpointError", "load", "names", "weights_dir"]

Loader = Callable[[Path, str], TracedModel]


def _small_gpt(folder: Path, device: str) -> TracedModel:
    from models.small_gpt import load_small_gpt

    return load_small_gpt(folder, device)


def _minilm(folder: Path, device: str) -> TracedModel:
    from models.bert import load_minilm

    return load_minilm(folder, device)


# Each loader imports its own model: a page that opens one does not wait for the others.
_LOADERS: dict[str, Loader] = {"small-gpt": _small_gpt, "minilm": _minilm}


def weights_dir() -> Path:
    """Where the shipped weights lie: assets/weights, unless ATTENTION_LAB_WEIGHTS names another folder."""
    named = os.environ.get("ATTENTION_LAB_WEIGHTS")
    return Path(named) if named else Path(__file__).resolve().parent.parent / "assets" / "weights"


def names() -> tuple[str, ...]:
    """The shipped models that ``load`` knows, the default first."""
    return tuple(_LOADERS)


def load(name: str, device: str = "cpu") -> TracedModel:
    """A shipped model in eval mode, every byte of its weights checked.

    Raises:
        CheckpointError: with one clear sentence: an unknown name, a missing folder, a damaged or foreign file.
    """
    if name not in _LOADERS:
        raise CheckpointError(f"There is no shipped model called {name[:60]!r}; there are {', '.join(names())}.")
    folder = weights_dir() / name
    if not folder.is_dir():
        raise CheckpointError(f"The weights of {name} are missing: there is no folder {folder.name} in the weights.")
    return _LOADERS[name](folder, device)
