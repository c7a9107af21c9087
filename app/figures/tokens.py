"""Tokens as a line of chips that wraps like text, for every page that shows how a text is cut.

HTML and not a chart: it wraps on a phone, can be selected, and a thousand chips cost little. All text is escaped here;
it must not be escaped before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import groupby
from typing import Literal

from app import text
from app.theme import ROLES, Look, mix

JOINERS = "\u200c\u200d"  # they shape the letters beside them and are nothing to see alone
Mark = Literal["plain", "strong", "framed", "broken"]


@dataclass(frozen=True)
class Chip:
    """One token: what it shows (any text), what it says on hover, and whether it stands out.

    ``strong`` is filled and bold, ``framed`` has a dashed frame, ``broken`` is in italics (not a whole character).
    """

    label: str
    hint: str = ""
    mark: Mark = "plain"


def hexadecimal(raw: bytes) -> str:
    """Bytes as pairs of digits; the spaces between them are narrow, so that they are not taken for the text's own."""
    return raw.hex(" ").upper().replace(" ", "\u202f")


def spelt(raw: bytes) -> tuple[str, bool]:
    """Bytes as (what to show, whole): the text they spell, with hexadecimals where they cut a character."""
    try:
        return raw.decode("utf-8", "surrogatepass"), True
    except UnicodeDecodeError:
        escaped = raw.decode("utf-8", "surrogateescape")  # a byte that spells nothing becomes U+DC80 to U+DCFF
        runs = [(stray, "".join(run)) for stray, run in groupby(escaped, key=lambda char: "\udc80" <= char <= "\udcff")]
        shown = [hexadecimal(run.encode("utf-8", "surrogateescape")) if stray else run for stray, run in runs]
        return "".join(shown), False


def chip(raw: bytes, hint: str = "", mark: Mark = "plain") -> Chip:
    """A token that is known by its bytes."""
    shown, whole = spelt(raw)
    size = f"{len(raw)} byte{'s' * (len(raw) != 1)} {hexadecimal(raw[:12])}{' …' * (len(raw) > 12)}"
    return Chip(shown, f"{hint} · {size}" if hint else size, mark if whole or mark != "plain" else "broken")


def strip(
    words: Sequence[Sequence[Chip]], look: Look, label: str, *, tall: int | None = None, size: float = 1.0
) -> str:
    """Words of chips as HTML. Chips of a word stand close together, a line may break between words; a text that is
    read from right to left runs that way, each chip in its place.

    Args:
        label: what a screen reader says; any text.
        tall: scroll inside this many pixels; None shows all.
        size: 1 is the size of the page's text.
    """
    scroll = f"max-height:{tall}px;overflow-y:auto;" if tall else ""
    keys = ' tabindex="0"' if tall else ""  # what scrolls can be scrolled with the arrow keys
    body = "".join(f'<span class="w">{"".join(map(_chip, word))}</span>' for word in words)
    opening = f'<div class="al-tokens" role="group" dir="auto"{keys} aria-label="{escape(label)}"'
    return f'{opening} style="{scroll}font-size:{size}rem">{body}</div>{_style(look)}'


def rows(table: Sequence[Sequence[str | Sequence[Sequence[Chip]]]], look: Look, label: str) -> str:
    """A table without rules as HTML; a cell is plain text or a strip's words."""

    def cell(content: str | Sequence[Sequence[Chip]]) -> str:
        if isinstance(content, str):
            return f"<td{' class=n' * (len(content) <= 12)}>{escape(content)}</td>"
        return (
            '<td dir="auto">'
            + "".join(f'<span class="w">{"".join(map(_chip, word))}</span>' for word in content)
            + "</td>"
        )

    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in table)
    return f'<div class="al-tokens" role="group" aria-label="{escape(label)}"><table>{body}</table></div>{_style(look)}'


@lru_cache(maxsize=4096)  # some kB of a text are drawn at every merge, and nearly all of their tokens were there before
def _chip(item: Chip) -> str:
    joiners = item.label and not item.label.strip(JOINERS)
    shown = escape("".join(f"⟨{ord(c):X}⟩" for c in item.label[:4]) if joiners else text.visible(item.label, limit=28))
    hint = f' title="{escape(text.visible(item.hint, limit=200).replace("·", " "))}"' if item.hint else ""
    return f'<span class="t {item.mark}"{hint}>{shown}</span>'


def _style(look: Look) -> str:
    """One sheet for all strips of a page; the class names are this file's own."""
    strong = look.text("weight")
    plain, other = look.panel, mix(look.panel, ROLES["hidden"], 0.22)
    return (
        "<style>"
        ".al-tokens{line-height:1.7;font-family:'Source Code Pro','Noto Sans Mono',ui-monospace,monospace;padding:2px 0}"
        ".al-tokens .w{display:inline-block;margin-inline-end:5px;max-width:100%}"
        ".al-tokens table{border-collapse:collapse}.al-tokens td{padding:1px 14px 1px 0;vertical-align:top}"
        ".al-tokens td.n{white-space:nowrap}@media (max-width:640px){.al-tokens td{display:block}}"
        f".al-tokens .t{{display:inline-block;white-space:pre-wrap;overflow-wrap:anywhere;padding:0 .17em;margin:1px 1px 1px 0;"
        f"border-radius:3px;color:{look.ink};background:{plain};border:1.5px solid {plain}}}"
        f".al-tokens .t:nth-child(even){{background:{other};border-color:{other}}}"
        f".al-tokens .t.strong{{background:{strong};border-color:{strong};color:{look.background};font-weight:700}}"
        f".al-tokens .t.framed{{border:1.5px dashed {look.ink}}}"
        f".al-tokens .t.broken{{font-style:italic;color:{look.quiet}}}"
        "</style>"
    )
