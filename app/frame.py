"""The anatomy of a page: the same parts in the same places, so that a reader learns the frame once.

A page opens a ``Lab``, draws its controls, and hands over what it found as small declarations: ``Stage`` (a figure
with its shape and its maker), notes, ``Prediction`` and ``Proof``. Whatever steps through pages later reads the same.
"""

import inspect
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitInvalidLayoutContextError
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import journal, parts, pictures, share, syllabus, takeaway, theme, tour
from app.controls import Controls, Experiment
from app.figures.charts import Chart
from app.recipe import Export, Recipe, kept
from models.errors import CheckpointError

__all__ = ["Experiment", "Lab", "Prediction", "Proof", "Stage", "navigation", "run"]


@dataclass(frozen=True)
class Stage:
    """One figure. ``shape`` names the tensor and its axes, ``made_by`` says what the numbers come from."""

    key: str
    title: str
    figure: Any  # plotly.graph_objects.Figure, altair.Chart, or the HTML of app/figures/tokens.py
    alt: str
    shape: str = ""
    made_by: str = ""
    on_select: Callable[[], None] | None = None
    tensors: Mapping[str, Any] | None = None  # name -> numpy array, where what is drawn is not the tensor itself


@dataclass(frozen=True)
class Prediction:
    """A question to answer before looking; ``answer`` is an index into ``options``, found from the live tensor."""

    question: str
    options: tuple[str, ...]
    answer: int
    why: str


@dataclass(frozen=True)
class Proof:
    """What is on the screen against somebody else's computation of it."""

    claim: str
    reference: str
    difference: float
    tolerance: float
    code: tuple[Callable[..., Any] | type, ...] = ()

    @property
    def holds(self) -> bool:
        return self.difference <= self.tolerance  # False for NaN too


