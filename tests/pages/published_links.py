"""The links that have been given out, and what each must show: recorded once, held for good.

``published_links.json`` is only ever added to. To publish a link, append ``{"link": "<page>?<query>", "what": "…"}``
and run ``python -m tests.pages.published_links``: it fills in what an entry without numbers shows. When a shipped model
was trained anew, ``python -m tests.pages.published_links small-gpt`` (the model's name) records the links that rest on
it, and the hash of its weights, again; all other entries stay as they are.
"""

import json
import math
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, parse_qsl

import numpy as np

from app import compute, frame, takeaway
from models import charmodel
from models.weights_file import WEIGHTS, sha256_of
from tests.conftest import ROOT
from tests.pages.opening import HOME, _registered, fine, open_page

FILE = ROOT / "tests" / "pages" / "published_links.json"
PLACES = 5  # entries of a tensor that are written down, evenly spread


@dataclass
class Seen:
    """What one run of a page handed to its frame."""

    stages: list[Any] = field(default_factory=list)
    address: str = ""
    notice: str = ""
    models: set[str] = field(default_factory=set)  # asked for until the notes under the main figure were written


@contextmanager
def watching() -> Iterator[Seen]:
    """Listens where every page passes by: its notes, its figures, its address, the models it asks for."""
    seen = Seen()
    load, read, note, take = compute.model, charmodel._shared, frame.Lab.notice, takeaway.draw

    def model(name: str) -> Any:
        if not seen.notice:
            seen.models.add(name)
        return load(name)

    def shared(name: str, folder: Any) -> Any:
        if not seen.notice:
            seen.models.add(name)
        return read(name, folder)

    def notice(lab: Any, *sentences: str) -> None:
        seen.notice = " ".join(filter(None, sentences))
        note(lab, *sentences)

    def draw(prefix: str, stages: Any, address: str, *more: Any) -> None:
        seen.stages, seen.address = list(stages), address
        take(prefix, stages, address, *more)

    with (
        mock.patch.object(compute, "model", model), mock.patch.object(charmodel, "_shared", shared),
        mock.patch.object(frame.Lab, "notice", notice), mock.patch.object(takeaway, "draw", draw),
    ):  # fmt: skip
        yield seen


def open_link(link: str) -> tuple[Any, Seen]:
    """A fresh visitor with a link; the page it opens and what it handed over."""
    slug, _, query = link.partition("?")
    _registered()  # its visit of home is none of ours
    with watching() as seen:
        app = open_page(slug or HOME, **{k: v if len(v) > 1 else v[0] for k, v in parse_qs(query, True).items()})
    return fine(app), seen


def main_figure(seen: Seen) -> Any:
    """The first figure that has numbers."""
    return next(stage for stage in seen.stages if takeaway.arrays(stage))


def numbers(value: Any) -> dict[str, Any]:
    """A tensor as few numbers: its shape, its mean and largest size where finite, and some of its entries."""
    flat = np.asarray(value).ravel()
    real = flat[np.isfinite(flat)].astype(float)
    at = np.unique(np.linspace(0, max(len(flat) - 1, 0), PLACES).astype(int)) if len(flat) else []
    return {
        "shape": list(np.shape(value)),
        "finite": len(real),
        "mean": float(real.mean()) if len(real) else 0.0,
        "largest": float(np.abs(real).max()) if len(real) else 0.0,
        "at": {str(i): float(flat[i]) if math.isfinite(flat[i]) else str(flat[i]) for i in at},
    }


def shown(app: Any, seen: Seen) -> dict[str, Any]:
    """What a link shows, as the file holds it."""
    figure, query = main_figure(seen), seen.address.partition("?")[2]
    spans = re.findall(r"\*\*(.+?)\*\*", seen.notice) or re.findall(r"\d+\.\d+", seen.notice)[:3]
    touring = "tour=" in query
    return {
        "rests_on": sorted(seen.models),
        "title": app.title[0].value,
        "state": sorted(parse_qsl(query, True)),
        "figure": figure.key,
        "numbers": {name: numbers(value) for name, value in takeaway.arrays(figure).items() if _numeric(value)},
        "says": [badge(app)] if touring else list(dict.fromkeys(spans)),
    }


def badge(app: Any) -> str:
    """What a tour's stop says to look at; how many stops there are depends on the models a host has."""
    return next(m.value.split("] ", 1)[1] for m in app.markdown if m.value.startswith(":gray-badge[Stop"))


def _numeric(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "fiub"


def read() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def hash_of(model: str) -> str:
    return sha256_of(ROOT / "assets" / "weights" / model / WEIGHTS)


def main(names: list[str]) -> None:
    held = read()
    for entry in held["links"]:
        if "numbers" in entry and not set(names) & set(entry["rests_on"]):
            continue
        compute._run.cache_clear()  # what is cached asks for no model
        entry |= shown(*open_link(entry["link"]))
        print(entry["link"], entry["rests_on"], flush=True)
    used = {model for entry in held["links"] for model in entry["rests_on"]}
    held["models"] = {
        m: held["models"].get(m) if m not in names and m in held["models"] else hash_of(m) for m in sorted(used)
    }
    FILE.write_text(json.dumps(held, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
