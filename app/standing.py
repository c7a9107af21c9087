"""A page's controls as they stand in the visitor's browser, so that a move draws anew only what it changes.

Most moves change one number and leave every other control as it is. So after a move the part of the script that draws
the controls runs in quiet: each control is compared with what was drawn last, and gives its value out of the session.
The first that would look another way ends that run (``Changed``), and the controls are drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st


class Changed(Exception):
    """A control, or a word between controls, would not stand as it was drawn."""


@dataclass
class Standing:
    """What was drawn, in its order. ``settle`` is called after the browser has changed one of the controls."""

    settle: Callable[[], None]
    quiet: bool = False
    _drawn: list[Any] = field(default_factory=list)
    _at: int = 0
    _values: dict[str, Any] = field(default_factory=dict)  # by key, as the browser knows them
    _moved: set[str] = field(default_factory=set)  # keys that the browser has changed since
    _presses: dict[str, Callable[[], None]] = field(default_factory=dict)  # the buttons' callbacks, of the last run

    def begin(self, quiet: bool) -> None:
        """A run of the part that draws the controls."""
        self.quiet, self._at = quiet, 0
        if not quiet:
            self._drawn, self._values, self._presses = [], {}, {}
            self._moved.clear()

    def end(self) -> None:
        """All controls have been named.

        Raises:
            Changed: if there were more of them before.
        """
        if self.quiet and self._at != len(self._drawn):
            raise Changed
        self.quiet = False
        self._moved.clear()

    def meet(self, *look: Any) -> bool:
        """The next thing of the column, described by its ``look``. Is it to be drawn?

        Raises:
            Changed: in quiet, if something else stands in its place.
        """
        if not self.quiet:
            self._drawn.append(look)
            return True
        if self._at >= len(self._drawn) or self._drawn[self._at] != look:
            raise Changed
        self._at += 1
        return False

    def value(self, key: str) -> Any:
        """A control's value in quiet.

        Raises:
            Changed: if somebody other than the browser has set it.
        """
        value = st.session_state.get(key)
        if key in self._moved:
            self._values[key] = value
        elif value != self._values.get(key):
            raise Changed
        return value

    def keep(self, key: str) -> None:
        """A control has just been drawn, with this value."""
        self._values[key] = st.session_state.get(key)

    def moved(self, key: str) -> None:
        """A control's callback."""
        self._moved.add(key)
        self.settle()

    def press(self, key: str, then: Callable[[], None]) -> Callable[[], None]:
        """A button's callback. A quiet run renews what it does, because that may depend on the other controls."""
        self._presses[key] = then

        def pressed() -> None:
            self._presses[key]()
            self.settle()

        return pressed
