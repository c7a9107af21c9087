"""The guided tour of a page: its experiments one after the other, with what to look at and one question each.

Free play is the default. The tour stands in the address as ``tour=<stop>``, so that a link opens it, and in the
session, so that it is where it was when the reader comes back. What to notice follows the reader's answer.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import journal, parts, syllabus
from app.controls import DEFAULT_SENTENCE, SENTENCE_KEY, Controls, Experiment

if TYPE_CHECKING:
    from app.frame import Prediction

PARAM = "tour"
MOVED = "~"  # stands behind the stop in an address when a control that the stop sets is back at its default
KEY = "tour"


@dataclass
class Place:
    """Where one visitor's tours stand, for the session. Stops count from 1."""

    page: str = ""  # the page of the last run
    stops: dict[str, int] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)  # pages whose tour is open
    done: dict[str, set[int]] = field(default_factory=dict)
    sentence: str | None = None  # the reader's own, while a stop shows its own


def place() -> Place:
    return st.session_state.setdefault(KEY, Place())


def is_open(slug: str) -> bool:
    """Whether the page may be on tour; then it is drawn in one piece, for the question stands beside the figure."""
    return PARAM in st.query_params or slug in place().running


def leave() -> None:
    """A page without a tour is on show."""
    place().page = ""


def entrance(controls: Controls, experiments: Sequence[Experiment]) -> None:
    """The button that opens the tour, and closes it again."""
    if not experiments:
        return
    slug, now = controls.station.slug, place()
    if slug in now.running:
        st.button("Free play", key=f"{controls.station.prefix}_tour", on_click=parts.whole(_close), args=(slug,))
    else:
        st.button("Guided tour", key=f"{controls.station.prefix}_tour", on_click=parts.whole(_go),
                    args=(controls, experiments, min(now.stops.get(slug, 1), len(experiments))),
                    help="The experiments one by one: what to look at, and one question each")  # fmt: skip


def enter(controls: Controls, experiments: Sequence[Experiment]) -> "Tour | None":
    """This page's tour if it is open. To be called before any control is drawn: a link may set them all."""
    slug, now = controls.station.slug, place()
    arrived, now.page = now.page != slug, slug
    written = st.query_params.get(PARAM, "")
    asked = _stop(written.removesuffix(MOVED), len(experiments))
    if asked:
        new = now.stops.get(slug) != asked or slug not in now.running
        now.stops[slug] = asked
        now.running.add(slug)
        if arrived and new and not written.endswith(MOVED):
            controls.enter(experiments[asked - 1].sets, tuple(st.query_params))
    elif arrived and slug in now.running and now.stops[slug] <= len(experiments):
        st.query_params[PARAM] = str(now.stops[slug])
    else:
        now.running.discard(slug)
        _forget_address()
        return None
    return Tour(controls, tuple(experiments), now.stops[slug])


def _stop(written: str, n_stop: int) -> int | None:
    """The stop that an address names, None for whatever is none."""
    if not (written.isascii() and written.isdigit() and len(written) <= 3):
        return None
    return int(written) if 1 <= int(written) <= n_stop else None


def _forget_address() -> None:
    if PARAM in st.query_params:
        del st.query_params[PARAM]


def _go(controls: Controls, experiments: Sequence[Experiment], stop: int) -> None:
    """A button's callback: the page in the state of a stop. The reader's own sentence is kept for the stops after."""
    slug, now = controls.station.slug, place()
    said = st.session_state.get(SENTENCE_KEY, DEFAULT_SENTENCE)
    left = experiments[now.stops[slug] - 1].sets if slug in now.running else {}
    if left.get(SENTENCE_KEY) != said:
        now.sentence = said
    back = {SENTENCE_KEY: now.sentence or DEFAULT_SENTENCE} if SENTENCE_KEY in left else {}
    controls.apply(back | dict(experiments[stop - 1].sets))
    now.stops[slug] = stop
    now.running.add(slug)
    st.query_params[PARAM] = str(stop)


def _close(slug: str) -> None:
    place().running.discard(slug)
    _forget_address()