class Lab:
    """One page's frame. Parts may be filled in any order; each stands where it always stands."""

    def __init__(self, slug: str) -> None:
        self.station = syllabus.STATIONS[slug]
        self.look = look()
        visit = _visit.get()
        before: Lab | None = visit.lab
        standing = None if visit.together else visit.standing
        self._in_quiet = bool(standing and standing.quiet)
        again = before and before.controls_of_page.again(standing)
        self.controls_of_page: Controls = again or Controls(self.station, standing)
        self._watch: str | None = None
        self.drawn: list[Stage] = []
        self._n_upper = 0
        self.tour: tour.Tour | None = None
        self.experiments: Sequence[Experiment] = ()
        self._active: list[bool] = []  # which experiments the page shows now
        self._drawn_active: list[bool] | None = None  # and which the row's buttons say, where that was drawn before
        if before:
            self._drawn_active = before._active if before._drawn_active is None else before._drawn_active
        self._recipe: Callable[[], Recipe] | None = None
        _open_lab.set(self)

    def begin_picture(self, formula: DeltaGenerator, version: int) -> None:
        """The places of the main figure and of what to notice; called before the picture's part of the script runs."""
        self._formula = formula
        self._stage = st.container(key="lab_stage", gap="xsmall")
        # Its name says which version is drawn. A container that changes its name is mounted anew, so this is the one
        # place for it: nothing here holds the focus or is drawn by Plotly.
        self._notice = st.container(key=f"lab_version_{version}")
        self._mark_row()

    def begin_lower(self) -> None:
        """The places of all that stands below the main figure; called before the lower part of the script runs."""
        del self.drawn[self._n_upper :]
        with st.container(key="lab_below", gap="medium"):
            self._sections = st.container(gap="medium")
            st.divider()
            self._predict, self._prove = st.columns(2, gap="large")
            self._take = st.container()
            self._next = st.container()
        self._links()

    @contextmanager
    def controls(self, experiments: Sequence[Experiment] = ()) -> Iterator[Controls]:
        """The column beside the main figure. Which experiment the page shows is known once the controls are."""
        self.experiments = experiments
        if not self._in_quiet:
            self.tour = tour.enter(self.controls_of_page, experiments)
        try:
            if self.tour:
                self.tour.panel(_open_head.get(), link)
            yield self.controls_of_page
            self.controls_of_page.end_column()
        finally:  # a page whose model is missing still offers its other states
            self._active = [self.controls_of_page.shows(experiment.sets) for experiment in experiments]
            self._watch = next((e.watch for e, now in zip(experiments, self._active, strict=True) if now), None)

    def _mark_row(self) -> None:
        """A move has entered or left an experiment's state: the style sheet marks the row's buttons anew."""
        if self._drawn_active in (None, self._active) or self.tour:
            return
        marks = " ".join(f"lab-on-{number}" for number, active in enumerate(self._active) if active)
        with self._notice:
            st.html(f'<span class="lab-moved {marks}"></span>')

    def offer(self) -> None:
        """The row of experiments. Drawn once a whole run, outside all parts: a move does not pay for it."""
        if self.tour:  # its panel holds them as stops
            return
        for number, (experiment, active) in enumerate(zip(self.experiments, self._active, strict=True)):
            st.button(
                experiment.label,
                key=f"{self.station.prefix}_experiment_{number}",
                type="primary" if active else "secondary",
                on_click=parts.whole(self.controls_of_page.apply),
                args=(experiment.sets,),
            )

    def formula(self, latex: str, live: str) -> None:
        """The formula in KaTeX, its symbols in the role colours (``theme.latex``), and this page's values in it."""
        try:
            self._formula.markdown(f"${latex}$ &emsp; {live}")
        except StreamlitInvalidLayoutContextError:
            st.rerun()  # a whole run has begun meanwhile and forgotten the place: this one is over

    def tint(self, role: str, symbol: str | None = None) -> str:
        """A role's letter for a formula, in its colour."""
        return theme.latex(role, symbol or theme.SYMBOLS[role], self.look.mode)

    def stage(self, *stages: Stage, widths: Sequence[float] | None = None, made_by: str = "") -> Any:
        """The main figure beside the controls, or several side by side, with one maker for all of them."""
        with self._stage:
            if len(stages) == 1:
                return draw(stages[0])
            states = []
            for place, stage in zip(st.columns(widths or len(stages), gap="small"), stages, strict=True):
                with place:
                    states.append(draw(stage))
            if made_by:
                st.caption(made_by)
            return states

    @staticmethod
    def draw(stage: Stage) -> Any:
        """A further figure, in the container of the moment."""
        return draw(stage)

    def notice(self, *sentences: str) -> None:
        """What to notice: two or three sentences made from the live numbers."""
        words = " ".join(filter(None, (self._watch and f"**{self._watch}**", *sentences)))
        if self.tour:
            return self.tour.notice(self._notice, words)
        self._notice.markdown(words)

    def section(
        self, title: str, text: str = "", key: str = "", wide: bool = False
    ) -> tuple[DeltaGenerator, DeltaGenerator]:
        """A further part of the page: (controls column, figure column). ``wide`` gives the figures the whole width."""
        with self._sections, st.container(key=f"lab_section_{key or zlib.crc32(title.encode())}"):
            st.subheader(title, anchor=False, divider="gray")
            if text:
                st.markdown(text)
            if wide:
                return st.container(), st.container()
            side, main = st.columns([2, 5], gap="medium")
            return side, main.container(gap="xsmall")

    def predict(self, prediction: Prediction) -> None:
        """One question before the reveal. A new question (another state) starts unanswered."""
        with self._predict:
            st.subheader("Predict", anchor=False)
            if self.tour:
                st.caption("In the tour the question stands beside the figure.")
                return self.tour.predict(prediction)
            key = f"predict_{self.station.prefix}_{zlib.crc32(prediction.question.encode())}"
            journal.ask(self.controls_of_page, prediction, key)

    def prove(self, *proofs: Proof) -> None:
        """The page's own numbers, computed again by a reference, and the code that ran."""
        with self._prove:
            st.subheader("Prove it", anchor=False)
            for proof in proofs:
                verdict = "equal" if proof.holds else "NOT equal"
                icon = ":material/check_circle:" if proof.holds else ":material/error:"
                st.markdown(
                    f"{icon} {proof.claim} against `{proof.reference}`: **{verdict}**, largest difference "
                    f"**{proof.difference:.1e}** (allowed {proof.tolerance:.0e})."
                )
            code = tuple(dict.fromkeys(function for proof in proofs for function in proof.code))
            if code:
                opened = st.expander("The code that ran", on_change="rerun", key=f"{self.station.prefix}_code")
                if opened.open:
                    for function in code:
                        opened.caption(f"`{_place(function)}`")
                        opened.code(inspect.getsource(function), language="python", wrap_lines=True)

    def recipe(self, make: Callable[[], Recipe]) -> None:
        """How a program of its own computes the main figure again. ``make`` is called when somebody downloads it."""
        self._recipe = kept(make)

    def end_upper(self) -> None:
        """The upper half of the script is over."""
        self._n_upper = len(self.drawn)
        self.controls_of_page.end_upper()

    def end_lower(self) -> None:
        """The last word of a page, now that all its controls and figures are known."""
        if self.tour:
            self.tour.close()
        with self._take:
            address = share.link(self.controls_of_page)
            station, make = self.station, self._recipe
            takeaway.draw(
                station.prefix, self.drawn, address, make and Export(station.title, station.question, address, make)
            )

    def _links(self) -> None:
        before, after = syllabus.neighbours(self.station.slug)
        left, middle, right = self._next.columns(3)
        if before:
            with left:
                link(before, f"← {before.title}")
        with middle:
            st.page_link(_page(None), label="The road")
        if after:
            with right:
                link(after, f"{after.title} →")


_visit: ContextVar[parts.Visit] = ContextVar("visit")
_open_lab: ContextVar[Lab | None] = ContextVar("open_lab", default=None)
_open_head: ContextVar[Any] = ContextVar("open_head", default=None)


