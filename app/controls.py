"""Widgets that know their place in the session and in the URL, and repair what cannot be.

Every control is keyed ``<page>_<name>`` and bound to the URL under that key, so a link is the whole state. A value
that the page cannot use (from an old link, or because another control narrowed the choice) becomes the default.

A page names all its controls on every run and disables those that do not apply now: only a control that is drawn is
in the URL. Those beside the main figure are drawn anew only when they change (``app/standing.py``), so whatever stands
between them comes from here as well: ``columns``, ``popover``, ``button``, ``say``. Options appear in the URL as they are shown, so their words are part of every published link.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

import streamlit as st

from app import longtext
from app.standing import Changed, Standing
from app.syllabus import Station

T = TypeVar("T")
N = TypeVar("N", int, float)
BOUND: dict[str, Any] = {"bind": "query-params", "persist_state": "session"}

DEFAULT_SENTENCE = "The cat sat on the mat because it was tired."
SENTENCE_KEY = "sentence"
MAX_CHARS = 400
SHORT = 65  # a slider over fewer whole numbers is drawn as a list of them


@dataclass(frozen=True)
class Experiment:
    """A named state of the page: ``sets`` are the controls it changes (all others go back to their defaults),
    ``watch`` is what to look at, in one sentence. ``sets`` may hold "sentence"."""

    label: str
    sets: Mapping[str, Any]
    watch: str


@dataclass
class Controls:
    """The controls of one page, in the order they are drawn. Remembers values and defaults for the experiments."""

    station: Station
    standing: Standing | None = None  # while those beside the main figure are drawn
    values: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)  # values as they stand in the URL
    places: dict[str, str] = field(default_factory=dict)  # what an address holds beside the controls: the tour's stop
    too_long: list[int] = field(default_factory=list)  # lengths of the texts that no link holds
    texts: set[str] = field(default_factory=lambda: {SENTENCE_KEY})  # the reader's own words, which experiments keep
    lower: set[str] = field(default_factory=set)  # names of those below the main figure
    _in_lower: bool = False

    def again(self, standing: Standing | None) -> "Controls":
        """For a run without the lower part: empty but for the controls of that part, which stand as they were."""

        def held(part: dict[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in part.items() if name in self.lower}

        texts = (self.texts & self.lower) | {SENTENCE_KEY}
        return Controls(
            self.station, standing, held(self.values), held(self.defaults), held(self.shown), texts=texts, lower=set(self.lower)
        )  # fmt: skip

    def end_column(self) -> None:
        """The controls drawn from now on do not stand beside the main figure.

        Raises:
            Changed: in quiet, if not all that was drawn has been named.
        """
        if self.standing:
            self.standing.end()
        self.standing = None

    def end_upper(self) -> None:
        """The controls drawn from now on stand below the main figure."""
        self._in_lower = True

    def columns(self, n: int) -> Sequence[AbstractContextManager[Any]]:
        """Columns within the controls' column."""
        return st.columns(n) if self._draws("columns", n) else [nullcontext()] * n

    def popover(self, label: str) -> AbstractContextManager[Any]:
        """A box that opens over the page, with more controls."""
        return st.popover(label, width="stretch") if self._draws("popover", label) else nullcontext()

    def say(self, words: str, loud: bool = False) -> None:
        """A sentence between the controls; ``loud`` for what the reader must not miss."""
        if self._draws("words", words, loud):
            (st.warning if loud else st.caption)(words)

    def button(self, name: str, label: str, press: Callable[[], None], **more: Any) -> None:
        """A button that sets one of the controls."""
        key = self.key(name)
        pressed = self.standing.press(key, press) if self.standing else press
        if self._draws(label, key, more):
            st.button(label, key=key, on_click=pressed, width="stretch", **more)

    def aloud(self) -> None:
        """What follows takes seconds, and the reader should see that something is going on.

        Raises:
            Changed: in quiet.
        """
        if self.standing and self.standing.quiet:
            raise Changed

    def _draws(self, *look: Any) -> bool:
        return self.standing is None or self.standing.meet(*look)

    def _ask(self, widget: Callable[..., Any], key: str, *what: Any, **more: Any) -> Any:
        """A widget's value; it is drawn where it does not stand yet as it should."""
        if self.standing is None:
            return widget(*what, key=key, **more)
        show = more.get("format_func")
        faces = [show(option) for option in what[1]] if show else None
        if self.standing.meet(widget.__name__, key, what, {**more, "format_func": faces}):
            value = widget(*what, key=key, on_change=self.standing.moved, args=(key,), **more)
            self.standing.keep(key)
            return value
        return self.standing.value(key)

    def key(self, name: str) -> str:
        return SENTENCE_KEY if name == SENTENCE_KEY else f"{self.station.prefix}_{name}"

    def _prepare(self, name: str, default: Any, usable: Callable[[Any], bool]) -> str:
        key = self.key(name)
        self.defaults[name] = default
        returning = st.session_state.get(self._returning_key, set())
        if name in returning or (key in st.session_state and not usable(st.session_state[key])):
            st.session_state[key] = default
            returning.discard(name)
        return key

    @property
    def _returning_key(self) -> str:
        return f"{self.station.prefix}__returning"

    def _keep(self, name: str, value: T, shown: Any = None) -> T:
        self.values[name] = value
        if self._in_lower:
            self.lower.add(name)
        self.shown[name] = str(value).lower() if isinstance(value, bool) else value if shown is None else shown
        return value

    def query(self, places: bool = True) -> str:
        """The page's state as an address holds it: every control that differs from its default, and the places."""
        changed = {
            self.key(name): self.shown[name] for name, value in self.values.items() if value != self.defaults[name]
        }
        return urlencode(changed | (self.places if places else {}), doseq=True, errors="replace")

    def slider(self, name: str, label: str, low: N, high: N, default: N, step: N | None = None, **more: Any) -> N:
        """A number from low to high. Pass floats throughout for a float."""
        if low == high:  # Streamlit refuses a slider with one position; there is nothing to choose then
            self.defaults[name] = low
            return self._keep(name, low)
        if isinstance(low, int) and isinstance(high, int) and step in (None, 1) and high - low < SHORT:
            # A slider whose ends move (the layers of another model) is a new widget to Streamlit, and what an
            # experiment sets on it in the same run never reaches the URL. One of a list keeps its identity.
            return self.steps(name, label, list(range(low, high + 1)), default, **more)
        key = self._prepare(name, default, lambda v: isinstance(v, (int, float)) and low <= v <= high)
        return self._keep(name, self._ask(st.slider, key, label, low, high, default, step, **BOUND, **more))

    def steps(self, name: str, label: str, options: Sequence[T], default: T, **more: Any) -> T:
        """One of an ordered list of values, on a slider."""
        if len(options) == 1:
            self.defaults[name] = options[0]
            return self._keep(name, options[0])
        key = self._prepare(name, default, lambda v: v in options)
        return self._keep(name, self._ask(st.select_slider, key, label, options, default, **BOUND, **more))

    def choice(
        self, name: str, label: str, options: Sequence[T], default: T, show: Callable[[T], str] = str, **more: Any
    ) -> T:
        """One of a list, in a box that can be typed into."""
        key = self._prepare(name, default, lambda v: v in options)
        index = list(options).index(default)
        picked = self._ask(st.selectbox, key, label, options, index, format_func=show, **BOUND, **more)
        picked = default if picked is None else picked
        return self._keep(name, picked, show(picked))

    def segments(self, name: str, label: str, options: Sequence[str], default: str, **more: Any) -> str:
        """One of two to four short words, all in sight."""
        key = self._prepare(name, default, lambda v: v in options)
        picked = self._ask(st.segmented_control, key, label, options, default=default, required=True, **BOUND, **more)
        return self._keep(name, picked or default)

    def several(
        self, name: str, label: str, options: Sequence[T], show: Callable[[T], str] = str, **more: Any
    ) -> list[T]:
        """Any number of a list; none by default."""
        key = self._prepare(name, [], lambda v: isinstance(v, (list, tuple)) and all(x in options for x in v))
        picked = self._ask(st.multiselect, key, label, options, format_func=show, **BOUND, **more)
        return self._keep(name, list(picked), [show(x) for x in picked])

    def switch(self, name: str, label: str, default: bool, **more: Any) -> bool:
        key = self._prepare(name, default, lambda v: isinstance(v, bool))
        return self._keep(name, self._ask(st.toggle, key, label, default, **BOUND, **more))

    def seed(self, default: int = 0, label: str = "Seed", **more: Any) -> int:
        """The seed of everything random on this page: the same seed draws the same picture on every machine.

        A slider, because Streamlit's number box raises on an address that says "1e999".
        """
        return self.slider("seed", label, 0, 99, default, **more)

    def text(
        self, name: str, label: str, default: str, max_chars: int = MAX_CHARS, live: bool = True, **more: Any
    ) -> str:
        """A visitor's text of this page's own, bounded, never empty; says so when it had to help. ``live=False``
        waits for Enter. (A time such as "300ms" instead of True would make Streamlit import pandas to read it: 66 MB.)"""
        key = self._prepare(name, default, lambda v: isinstance(v, str))
        self._ask(st.text_input, key, label, default, live=live, **BOUND, **more)
        return self._keep(name, self._bounded(st.session_state.get(key), default, max_chars))

    def area(self, name: str, label: str, default: str, max_chars: int, **more: Any) -> str:
        """A long text of the visitor's own, in the session and, packed, in the address while it is short enough."""
        self.texts.add(name)
        st.session_state.get(self._returning_key, set()).discard(name)
        key = self._prepare(name, default, lambda v: isinstance(v, str))
        if key not in st.session_state and (sent := longtext.unpack(st.query_params.get(key, ""), max_chars)):
            st.session_state[key] = sent
        self._ask(st.text_area, key, label, default, persist_state="session", **more)
        text = self._bounded(st.session_state.get(key), default, max_chars)
        word = longtext.pack(text) if text != default else ""
        self._to_address(key, word or "")
        if word is None:
            self.too_long.append(len(text))
            return text
        return self._keep(name, text, word)

    @staticmethod
    def _to_address(key: str, word: str) -> None:
        """What no widget is bound to; written only when it changes, for each write is a message."""
        if word and st.query_params.get(key) != word:
            st.query_params[key] = word
        elif not word and key in st.query_params:
            del st.query_params[key]

    def sentence(self, label: str = "Your sentence") -> str:
        """The reader's sentence, shared by every page."""
        key = self._prepare(SENTENCE_KEY, DEFAULT_SENTENCE, lambda v: isinstance(v, str))
        self._ask(st.text_input, key, label, DEFAULT_SENTENCE, live=True, **BOUND)
        return self._keep(SENTENCE_KEY, self._bounded(st.session_state.get(key), DEFAULT_SENTENCE, MAX_CHARS))

    def _bounded(self, value: str | None, default: str, max_chars: int) -> str:
        text = value or ""
        if not text.strip():
            self.say("The box is empty, so the pictures show the example sentence. Type anything.")
            return default
        if len(text) > max_chars:
            self.say(
                f"Your text has {len(text):,} characters; the first {max_chars} are shown. Shorten it to choose which."
            )
            return text[:max_chars]
        return text

    def apply(self, sets: Mapping[str, Any]) -> None:
        """A button's callback: the named controls to their values, the others of this page to their defaults.

        A default may depend on other controls, so it is looked up when the control is drawn next.
        """
        st.session_state[self._returning_key] = self.defaults.keys() - sets.keys() - self.texts
        for name, value in sets.items():
            st.session_state[self.key(name)] = value

    def enter(self, sets: Mapping[str, Any], address: Collection[str]) -> None:
        """As ``apply``, before this run has drawn a control. What stands in the ``address`` (its keys) goes before."""
        prefix = f"{self.station.prefix}_"
        held = {key.removeprefix(prefix) for key in map(str, st.session_state) if key.startswith(prefix)}
        named = {name for name in held | sets.keys() if self.key(name) in address}
        self.defaults = dict.fromkeys(held - named)
        self.apply({name: value for name, value in sets.items() if name not in named})
        self.defaults = {}

    def shows(self, sets: Mapping[str, Any]) -> bool:
        """Is the page in this state now?"""
        wanted = {n: v for n, v in self.defaults.items() if n not in self.texts} | dict(sets)
        return all(self.values.get(name, _same) in (value, _same) for name, value in wanted.items())


_same = object()
