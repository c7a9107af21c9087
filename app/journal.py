"""What a reader predicted and how it went: kept for the session over all pages, counted, and taken away as a table.

Only the first answer in a state is a prediction; after the reveal it is none, so it is not counted again.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from app import share
from app.controls import Controls

if TYPE_CHECKING:
    from app.frame import Prediction

KEY = "journal"
MOST = 500  # entries kept; the oldest leave first
COLUMNS = ("number", "page", "where", "link", "question", "answer", "right answer", "result")


@dataclass(frozen=True)
class Entry:
    """One prediction. ``stop`` is the tour's, 0 in free play; ``state`` is the page's query without the tour."""

    page: str
    stop: int
    state: str
    link: str
    question: str
    answer: str
    right_answer: str

    @property
    def right(self) -> bool:
        return self.answer == self.right_answer


def entries() -> tuple[Entry, ...]:
    """All that was predicted in this session, in order."""
    return tuple(st.session_state.get(KEY, ()))


BEFORE = "Choose before you look. The answer is read from the tensor on this page."


def ask(
    controls: Controls, prediction: "Prediction", key: str, *, stop: int = 0, waiting: str = BEFORE,
    then: Callable[[], None] | None = None,
) -> None:  # fmt: skip
    """The question, and under it the verdict once it is answered. ``then`` is called when an answer arrives."""
    picked = st.radio(
        prediction.question, prediction.options, index=None, key=key, on_change=_answered,
        args=(controls, prediction, key, stop, then), persist_state="session" if stop else None,
    )  # fmt: skip
    if picked is None:
        st.caption(waiting)
        return
    right = prediction.options.index(picked) == prediction.answer
    verdict = "Right." if right else f"Not this time: {prediction.options[prediction.answer]}."
    (st.success if right else st.info)(f"{verdict} {prediction.why}")


def _answered(
    controls: Controls, prediction: "Prediction", key: str, stop: int, then: Callable[[], None] | None
) -> None:
    """The radio's callback. It runs before the page does, so that what it was given is what the reader saw."""
    given = st.session_state.get(key)
    if given not in prediction.options:
        return
    _record(controls, prediction, given, stop)
    if then:
        then()


def _record(controls: Controls, prediction: "Prediction", given: str, stop: int) -> None:
    page, state = controls.station.slug, controls.query(places=False)
    kept: list[Entry] = st.session_state.setdefault(KEY, [])
    if any((e.page, e.state, e.question) == (page, state, prediction.question) for e in kept):
        return
    kept.append(Entry(
        page, stop, state, share.link(controls), prediction.question, given, prediction.options[prediction.answer]
    ))  # fmt: skip
    del kept[:-MOST]


def tally() -> str:
    """ "7 of 9 right", or nothing where nothing was predicted."""
    kept = entries()
    return f"{sum(e.right for e in kept)} of {len(kept)} right" if kept else ""


def draw(key: str) -> None:
    """The tally and the way to take it along; nothing where nothing was predicted."""
    if not (count := tally()):
        return
    kept = entries()
    with st.container(horizontal=True, vertical_alignment="center", key=f"lab_tally_{key}"):
        st.caption(f"Your predictions: **{count}**", width="content")
        st.download_button(
            "CSV", lambda: table(kept), "predictions.csv", "text/csv", key=f"{key}_journal", type="tertiary",
            on_click="ignore", help="Every question, your answer, the right one, and the link to the state",
        )  # fmt: skip


def table(kept: tuple[Entry, ...]) -> bytes:
    """The entries as CSV in UTF-8, one row each, in order."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for number, e in enumerate(kept, 1):
        where = f"tour stop {e.stop}" if e.stop else "free play"
        result = "right" if e.right else "wrong"
        writer.writerow([number, *map(_plain, (e.page, where, e.link, e.question, e.answer, e.right_answer, result))])
    return out.getvalue().encode("utf-8", "replace")


def _plain(cell: str) -> str:
    """A spreadsheet computes a cell that begins like a formula, and a question may hold a visitor's words."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
