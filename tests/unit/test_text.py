"""Visitor text stays visible and inert."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from app import text

ANY = st.text(st.characters(codec=None), max_size=60)  # lone surrogates included


@given(ANY)
def test_plotly_labels_hold_no_live_markup(token):
    safe = text.plotly(token)
    assert not set(safe) & set("<>$")
    assert not re.search(r"&(?!amp;|lt;|gt;|#36;)", safe)
    shown = html.unescape(safe)
    if text.leftwards(shown):
        assert (shown[0], shown[-1]) == (text.ISOLATE, text.END)
        shown = shown[1:-1]
    assert shown == text.visible(token)


@given(ANY)
def test_visible_text_has_no_control_and_can_be_sent(token):
    shown = text.visible(token)
    assert shown
    shown.encode("utf-8")
    assert not any(ord(c) < 32 or c in "\u202e\u200b\ufeff\u2066" for c in shown)


@given(ANY)
def test_code_spans_hold_their_content(token):
    span = text.code(token)
    fence = re.match(r"`+", span).group()
    assert span.endswith(fence)
    assert fence not in span[len(fence) : -len(fence)]


def test_worked_cases():
    assert text.visible(" cat") == "·cat"
    assert text.visible("\n") == "⏎"
    assert text.visible("\x1b") == "␛"
    assert text.visible("\u202e") == "⟨202E⟩"
    assert text.visible("") == "∅"
    assert text.visible("\u0301") == "◌\u0301"
    assert text.visible("x" * 50) == "x" * 15 + "…"
    assert text.visible("👩‍👩‍👧") == "👩‍👩‍👧"
    assert text.plotly("<b>%{z}</b>") == "&lt;b&gt;%{z}&lt;/b&gt;"
    assert text.code("a`b") == "``a`b``"
    assert text.plotly("قطة") == "\u2068قطة\u2069", "joined letters, in a place of their own"
    assert text.labels(["Katze", "Straße", "猫"]) == ["Katze", "Straße", "猫"]
