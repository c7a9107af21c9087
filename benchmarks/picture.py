"""The README's picture of the result: for each page, how many times the floor's time a move takes."""

import math
from html import escape
from typing import Any

from app.theme import FONT, Look

WIDTH, ROW, BAR, LEFT, TOP = 880, 46, 15, 190, 74
MEASURES = (("p50", "weight", "server time of a move"), ("pixels", "query", "key press to new pixels"))
TARGET = 1.5


def svg(result: dict[str, Any]) -> str:
    """Horizontal bars from zero, with a line at the floor and one at the target."""
    look, base, app = Look("light"), result["floor"]["pages"][""], result["app"]["pages"]
    pages = {slug: cost for slug, cost in app.items() if math.isfinite(cost["p50"])}
    ratios = {
        slug: [cost[name] / (base | cost.get("beside", {}))[name] for name, *_ in MEASURES]
        for slug, cost in pages.items()
    }
    longest = max([2.0, *(r for pair in ratios.values() for r in pair if math.isfinite(r))])
    scale = (WIDTH - LEFT - 150) / longest
    height = TOP + ROW * len(pages) + 50
    parts = [_rect(0, 0, WIDTH, height, look.background), *_legend(look)]
    for times, label in ((1.0, "floor"), (TARGET, f"{TARGET}×")):
        x = LEFT + times * scale
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 46}" stroke="{look.quiet}" '
                     f'stroke-dasharray="{"none" if times == 1 else "4 4"}"/>')  # fmt: skip
        parts.append(_text(x, TOP - 12, label, look.quiet, 13, "middle" if times == 1 else "start"))
    for number, (slug, pair) in enumerate(ratios.items()):
        y = TOP + ROW * number
        parts.append(_text(LEFT - 12, y + 22, slug, look.ink, 16, "end"))
        for place, ((name, role, _), ratio) in enumerate(zip(MEASURES, pair, strict=True)):
            if math.isfinite(ratio):
                top = y + 3 + place * (BAR + 2)
                parts.append(_rect(LEFT, top, ratio * scale, BAR, look.role(role)))
                words = f"{ratio:.1f}× · {pages[slug][name] * 1000:.0f} ms"
                parts.append(_text(LEFT + ratio * scale + 6, top + 12, words, look.ink, 13, halo=look.background))
    machine = result["machine"]
    parts.append(_text(12, height - 16, f"{machine['cpu']}, {machine['cores']} cores, {machine['date']}. The floor is a "
                       "Streamlit page with one slider and one 16×16 heatmap.", look.quiet, 13))  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="{escape(FONT, quote=True)}">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _legend(look: Look) -> list[str]:
    parts = [_text(12, 26, "What a move costs, in times the floor", look.ink, 17)]
    for place, (_, role, label) in enumerate(MEASURES):
        x = 420 + place * 215
        parts += [_rect(x, 14, 14, 14, look.role(role)), _text(x + 20, 26, label, look.ink, 14)]
    return parts


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _text(x: float, y: float, words: str, colour: str, size: int, anchor: str = "start", halo: str = "") -> str:
    """``halo`` keeps a line that runs behind the words out of them."""
    around = f' paint-order="stroke" stroke="{halo}" stroke-width="6"' if halo else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" text-anchor="{anchor}"{around}>{escape(words)}</text>'
