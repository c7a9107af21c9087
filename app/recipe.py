"""The experiment as code: a page's main tensor as a short program that runs without this project.

A page hands over a ``Recipe``: which of its functions to call, with which settings and inputs. The program is made of
the functions' real source (app/source.py), so it computes what the page computes. Made only when it is downloaded.
"""

import base64
import json
import math
import pprint
import textwrap
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from torch import Tensor

from app import recipe_kit
from app.source import Definition, Source, free_names, gather

LONG_TEXT = 1500  # characters; a longer text travels compressed
LIBRARY = {"torch": ("", "torch", ""), "math": ("", "math", ""), "F": ("torch.nn", "functional", "F")}
KIT = {function.__name__: function for function in (recipe_kit.unpack, recipe_kit.unpack_text, recipe_kit.say, recipe_kit.show)}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How to compute a figure's tensors again.

    ``run`` and ``shows`` are Python; they may use the settings and inputs by name, the functions in ``uses``,
    ``show`` and ``say`` of app/recipe_kit.py, and torch, math and F.
    """

    results: Mapping[str, str]  # variables that ``run`` leaves -> what the page's NPZ calls the same, "stage.tensor"
    uses: tuple[Definition, ...]
    run: str  # the call
    shows: str  # what is printed of it
    settings: Mapping[str, Any] = field(default_factory=dict)  # NAME -> number, text, None, or tuples of these
    inputs: Mapping[str, Tensor] = field(default_factory=dict)  # what cannot be computed again, as numbers
    note: str = ""  # where the inputs come from, with the licence of weights


def kept(make: Callable[[], Recipe]) -> Callable[[], Recipe]:
    """The same function, with the page's names as they stand now: the page may run on before somebody clicks."""
    if not isinstance(make, FunctionType):
        return make
    return FunctionType(make.__code__, {**make.__globals__}, make.__name__, make.__defaults__, make.__closure__)


@dataclass(frozen=True)
class Export:
    """A recipe on its way out of a page: with the page's name, its question and the link to this very state."""

    title: str
    question: str
    address: str
    make: Callable[[], Recipe]

    def script(self) -> bytes:
        """A Python file."""
        found = self.make()
        head, *rest = _cells(found)
        about = "\n\n".join([f"{self.title}: {self.question}", *(_filled(part) for part in self._about(found))])
        parts = [f'"""{_quoted(about)}\n"""', head.code]
        parts += [f"# --- {cell.heading}\n\n{cell.code}" for cell in rest]
        return ("\n\n\n".join(parts) + "\n").encode()

    def notebook(self) -> bytes:
        """The same cells as a Jupyter notebook, with words between them."""
        found = self.make()
        about = "\n\n".join([f"# {_inert(self.title)}", _inert(self.question), *map(_inert, self._about(found))])
        cells: list[dict[str, Any]] = [_markdown(about)]
        for cell in _cells(found):
            cells += [_markdown(f"## {_inert(cell.heading)}"), _code(cell.code)]
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        whole = {
            "cells": cells,
            "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
            "nbformat": 4,
            "nbformat_minor": 4,
        }
        return json.dumps(whole, indent=1).encode()

    def _about(self, found: Recipe) -> list[str]:
        names, kept = ", ".join(found.results), ", ".join(found.results.values())
        torch_too = "PyTorch (pip install torch)" if "torch" in "".join(_sources(found).imports) else "nothing else"
        return [
            f"This program computes again what the page showed, with the same settings: {names} "
            f"(in the page's NPZ: {kept}). It needs Python 3.11 or newer and {torch_too}. The functions are the page's own, as they stand in the "
            "named files of Attention Lab, MIT licence.",
            *([found.note] if found.note else []),
            f"The page as it stood: {self.address}",
        ]


@dataclass(frozen=True)
class _Cell:
    heading: str
    code: str


