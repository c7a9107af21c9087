"""A page runs in three parts, so that a move costs what it changes.

A page's script is cut twice: after the block that draws its controls, and before its first ``lab.section``. The parts
are the controls, the picture with its formula and what to notice, and all that stands below. Each is a fragment, and
all share one namespace, so a page is written as one plain script and knows nothing of this.

A control that was moved runs the picture. The code of the controls runs before it, in quiet (``app/standing.py``), and
they are drawn anew only where one of them would look another way. The lower part follows when the reader can see it
and the hand has rested for a moment.

A run of the whole page runs all three, one after the other: on arrival, when a callback asked for it (``whole``), and
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
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import turns
from app.standing import Standing

CONTROLS, PICTURE, LOWER = "lab_controls", "lab_picture", "lab_lower"
_versions = count(1)


@dataclass
class Visit:
    """One visitor's page between two whole runs: the names that its script has bound, and how far they were drawn."""

    path: str
    guard: Callable[["Visit", int], None]  # draws one part (0, 1 or 2) around ``execute``
    together: bool = False  # drawn in one piece
    names: dict[str, Any] = field(default_factory=dict)
    lab: Any = None  # the page's frame, once the script has opened it
    problem: str = ""  # why the script could not go on
    version: int = 0  # of the picture, never used twice; a class of a container says it to the browser
    fresh: bool = False  # the first part has run, and the picture not yet
    standing: Standing = field(init=False)

    def __post_init__(self) -> None:
        self.standing = Standing(lambda: _settle(self))


@lru_cache(maxsize=64)
def parts(path: str) -> tuple[CodeType, CodeType, CodeType]:
    """A page's script in three; a page without controls is all in the first."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"), path)
    controls = next((at for at, each in enumerate(tree.body, 1) if _draws_controls(each)), len(tree.body))
    lower = next((at for at, each in enumerate(tree.body) if at >= controls and _opens_section(each)), len(tree.body))
    cuts = (tree.body[:controls], tree.body[controls:lower], tree.body[lower:])
    first, second, third = (compile(ast.Module(cut, []), path, "exec") for cut in cuts)
    return first, second, third


def _draws_controls(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.With) and any(_is_call(i.context_expr, "controls") for i in statement.items)


def _opens_section(statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return False
    return any(_is_call(node, "section") for node in ast.walk(statement))


def _is_call(node: ast.AST, method: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method


def run(visit: Visit, places: tuple[DeltaGenerator, DeltaGenerator, DeltaGenerator]) -> None:
    """The whole run of a page, each part in its place."""
    for place, part, alone in zip(places, _PARTS, _ALONE, strict=True):
        with place:
            (part if visit.together else alone)(visit)
    if not visit.together:
        _watch(data={"drawn": visit.version}, on_seen_change=_refresh, key="lab_watch")


def _controls(visit: Visit) -> None:
    visit.standing.begin(quiet=False)
    with turns.turn():
        visit.guard(visit, 0)
    visit.fresh = True


def _picture(visit: Visit) -> None:
    if not visit.fresh and not _in_quiet(visit):  # run by something that is no control and calls no ``whole``
        st.rerun()
    visit.fresh = False
    visit.version = next(_versions)
    with turns.turn():
        visit.guard(visit, 1)


def _lower(visit: Visit) -> None:
    if visit.fresh:  # the picture was interrupted, and its names are missing here
        st.rerun()
    with turns.turn():
        visit.guard(visit, 2)


_PARTS = (_controls, _picture, _lower)
_ALONE = tuple(st.fragment(key=key)(part) for key, part in zip((CONTROLS, PICTURE, LOWER), _PARTS, strict=True))


def _in_quiet(visit: Visit) -> bool:
    """Runs the controls' part without drawing; False where they must be drawn."""
    visit.standing.begin(quiet=True)
    try:
        with turns.turn():
            visit.guard(visit, 0)
    except Exception:  # Changed; whatever else the page raises, it raises again in its place when it is drawn
        return False
    finally:
        visit.standing.quiet = False
    visit.fresh = True
    return True


def _settle(visit: Visit) -> None:
    """In a callback: the picture follows, and the controls where they change."""
    if _is_alone():
        st.rerun(PICTURE if _in_quiet(visit) else [CONTROLS, PICTURE])


def execute(visit: Visit, part: int) -> None:
    """One part of the script in the visit's namespace."""
    # A new one at the first: a button of the lower part, still drawn, needs the names that it was drawn with.
    names = visit.names if part else _fresh_names(visit.path)
    exec(parts(visit.path)[part], names)  # the project's own page, compiled from its file
    visit.names = names


def plain(path: str) -> None:
    """A page that has no parts."""
    exec(parts(path)[0], _fresh_names(path))


def _fresh_names(path: str) -> dict[str, Any]:
    return {"__name__": "__main__", "__file__": path}


def whole(callback: Callable[..., None]) -> Callable[..., None]:
    """A callback after which all parts are drawn anew, because it sets controls of several."""

    @wraps(callback)
    def then_all(*args: Any, **kwargs: Any) -> None:
        callback(*args, **kwargs)
        everything()

    return then_all


def everything() -> None:
    """In a callback: draw the whole page after it, not the widget's part alone."""
    if _is_alone():
        st.rerun()


def polled(seconds: float | None) -> Callable[[Callable[[], None]], Any]:
    """A place within a part that runs again by itself every so many seconds, or never; after those who moved something."""

    def decorate(draw: Callable[[], None]) -> Any:
        @wraps(draw)
        def in_turn() -> None:
            turns.make_way()
            with turns.turn():
                draw()

        return st.fragment(in_turn, run_every=seconds)

    return decorate


def _is_alone() -> bool:
    """Is this the run of one part?"""
    context = get_script_run_ctx()
    return bool(context and context.fragment_ids_this_run)


def _refresh() -> None:
    """The lower part is in sight and older than the picture."""
    st.rerun(LOWER)


# Asks for the lower part when it is in sight and older than the picture, after a moment without a newer version. It
# stands outside all parts, so that no move pays for it, and reads the version from a class in the picture.
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
