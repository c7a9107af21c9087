"""The report: each figure, and in brackets how many times the floor's it is."""

import math
from typing import Any

PAGE_COLUMNS = {  # title -> (field, factor, digits)
    "move p50 ms": ("p50", 1000, 0),
    "move p95 ms": ("p95", 1000, 0),
    "CPU a move ms": ("cpu", 1000, 0),
    "kB a move": ("size", 0.001, 1),
    "first page ms": ("first", 1000, 0),
    "key to pixels ms": ("pixels", 1000, 0),
}
SERVER_ROWS = {
    "cold start to first plot, s": ("cold_start", 1, 1),
    "of it, from the open port on, s": ("first_visitor", 1, 2),
    "memory after the first visitor, MB": ("memory_idle", 1, 0),
    "memory with all pages seen, MB": ("memory_pages", 1, 0),
}
CLASS_COLUMNS = {
    "all in, s": ("arrived", 1, 1),
    "first page p95 ms": ("first_p95", 1000, 0),
    "move p50 ms": ("p50", 1000, 0),
    "move p95 ms": ("p95", 1000, 0),
    "moves": ("moves", 1, 0),
    "errors": ("errors", 1, 0),
    "memory with them, MB": ("memory_with", 1, 0),
    "after, MB": ("memory_after", 1, 0),
    "MB a visitor": ("memory_each", 1, 2),
}


def text(result: dict[str, Any]) -> str:
    """The whole table, as Markdown."""
    floor, app = result["floor"], result["app"]
    base = floor["pages"][""]
    pages = [["floor", *(_figure(base, None, column) for column in PAGE_COLUMNS.values())]]
    for slug, cost in app["pages"].items():
        here = base | cost.get("beside", {})
        pages.append([slug or "home", *(_figure(cost, here, column) for column in PAGE_COLUMNS.values())])
    server = [[title, _figure(floor, None, row), _figure(app, floor, row)] for title, row in SERVER_ROWS.items()]
    first_page = next(iter(app["pages"]))
    classes = []
    for theirs, ours in zip(floor["classes"], app["classes"], strict=True):
        theirs, ours = _each(theirs), _each(ours)
        classes.append(
            [f"{ours['visitors']} on the floor", *(_figure(theirs, None, c) for c in CLASS_COLUMNS.values())]
        )
        classes.append(
            [
                f"{ours['visitors']} on {first_page or 'home'}",
                *(_figure(ours, theirs, c) for c in CLASS_COLUMNS.values()),
            ]
        )
    return "\n\n".join((
        about(result["machine"]),
        markdown(["page", *PAGE_COLUMNS], pages),
        markdown(["server", "floor", "app"], server),
        markdown(["visitors, a move every 2 s", *CLASS_COLUMNS], classes),
        fair(app["fair"]),
        largest(result["largest"]),
    ))  # fmt: skip


def fair(cost: dict[str, Any]) -> str:
    """What those who move notice of those who train."""
    ratio = cost["busy_p95"] / cost["quiet_p95"]
    return (
        f"{cost['training']} visitors all press *Train both* at once, each for another network, and look on: for {cost['moving']} others "
        f"who move a slider, p95 goes from {cost['quiet_p95'] * 1000:.0f} to {cost['busy_p95'] * 1000:.0f} ms ({ratio:.1f}×), "
        f"{cost['errors']} errors. The two trainings that run at a time have processes of their own, of {cost['memory']:.0f} MB together."
    )


def largest(cost: dict[str, Any]) -> str:
    """The largest picture."""
    return (
        f"The largest picture, 12 × 12 heads of 64 tokens each: {cost['size'] / 1e6:.2f} MB a move, and "
        f"{cost['pixels']:.2f} s from the key press to its new pixels, {cost['p50']:.2f} s of them the server's."
    )


def about(machine: dict[str, Any]) -> str:
    """What was measured on, in a line."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{machine['date']}: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}, "
        f"load {machine['load_before']} before and {machine['load_after']} after the run; Python {machine['python']}, {versions}. "
        "In brackets: times the floor, a Streamlit page with one slider and one 16×16 heatmap on the same machine, "
        "for moves in the same minute."
    )


def finite(value: Any) -> Any:
    """For JSON, which has no NaN: what could not be measured becomes null; six digits are enough for the rest."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _each(cost: dict[str, Any]) -> dict[str, Any]:
    return cost | {"memory_each": (cost["memory_with"] - cost["memory_before"]) / cost["visitors"]}


def _figure(cost: dict[str, Any], base: dict[str, Any] | None, column: tuple[str, float, int]) -> str:
    name, factor, digits = column
    value = cost[name] * factor
    if not math.isfinite(value):
        return "–"
    ratio = value / (base[name] * factor) if base and base[name] > 0 and math.isfinite(base[name]) else math.nan
    counted = name in ("moves", "errors", "memory_each")  # a small class moves memory by chance
    return f"{value:.{digits}f}" + (f" ({ratio:.1f}×)" if math.isfinite(ratio) and not counted else "")


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table of cells."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in [head, *rows]
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)
