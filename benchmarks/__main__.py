"""``python -m benchmarks``: measure the floor and the app on this machine, in this run, and report.

The floor is measured first, the app straight after it, with the same scenarios and the same options; the floor's moves
once more before those of each page.
"""

import argparse
import asyncio
import json
import math
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from app import syllabus
from benchmarks import documents, load, paint, picture, table
from benchmarks.servers import ROOT, Server, load_now, machine, serving, wait_until_it_answers

PICTURE = ROOT / "assets" / "pictures" / "benchmarks.svg"


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    moves: int = 40
    presses: int = 12
    class_seconds: float = 10.0
    visitors: tuple[int, ...] = (1, 25, 100, 200)
    classes: int = 5  # how often the first class of 100 or more is repeated
    trainers: int = 50
    fair_seconds: float = 30.0  # twice: some 150 moves, so that a few slow ones are not the whole p95
    gone: float = (
        45.0  # seconds until a class of 100 or more is forgotten, and what it held has gone back to the system
    )


def measure(name: str, pages: list[str], effort: Effort, port: int = 0) -> dict[str, Any]:
    """Everything about one server: its start, each page, each page's paint, classes on its first page."""
    with ExitStack() as servers:
        server = servers.enter_context(serving(name, port))
        cold, first = asyncio.run(load.first_of_all(server, pages[0]))
        found: dict[str, Any] = {
            "cold_start": cold,
            "first_visitor": first,
            "memory_idle": server.memory(),
            "pages": {},
        }
        floor = servers.enter_context(serving("floor")) if name == "app" else None
        if floor:
            wait_until_it_answers(floor)
        for page in pages:
            print(f"{name}: {page or 'the page'}", flush=True)
            beside = floor and asyncio.run(load.page_cost(floor, "", effort.moves))
            found["pages"][page] = asdict(asyncio.run(load.page_cost(server, page, effort.moves)))
            if beside:  # how fast a shared machine is changes by the minute
                found["pages"][page]["beside"] = {key: getattr(beside, key) for key in ("p50", "p95", "cpu")}
        with paint.chromium() as browser:
            for cost_of, cost in found["pages"].items():
                pixels = []
                if cost["key"]:
                    pixels = paint.press_to_pixels(browser, server.address, cost_of, cost["key"], effort.presses)
                cost["pixels"] = median(pixels) if pixels else math.nan
        found["memory_pages"] = server.memory()
        if name == "app":
            print(f"{name}: {effort.trainers} visitors train", flush=True)
            found["fair"] = asdict(
                asyncio.run(load.fairness(server, pages[0], 10, effort.trainers, effort.fair_seconds))
            )
        found["classes"] = classes(server, pages[0], effort)
    return found


def largest(effort: Effort) -> dict[str, Any]:
    """The largest picture: bytes of a move, and seconds from the key press to its new pixels."""
    print("the largest picture", flush=True)
    with serving("tiles") as server:
        wait_until_it_answers(server)
        cost = asyncio.run(load.page_cost(server, "", 3))
        with paint.chromium() as browser:
            pixels = paint.press_to_pixels(browser, server.address, "", cost.key, effort.presses)
    return {"size": cost.size, "p50": cost.p50, "pixels": median(pixels) if pixels else math.nan}


def classes(server: Server, page: str, effort: Effort) -> list[dict[str, Any]]:
    """One class of each size; the one of a hundred as often as asked, to see whether memory grows."""
    again = next((n for n in effort.visitors if n >= 100), None)
    found = []
    for visitors in effort.visitors:
        for _ in range(effort.classes if visitors == again else 1):
            print(f"{server.name}: a class of {visitors}", flush=True)
            gone = effort.gone if server.name == "app" and visitors >= 100 else 2.0
            found.append(asdict(asyncio.run(load.a_class(server, page, visitors, effort.class_seconds, gone=gone))))
    return found


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few moves and small classes, to see that it works")
    parser.add_argument("--pages", help="slugs with commas between; all pages when left out")
    parser.add_argument("--visitors", help="sizes of the classes, 1 to 200, with commas between")
    parser.add_argument("--classes", type=int, default=Effort.classes, help="how often the class of 100 is repeated")
    parser.add_argument("--port", type=int, default=0, help="a port of 127.0.0.1; a free one when left out")
    parser.add_argument("--dry", action="store_true", help="print only: leave the kept results and picture as they are")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    effort = Effort(6, 3, 4.0, (1, 5), 1, 5, 4.0) if chosen.quick else Effort(classes=chosen.classes)
    if chosen.visitors:
        sizes = tuple(min(load.MOST_VISITORS, max(1, int(n))) for n in chosen.visitors.split(","))
        effort = replace(effort, visitors=sizes, classes=chosen.classes)
    built = [station.slug for station in syllabus.built()]
    pages = chosen.pages.split(",") if chosen.pages else ["attention", *(p for p in built if p != "attention"), ""]
    if unknown := [page for page in pages if page and page not in built]:
        raise SystemExit(f"no such page: {', '.join(unknown)}")

    result: dict[str, Any] = {"machine": machine(), "effort": asdict(effort)}
    result["floor"] = measure("floor", [""], effort, chosen.port)
    result["app"] = measure("app", pages, effort, chosen.port)
    result["largest"] = largest(effort)
    result["machine"]["load_after"] = load_now()
    print("\n" + table.text(result))
    if not chosen.dry and not chosen.quick:
        documents.RESULTS.parent.mkdir(exist_ok=True)
        documents.RESULTS.write_text(json.dumps(table.finite(result), indent=1) + "\n")
        PICTURE.write_text(picture.svg(result))
        documents.write(documents.kept())


if __name__ == "__main__":
    main()