def _cells(recipe: Recipe) -> list[_Cell]:
    """Imports, settings, inputs, one cell a file of functions, the call, the print."""
    source = _sources(recipe)
    settings, inputs = _assignments(recipe)
    cells = [
        _Cell("Imports", "\n".join(source.imports)),
        _Cell("The settings of the page", "\n".join(settings)),
        *(_Cell(file, code) for file, code in source.modules),
        _Cell("What comes from the page in packed form", "\n".join(inputs)),
        _Cell("Compute", recipe.run.strip()),
        _Cell("Print", recipe.shows.strip()),
    ]
    return [cell for cell in cells if cell.code]


def _sources(recipe: Recipe) -> Source:
    """All functions of the program, those of the kit that it uses included.

    Raises:
        ValueError: if the program uses a name that nothing defines.
    """
    settings, inputs = _assignments(recipe)
    program = "\n".join([*settings, *inputs, recipe.run.strip(), recipe.shows.strip()])
    free = free_names(program)
    kit = [function for name, function in KIT.items() if name in free]
    source = gather((*recipe.uses, *kit), program, [LIBRARY[name] for name in free & LIBRARY.keys()])
    if unknown := free - source.names:
        raise ValueError(f"the program uses {', '.join(sorted(unknown))}, which neither it nor its functions define")
    return source


def _assignments(recipe: Recipe) -> tuple[list[str], list[str]]:
    """The lines that set the settings, and those that unpack the inputs; a long text is unpacked too."""
    long = {name: value for name, value in recipe.settings.items() if isinstance(value, str) and len(value) > LONG_TEXT}
    settings = [f"{name} = {literal(value)}" for name, value in recipe.settings.items() if name not in long]
    texts = [f"{name} = {packed_text(value)}" for name, value in long.items()]
    return settings, texts + [f"{name} = {packed(value)}" for name, value in recipe.inputs.items()]


def literal(value: Any, width: int = 100) -> str:
    """A number, text, None or tuples, lists and mappings of these as Python that gives it back, whatever the text is."""
    if _finite(value):
        return pprint.pformat(value, width=width, compact=True, sort_dicts=False)
    if isinstance(value, float):
        return f'float("{value}")'
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(name)}: {literal(part)}' for name, part in value.items())}}}"
    parts = ", ".join(literal(part) for part in value)
    return f"[{parts}]" if isinstance(value, list) else f"({parts},)"


def _finite(value: Any) -> bool:
    """Can ``repr`` be read back? It writes infinity as a name that Python does not know."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite, (*value, *value.values())))
    return not isinstance(value, (list, tuple)) or all(map(_finite, value))


def packed_text(text: str) -> str:
    """The call of ``unpack_text`` that gives a text back."""
    raw = zlib.compress(text.encode("utf-8", "surrogatepass"), 9)
    return f'unpack_text("{base64.b64encode(raw).decode()}")'


def packed(values: Tensor) -> str:
    """The call of ``unpack`` that gives these numbers back: in 16 bits where that loses nothing, else in 32."""
    numbers = values.detach().cpu().float().contiguous()
    half = numbers.half()
    short = bool(half.float().equal(numbers))
    raw = zlib.compress((half if short else numbers).numpy().tobytes(), 9)
    data = f'unpack({tuple(numbers.shape)}, "{base64.b64encode(raw).decode()}"'
    return data + (", torch.float16)" if short else ")")


def _filled(paragraph: str) -> str:
    return textwrap.fill(paragraph, 100, break_long_words=False, break_on_hyphens=False)


def _quoted(text: str) -> str:
    """Text for inside a docstring: nothing in it can end the string or escape."""
    safe = "".join(char if char.isprintable() or char == "\n" else " " for char in text)
    return safe.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')


def _inert(text: str) -> str:
    """Text for a notebook's Markdown: no tag, link, formula or emphasis of its own."""
    safe = "".join(char if char.isprintable() else " " for char in text)
    for char in "\\`*_{}[]<>#$|~":
        safe = safe.replace(char, f"&#{ord(char)};")
    return safe


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code(text: str) -> dict[str, Any]:
    lines = text.splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": lines}
