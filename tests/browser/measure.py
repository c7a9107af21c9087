"""What a browser draws, measured: the size of every text in a figure, texts that lie on each other, texts cut off."""

from itertools import combinations
from typing import Any

# Corners of each text of each chart on the screen, so that slanted labels are compared as they lie. Plotly keeps unseen
# texts for measuring; what has no width, no ink or no visibility is not a text that anybody reads.
_TEXTS = """() => {
  const shown = e => { for (let n = e; n && n !== document.body; n = n.parentElement) {
    const s = getComputedStyle(n); if (s.display === 'none' || s.visibility === 'hidden' || +s.opacity === 0) return false } return true };
  const figures = [...document.querySelectorAll('.js-plotly-plot, .vega-embed')];
  return figures.map((figure, number) => {
    const area = figure.getBoundingClientRect();
    const name = [...(figure.closest('[class*=st-key-]') || figure).classList].find(c => c.startsWith('st-key-')) || 'figure';
    const texts = [...figure.querySelectorAll('svg text')].filter(t => t.textContent.trim() && shown(t) && !t.closest('.modebar, .hoverlayer')).map(t => {
      const b = t.getBBox(), m = t.getScreenCTM();
      b.y += b.height * 0.15; b.height *= 0.7;  // a line is taller than its letters
      const at = (x, y) => [m.a * x + m.c * y + m.e, m.b * x + m.d * y + m.f];
      return {text: t.textContent.trim().slice(0, 40), size: parseFloat(getComputedStyle(t).fontSize) * Math.hypot(m.a, m.b), wide: b.width, kind: t.closest('[class]').getAttribute('class'),
              corners: [at(b.x, b.y), at(b.x + b.width, b.y), at(b.x + b.width, b.y + b.height), at(b.x, b.y + b.height)]};
    }).filter(t => t.wide > 0);
    return {name: name.replace('st-key-', ''), area: [area.left, area.top, area.right, area.bottom], texts};
  });
}"""

Corners = list[list[float]]


def figures(page: Any) -> list[dict[str, Any]]:
    """Each chart of the page: its key, its area and its texts with size in pixels and four corners."""
    return page.evaluate(_TEXTS)


def smallest(figure: dict[str, Any]) -> float:
    return min((text["size"] for text in figure["texts"]), default=float("inf"))


def cut(figure: dict[str, Any], slack: float = 2) -> list[str]:
    """Texts that stick out of their figure by more than ``slack`` pixels."""
    left, top, right, bottom = figure["area"]
    return [
        text["text"]
        for text in figure["texts"]
        if any(
            x < left - slack or x > right + slack or y < top - slack or y > bottom + slack for x, y in text["corners"]
        )
    ]


def overlaps(figure: dict[str, Any], share: float = 0.25) -> list[tuple[str, str]]:
    """Pairs of texts that lie on each other by more than that share of a letter's height."""
    return [
        (one["text"], other["text"])
        for one, other in combinations(figure["texts"], 2)
        if depth(one["corners"], other["corners"]) > share * min(one["size"], other["size"])
    ]


def depth(one: Corners, other: Corners) -> float:
    """How deep two rectangles, each turned by any angle, lie in each other: the shortest way apart, 0 if they are."""
    shortest = float("inf")
    for box in (one, other):
        for (x0, y0), (x1, y1) in ((box[0], box[1]), (box[1], box[2])):
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 or 1.0
            ux, uy = (x1 - x0) / length, (y1 - y0) / length
            a = [x * ux + y * uy for x, y in one]
            b = [x * ux + y * uy for x, y in other]
            shortest = min(shortest, max(a) - min(b), max(b) - min(a))
    return max(0.0, shortest)
