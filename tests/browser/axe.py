"""axe-core, the accessibility rules of the npm registry's package, run inside a page."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")  # WCAG 2.2, levels A and AA


@dataclass(frozen=True)
class Chrome:
    """A violation in what Streamlit itself draws: the rule, where it is found (a CSS selector), and what it is."""

    rule: str
    selector: str
    reason: str


# Everything that is not ours to mend, and nothing else. A test fails when one of these is no longer found.
CHROME = (
    Chrome("list", "[data-testid=stSidebarNavItems]", "Streamlit wraps the menu's chapters in <div> inside the <ul>."),
    Chrome("listitem", "[data-testid=stSidebarNavItems] li", "The same: the menu's <li> stand inside those <div>."),
)


@lru_cache(maxsize=1)
def _source() -> str:
    assert FILE.exists(), f"{FILE} is missing: run `make axe` (npm takes axe-core from its registry)"
    return FILE.read_text(encoding="utf-8")


def violations(page: Any) -> list[tuple[str, str, str]]:
    """(rule, selector of the element, what is wrong) for each element of the page that breaks a rule."""
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(_source())
    found = page.evaluate(
        """(tags) => axe.run(document, {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"], preload: false})
        .then((result) => result.violations.flatMap((rule) => rule.nodes.map((node) => ({
            rule: rule.id, selector: node.target.flat(9).join(" "), why: (node.any[0] || node.all[0] || node.none[0]).message}))))""",
        list(TAGS),
    )
    return [(node["rule"], node["selector"], node["why"]) for node in found]


def ours(page: Any, found: list[tuple[str, str, str]]) -> tuple[list[tuple[str, str, str]], set[Chrome]]:
    """What is left after Streamlit's own, and which of Streamlit's own were met."""
    left, met = [], set()
    for rule, selector, why in found:
        known = [chrome for chrome in CHROME if chrome.rule == rule and _matches(page, selector, chrome.selector)]
        met.update(known)
        if not known:
            left.append((rule, selector, why))
    return left, met


def _matches(page: Any, selector: str, chrome: str) -> bool:
    return page.evaluate("([at, chrome]) => document.querySelector(at)?.matches(chrome) ?? false", [selector, chrome])