def run(page: Any) -> None:
    """The whole run of the visitor's page: its head, the parts of its script, and the link to what it shows."""
    path, _, slug = _page_arguments(page.url_path or None)
    context = get_script_run_ctx()
    assert context is not None
    with context.run_with_active_hash(page._script_hash):  # what page.run() does, which would run the script uncut
        if not slug:
            parts.plain(path)
            return
        head, offered = _head(syllabus.STATIONS[slug])
        _open_head.set(head)
        row = st.container(key="lab_row", horizontal=True, gap="small")
        with st.container(key="lab_upper"):
            formula = st.container(key="lab_formula")
            with st.container(key="lab_body"):
                side, main = st.columns([2, 5], gap="medium")
        visit = parts.Visit(path, partial(_part, formula), together=tour.is_open(slug))
        parts.run(visit, (side, main, st.container(key="lab_lower")))
        if visit.lab:
            with row:
                visit.lab.offer()
            with offered:
                tour.entrance(visit.lab.controls_of_page, visit.lab.experiments)
                share.draw(visit.lab.controls_of_page)


def _head(station: syllabus.Station) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Title and question; returns their container, and the place for what is offered beside the title."""
    head = st.container(key="lab_head", gap=None)
    with head:
        with st.container(horizontal=True, horizontal_alignment="distribute"):
            st.title(station.title, anchor=False, width="content")
            offered = st.container(horizontal=True, horizontal_alignment="right", width="content", gap="xsmall")
        st.markdown(station.question)
    return head, offered


def _part(formula: DeltaGenerator, visit: parts.Visit, part: int) -> None:
    """One part of a page. A model that cannot be had is one sentence, and the page keeps its frame."""
    _visit.set(visit)
    _open_lab.set(visit.lab)
    if part == 0:
        visit.problem = ""
    elif part == 1:
        visit.lab.begin_picture(formula, visit.version)
    else:
        visit.lab.begin_lower()
    told = part == 2 and bool(visit.problem)
    if not visit.problem:
        try:
            parts.execute(visit, part)
        except CheckpointError as problem:
            visit.problem = f"{problem} The other pages still work."
    visit.lab = _open_lab.get()
    if visit.problem and part and not told:  # not in the narrow column of the controls
        st.error(visit.problem)
    if part == 1:
        if visit.problem:
            formula.empty()  # a part may write later only to places where it wrote in the whole run
        visit.lab.end_upper()
    elif part == 2 and not visit.problem:
        visit.lab.end_lower()


def look() -> theme.Look:
    """The visitor's theme, for everything that is drawn."""
    return theme.Look("dark" if st.context.theme.type == "dark" else "light")


def draw(stage: Stage) -> Any:
    """A figure with its title and shape above and its maker below, wherever it stands."""
    if lab := _open_lab.get():
        lab.drawn.append(stage)
    shape = f" &ensp; :gray[`{stage.shape}`]" if stage.shape else ""
    st.markdown(f"**{stage.title}**{shape}")
    if isinstance(stage.figure, str):  # a strip of tokens: HTML that app/figures/tokens.py has escaped
        state: Any = st.html(stage.figure)
    elif isinstance(stage.figure, Chart):
        state = st.vega_lite_chart(stage.figure.spec, theme=None, key=stage.key, alt=stage.alt)
    else:
        state = st.plotly_chart(
            stage.figure,
            theme=None,
            key=stage.key,
            alt=stage.alt,
            config=pictures.plotly_config(stage.key),
            on_select=stage.on_select or "ignore",
            selection_mode="points",
        )
    if stage.made_by:
        st.caption(stage.made_by)  # where its numbers come from
    return state


def _place(function: Callable[..., Any] | type) -> str:
    return f"{function.__module__.replace('.', '/')}.py: {function.__qualname__}"


@lru_cache(maxsize=64)
def _page_arguments(slug: str | None) -> tuple[str, str, str]:
    if slug is None:
        return str(syllabus.PAGES / "home.py"), "Home", ""
    station = syllabus.STATIONS[slug]
    return str(station.file), station.title, station.slug


def _page(slug: str | None) -> Any:
    path, title, url = _page_arguments(slug)
    return st.Page(path, title=title, url_path=url or None, default=slug is None)


def link(station: syllabus.Station, label: str | None = None, **more: Any) -> None:
    """A link to a built page."""
    st.page_link(_page(station.slug), label=label or station.title, **more)


def navigation() -> Any:
    """The menu: home, then every built page under its chapter."""
    menu: dict[str, list[Any]] = {"": [_page(None)]}
    for number, chapter in enumerate(syllabus.CHAPTERS, 1):
        pages = [_page(station.slug) for station in chapter.stations if station.built]
        if pages:
            menu[f"{number} · {chapter.title}"] = pages
    return st.navigation(menu, expanded=True)
