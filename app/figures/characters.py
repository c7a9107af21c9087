"""A text whose characters are coloured by one number each, after Karpathy, Johnson and Li 2015. HTML, so that it wraps."""

from collections.abc import Sequence
from html import escape

import numpy as np

from app import text
from app.theme import INK, Look, contrast, mix


def coloured(
    characters: Sequence[str],
    values: np.ndarray,
    limit: float,
    look: Look,
    label: str,
    *,
    pick: int | None = None,
    name: str = "value",
) -> str:
    """Characters with a signed background: blue below zero, red above, full colour at ``limit``.

    Args:
        characters: any text, escaped here; values: [character]; label: what a screen reader says.
        pick: the character to frame.
    """
    cold, warm = look.diverging[0][1], look.diverging[-1][1]
    body = []
    for at, (character, value) in enumerate(zip(characters, values, strict=True)):
        share = min(1.0, abs(float(value)) / limit) if limit else 0.0
        ground = mix(look.background, warm if value > 0 else cold, 0.85 * share)
        ink = max(INK.values(), key=lambda colour: contrast(colour, ground))
        frame = f"outline:2.5px solid {look.ink};z-index:1;position:relative;" if at == pick else ""
        shown = escape(text.visible(character)).replace("·", "&nbsp;")
        body.append(
            f'<span style="background:{ground};color:{ink};{frame}" title="{name} {float(value):+.3f}">{shown}</span>'
            + ("<br>" if character == "\n" else "")
        )
    style = (
        "font-family:'Source Code Pro','Noto Sans Mono',ui-monospace,monospace;font-size:1.35rem;line-height:1.7;"
        "overflow-wrap:anywhere;padding:2px 3px"
    )
    return f'<div role="group" dir="auto" aria-label="{escape(label)}" style="{style}">{"".join(body)}</div>'
