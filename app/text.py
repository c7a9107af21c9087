"""A visitor's text made visible and inert, for every place that would read it as markup.

Plotly reads a subset of HTML and ``$…$``; Streamlit reads Markdown, directives and LaTeX. Everything a visitor types
passes through ``visible`` and then through the one function of the place it goes to.
"""

import unicodedata

MAX_LABEL = 16
ISOLATE, END = "\u2068", "\u2069"  # first strong isolate and its end (Unicode Bidirectional Algorithm, UAX 9)
_NAMED = {" ": "·", "\n": "⏎", "\t": "⇥", "\r": "␍", "\u00a0": "⍽", "\u3000": "□"}


def visible(token: str, limit: int = MAX_LABEL) -> str:
    """The token with spaces, controls and invisible characters drawn, cut to ``limit`` characters.

    Letters of every script keep their shapes; a lone combining mark gets a dotted circle to sit on.
    """
    if token == "":
        return "∅"
    drawn = "".join(map(_draw, token[: limit + 1]))
    if unicodedata.category(token[0]).startswith("M"):
        drawn = "◌" + drawn
    return drawn if len(token) <= limit else drawn[: limit - 1] + "…"


def _draw(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    code, category = ord(char), unicodedata.category(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    # Joiners shape the letters around them (Arabic, Indic, emoji families) and stay; other format characters could
    # turn the line around or hide, so they are spelled out, as are lone surrogates and unassigned code points.
    if category in ("Cc", "Cs", "Cn", "Zl", "Zp") or (category == "Cf" and code not in (0x200C, 0x200D)):
        return f"⟨{code:X}⟩"
    return char


def plotly(token: str, limit: int = MAX_LABEL) -> str:
    """For tick labels, annotations and hover data: no tag, entity or TeX of the token's own survives.

    A token that is written from right to left is isolated, so that two of them in one line keep their places.
    """
    shown = visible(token, limit)
    safe = shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;")
    return f"{ISOLATE}{safe}{END}" if leftwards(shown) else safe


def leftwards(shown: str) -> bool:
    """Does any letter of it run from right to left?"""
    return not shown.isascii() and any(unicodedata.bidirectional(char) in ("R", "AL") for char in shown)


def labels(tokens: "tuple[str, ...] | list[str]", limit: int = MAX_LABEL) -> list[str]:
    """``plotly`` for a whole sentence."""
    return [plotly(token, limit) for token in tokens]


def code(token: str, limit: int = 40) -> str:
    """For Markdown: a code span, whose fence is longer than any run of backticks inside."""
    shown = visible(token, limit)
    longest = run = 0
    for char in shown:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    fence = "`" * (longest + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
