"""The logit lens as a heatmap: every layer's best token written into its cell."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.figures import heatmap
from app.figures.base import figure
from app.theme import FONT_SIZE, INK, Look, contrast, mix

Array = np.ndarray


def lens(
    probability: Array, words: Sequence[Sequence[str]], tokens: Sequence[str], look: Look, *, agrees: Array, height: int
) -> go.Figure:
    """Probability [row, position] of the best token of each row, row 0 the embeddings, drawn upwards.

    Args:
        words: [row][position] inert labels of those tokens; tokens: what was read at each position.
        agrees: bool [row, position], whether it is already the last row's answer; those words are bold.
    """
    n_row, n_position = probability.shape
    rows = ["embeddings", *(f"after layer {layer}" for layer in range(n_row - 1))]
    cell = heatmap.trace(probability, look, showscale=True, colorbar=heatmap.colour_bar("probability", look))
    cell["customdata"] = np.array([[f"{word}" for word in row] for row in words])
    cell["hovertemplate"] = "after reading %{x}: %{customdata}<br>probability %{z:.4f}<extra></extra>"
    notes = [
        {"x": x, "y": y, "text": f"<b>{word}</b>" if agrees[y, x] else word, "showarrow": False,
         "font": {"size": FONT_SIZE, "color": _ink(float(probability[y, x]), look)}}
        for y, row in enumerate(words) for x, word in enumerate(row)
    ] if n_row <= 40 else []  # fmt: skip
    layout = look.layout(
        xaxis=heatmap.axis(tokens, n_position, look, tickangle=0 if sum(map(len, tokens)) <= 80 else -60),
        yaxis=heatmap.axis(rows, n_row, look),
        height=height, annotations=notes, dragmode=False,
    )  # fmt: skip
    layout["yaxis"] |= {"tickvals": list(range(n_row)), "ticktext": rows}
    return figure([cell], layout)


def _ink(share: float, look: Look) -> str:
    """Light or dark, whichever can be read on the cell."""
    (_, low), (_, middle), (_, high) = look.sequential
    ground = mix(low, middle, share * 2) if share <= 0.5 else mix(middle, high, share * 2 - 1)
    return max(INK.values(), key=lambda colour: contrast(colour, ground))