@dataclass
class Tour:
    """The open tour of a page, at one stop."""

    controls: Controls
    experiments: tuple[Experiment, ...]
    stop: int
    asked: bool = False
    _held: tuple[DeltaGenerator, str] | None = None

    @property
    def _done(self) -> set[int]:
        return place().done.setdefault(self.controls.station.slug, set())

    def _key(self, name: str) -> str:
        return f"{self.controls.station.prefix}_tour_{name}"

    @property
    def _here(self) -> Experiment:
        return self.experiments[self.stop - 1]

    def panel(self, head: DeltaGenerator, link: Callable[..., Any]) -> None:
        """Under the page's question what to look at; here, beside the figure, the place of the stop's own question
        and the way on. ``link`` draws a link to a page."""
        n_stop = len(self.experiments)
        head.markdown(f":gray-badge[Stop {self.stop} of {n_stop}] {self._here.watch}")
        with st.container(border=True, key="lab_tour", gap="small"):
            st.markdown(f"**{self._here.label}**")
            self._question = st.container(gap="small")
            with st.container(horizontal=True, gap="small"):
                self._button("Back", "back", self.stop - 1)
                self._button("Next", "next", self.stop + 1)
            self._stops()
            after = syllabus.neighbours(self.controls.station.slug)[1]
            if self.stop == n_stop and after:
                link(after, f"On to: {after.title} →", query_params={PARAM: str(place().stops.get(after.slug, 1))})
            self._foot = st.container(gap="xsmall")

    def _button(self, label: str, name: str, to: int) -> None:
        # One look whatever the state: a button of another type is another element to the browser, and loses the focus.
        st.button(label, key=self._key(name), disabled=not 1 <= to <= len(self.experiments),
                  type="primary" if name == "next" else "secondary", on_click=parts.whole(_go),
                  args=(self.controls, self.experiments, to))  # fmt: skip

    def _stops(self) -> None:
        """All stops by number, ticked where answered; a press goes there."""
        with st.container(horizontal=True, gap="small", key="lab_tour_stops"):
            for number, experiment in enumerate(self.experiments, 1):
                name = f"**{number}**" if number == self.stop else str(number)
                st.button(f"{name}✓" if number in self._done else name, key=self._key(f"to_{number}"), type="tertiary",
                          on_click=parts.whole(_go), args=(self.controls, self.experiments, number), help=experiment.label)  # fmt: skip

    def predict(self, prediction: "Prediction") -> None:
        """The page's question, in the panel."""
        self.asked = True
        words = "\n".join((prediction.question, *prediction.options)).encode("utf-8", "replace")
        with self._question:
            journal.ask(
                self.controls, prediction, self._key(f"{self.stop}_{zlib.crc32(words)}"), stop=self.stop,
                waiting="Answer before you look closer. What to notice follows your answer.", then=self._tick,
            )  # fmt: skip

    def _tick(self) -> None:
        self._done.add(self.stop)

    def notice(self, slot: DeltaGenerator, words: str) -> None:
        """What to notice, under the figure; before the answer only its place."""
        place_of_words = slot.empty()
        self._held = place_of_words, words
        if self.stop in self._done:
            self._show_notice()

    def _show_notice(self) -> None:
        if self._held:
            self._held[0].markdown(self._held[1])

    def close(self) -> None:
        """The end of the run: was anything asked, and do the controls still stand as the stop set them?"""
        if not self.asked and self._held and self.stop not in self._done:
            self._tick()  # there is nothing to ask in this state: having looked is all
            self._show_notice()
        self._to_address()
        with self._foot:
            if not self.controls.shows(self._here.sets):
                st.button("Set this stop again", key=self._key("again"), type="tertiary", on_click=parts.whole(_go),
                          args=(self.controls, self.experiments, self.stop),
                          help="The controls have been moved since")  # fmt: skip
            journal.draw(self.controls.station.prefix)

    def _to_address(self) -> None:
        """The stop as an address and the Share box's link hold it."""
        c = self.controls
        moved = any(
            c.values[name] == c.defaults[name] != value for name, value in self._here.sets.items() if name in c.values
        )
        c.places[PARAM] = f"{self.stop}{MOVED if moved else ''}"
        if st.query_params.get(PARAM) != c.places[PARAM]:
            st.query_params[PARAM] = c.places[PARAM]
