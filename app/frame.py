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
from functools import lru_cache
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import share, syllabus, takeaway, theme
from app.controls import Controls, Experiment
from app.figures.charts import Chart
from app.recipe import Export, Recipe
from models.errors import CheckpointError

__all__ = ["Experiment", "Lab", "Prediction", "Proof", "Stage", "navigation", "run"]

PLOTLY = {
    "displaylogo": False,
    "doubleClick": False,
    "showTips": False,
    "modeBarButtons": [["toImage"]],
    "toImageButtonOptions": {"format": "svg"},
}


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
        self.controls_of_page = Controls(self.station)
        self._watch: str | None = None
        self.drawn: list[Stage] = []
        self._recipe: Callable[[], Recipe] | None = None
        with st.container(key="lab_page"):
            with st.container(key="lab_head", gap=None):
                with st.container(horizontal=True, horizontal_alignment="distribute"):
                    st.title(self.station.title, anchor=False, width="content")
                    self._share = st.container(horizontal=True, horizontal_alignment="right", width=190, gap="xsmall")
                st.markdown(self.station.question)
            with st.container(key="lab_formula", gap="xsmall"):
                self._formula = st.container()
                self._experiments = st.container(horizontal=True, gap="small")
            with st.container(key="lab_body"):
                self._side, main = st.columns([2, 5], gap="medium")
                self._stage = main.container(key="lab_stage", gap="xsmall")
                self._notice = main.container()
            self.below = st.container(key="lab_below", gap="medium")
            with self.below:
                self._sections = st.container(gap="medium")
                st.divider()
                self._predict, self._prove = st.columns(2, gap="large")
                self._take = st.container()
                self._next = st.container()
        self._links()
        _open_lab.set(self)

    @contextmanager
    def controls(self, experiments: Sequence[Experiment] = ()) -> Iterator[Controls]:
        """The column beside the main figure. The experiments are drawn once the controls are known."""
        try:
            with self._side:
                yield self.controls_of_page
        finally:  # a page whose model is missing still offers its other states
            self._draw_experiments(experiments)

    def _draw_experiments(self, experiments: Sequence[Experiment]) -> None:
        with self._experiments:
            for number, experiment in enumerate(experiments):
                active = self.controls_of_page.shows(experiment.sets)
                if active:
                    self._watch = experiment.watch
                st.button(
                    experiment.label,
                    key=f"{self.station.prefix}_experiment_{number}",
                    type="primary" if active else "secondary",
                    on_click=self.controls_of_page.apply,
                    args=(experiment.sets,),
                )

    def formula(self, latex: str, live: str) -> None:
        """The formula in KaTeX, its symbols in the role colours (``theme.latex``), and this page's values in it."""
        self._formula.markdown(f"${latex}$ &emsp; {live}")

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
                made(stages[0].key, made_by)
            return states

    @staticmethod
    def draw(stage: Stage) -> Any:
        """A further figure, in the container of the moment."""
        return draw(stage)

    def notice(self, *sentences: str) -> None:
        """What to notice: two or three sentences made from the live numbers."""
        with self._notice, st.container(key="lab_notice"):
            st.markdown(" ".join(filter(None, (self._watch and f"**{self._watch}**", *sentences))))

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
            key = f"predict_{self.station.prefix}_{zlib.crc32(prediction.question.encode())}"
            picked = st.radio(prediction.question, prediction.options, index=None, key=key)
            if picked is None:
                st.caption("Choose before you look. The answer is read from the tensor on this page.")
                return
            right = prediction.options.index(picked) == prediction.answer
            verdict = "Right." if right else f"Not this time: {prediction.options[prediction.answer]}."
            (st.success if right else st.info)(f"{verdict} {prediction.why}")

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
                        opened.code(inspect.getsource(function), language="python")

    def recipe(self, make: Callable[[], Recipe]) -> None:
        """How a program of its own computes the main figure again. ``make`` is called when somebody downloads it."""
        self._recipe = make

    def close(self) -> None:
        """The last word of a page: the link to what it shows, now that all its controls are known."""
        with self._share:
            share.draw(self.controls_of_page)
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


_open_lab: ContextVar[Lab | None] = ContextVar("open_lab", default=None)


def run(page: Any) -> None:
    """One run of the visitor's page; a model that cannot be had is one sentence, and the page keeps its frame."""
    _open_lab.set(None)
    try:
        page.run()
    except CheckpointError as problem:
        st.error(f"{problem} The other pages still work.")
    if lab := _open_lab.get():
        lab.close()


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
            config=PLOTLY,
            on_select=stage.on_select or "ignore",
            selection_mode="points",
        )
    if stage.made_by:
        made(stage.key, stage.made_by)
    return state


def made(key: str, by: str) -> None:
    """The provenance line under a figure."""
    with st.container(key=f"lab_made_{key}"):
        st.caption(by)


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
