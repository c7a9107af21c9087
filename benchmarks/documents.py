"""What the documents say was measured: written between two marks from the kept result, never by hand.

``python -m benchmarks.documents`` writes README.md and docs/hosting.md again from ``benchmarks/results/latest.json``;
``make bench`` does so at its end.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.servers import ROOT

RESULTS = ROOT / "benchmarks" / "results" / "latest.json"
SHARE = 0.7  # of a core that may be busy: beyond it the waiting grows faster than the work
THINKS = {"a lecture: a move every 2 s": 2.0, "reading: a move every 10 s": 10.0}
BEGIN, END = "<!-- measured: {} -->", "<!-- end of what was measured -->"


def capacity(result: dict[str, Any]) -> str:
    """How many visitors one core holds, page by page, and what whole classes met.

    A move costs the processor ``cpu`` seconds; ``SHARE`` of a core then holds ``SHARE × think / cpu`` visitors who each
    move once in ``think`` seconds.
    """
    rows = []
    for slug, cost in result["app"]["pages"].items():
        if math.isfinite(cost["cpu"]) and cost["cpu"] > 0:
            holds = [str(math.floor(SHARE * think / cost["cpu"])) for think in THINKS.values()]
            rows.append([slug or "home", f"{cost['cpu'] * 1000:.0f}", *holds])
    pages = table.markdown(["page", "CPU a move, ms", *THINKS], rows)
    classes = table.markdown(
        ["visitors on one process, a move every 2 s", "all in, s", "move p50 ms", "p95 ms", "errors", "memory, MB"],
        [
            [
                f"{one['visitors']}",
                f"{one['arrived']:.1f}",
                f"{one['p50'] * 1000:.0f}",
                f"{one['p95'] * 1000:.0f}",
                f"{one['errors']}",
                f"{one['memory_with']:.0f}",
            ]
            for one in result["app"]["classes"]
        ],
    )
    memory = (
        f"Memory of one process: {result['app']['memory_idle']:.0f} MB after its first visitor, "
        f"{result['app']['memory_pages']:.0f} MB once every page was visited, "
        f"{result['app']['classes'][-1]['memory_after']:.0f} MB after the classes. "
        f"The two trainings that may run at a time: {result['app']['fair']['memory']:.0f} MB together, in processes of their own."
    )
    machine = result["machine"]
    about = f"Measured {machine['date']} on {machine['cores']} cores of {machine['cpu']}."
    if machine.get("note"):
        about += f" {machine['note']}"
    return f"{about} {memory}\n\n{pages}\n\n{classes}"


PARTS: dict[str, tuple[Path, Callable[[dict[str, Any]], str]]] = {
    "what it costs": (ROOT / "README.md", table.text),
    "visitors a core": (ROOT / "docs" / "hosting.md", capacity),
}


def kept() -> dict[str, Any]:
    """The last result; what could not be measured is NaN again."""
    return _numbers(json.loads(RESULTS.read_text()))


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    return math.nan if value is None else value


def between(text: str, name: str) -> str:
    """What a document says now. Raises ValueError where the marks are missing."""
    mark = BEGIN.format(name)
    begin = text.index(mark) + len(mark)
    return text[begin : text.index(END, begin)].strip()


def filled(text: str, name: str, said: str) -> str:
    """The document with this said between its marks. Raises ValueError where they are missing."""
    mark = BEGIN.format(name)
    begin = text.index(mark) + len(mark)
    return f"{text[:begin]}\n\n{said}\n\n{text[text.index(END, begin) :]}"


def write(result: dict[str, Any]) -> None:
    """Every part into its document."""
    for name, (path, make) in PARTS.items():
        path.write_text(filled(path.read_text(), name, make(result)))


if __name__ == "__main__":
    write(kept())
