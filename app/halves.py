"""A page runs in two halves, so that a move costs what is in sight.

The upper half of a page's script, up to its first ``lab.section``, draws the controls, the main figure and what to
notice. The lower half draws all that stands below. Each is a fragment: a control in the upper half reruns the upper
half alone, and the lower one follows when the reader can see it and the hand has rested for a moment. Both halves
share one namespace, so a page is written as one plain script and knows nothing of this.

A run of the whole page runs both, one after the other: on arrival, when a callback asked for it (``whole``), and
always while ``together`` says so.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from itertools import count
from pathlib import Path
from types import CodeType
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

UPPER, LOWER = "lab_upper", "lab_lower"
_versions = count(1)


@dataclass
class Visit:
    """One visitor's page between two whole runs: the names that its script has bound, and how far they were drawn."""

    path: str
    guard: "Guard"  # draws one half around ``execute``
    names: dict[str, Any] = field(default_factory=dict)
    lab: Any = None  # the page's frame, once the script has opened it
    sound: bool = True  # the upper half came to its end
    version: int = 0  # of the upper half, never used twice; a class of its outermost element says it to the browser


Guard = Callable[[Visit, int], None]


@lru_cache(maxsize=64)
def halves(path: str) -> tuple[CodeType, CodeType]:
    """A page's script, cut before the first of its statements that opens a section."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"), path)
    cut = next((at for at, statement in enumerate(tree.body) if _opens_section(statement)), len(tree.body))
    upper, lower = ast.Module(tree.body[:cut], []), ast.Module(tree.body[cut:], [])
    return compile(upper, path, "exec"), compile(lower, path, "exec")


def _opens_section(statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return False
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "section"
        for node in ast.walk(statement)
    )


def run(path: str, guard: Guard, together: bool) -> Any:
    """The whole run of a page; returns its frame. ``guard(visit, half)`` draws half 0 or 1 around ``execute``."""
    visit = Visit(path, guard)
    above, below = st.container(key=UPPER), st.container(key=LOWER)
    with above:
        (_upper if together else _upper_alone)(visit)
    with below:
        (_lower if together else _lower_alone)(visit)
    if not together:
        _watch(data={"drawn": visit.version}, on_seen_change=_refresh, key="lab_watch")
    return visit.lab


def _upper(visit: Visit) -> None:
    visit.version = next(_versions)
    visit.sound = True
    visit.names = {}  # not emptied: a button of the lower half, still drawn, needs the names it was drawn with
    visit.guard(visit, 0)


def _lower(visit: Visit) -> None:
    visit.guard(visit, 1)


_upper_alone = st.fragment(key=UPPER)(_upper)
_lower_alone = st.fragment(key=LOWER)(_lower)


def execute(visit: Visit, half: int) -> None:
    """One half of the script in the visit's namespace."""
    visit.names |= {"__name__": "__main__", "__file__": visit.path}
    exec(halves(visit.path)[half], visit.names)  # the project's own page, compiled from its file


def whole(callback: Callable[..., None]) -> Callable[..., None]:
    """A callback after which both halves are drawn anew, because it sets controls of both."""

    @wraps(callback)
    def then_all(*args: Any, **kwargs: Any) -> None:
        callback(*args, **kwargs)
        everything()

    return then_all


def everything() -> None:
    """In a callback: draw the whole page after it, not the widget's half alone."""
    context = get_script_run_ctx()
    if context and context.fragment_ids_this_run:
        st.rerun()


def _refresh() -> None:
    """The lower half is in sight and older than the upper one."""
    st.rerun(LOWER)


# Asks for the lower half when it is in sight and older than the upper one, after a moment without a newer version.
# It stands outside both halves, so that no move pays for it, and reads the version from the upper half's class.
_watch = st.components.v2.component(
    "attention_lab_watch",
    js="""
export default function ({ data, setTriggerValue }) {
  const upper = document.querySelector(".st-key-lab_upper"), lower = document.querySelector(".st-key-lab_lower");
  if (!upper || !lower) return;
  let drawn = data.drawn, inSight = false, timer;
  const version = () => {
    const marked = upper.querySelector('[class*="st-key-lab_version_"]');
    return marked ? Number(marked.className.match(/st-key-lab_version_([0-9]+)/)[1]) : drawn;
  };
  const look = () => {
    clearTimeout(timer);
    if (!inSight || version() === drawn) return;
    timer = setTimeout(() => { drawn = version(); setTriggerValue("seen", drawn); }, 250);
  };
  const scrolled = new IntersectionObserver((entries) => { inSight = entries[entries.length - 1].isIntersecting; look(); });
  const redrawn = new MutationObserver(() => { if (version() !== drawn) look(); });
  scrolled.observe(lower);
  redrawn.observe(upper, { subtree: true, childList: true, attributeFilter: ["class"] });
  return () => { clearTimeout(timer); scrolled.disconnect(); redrawn.disconnect(); };
}
""",
)
