"""The figures of the next-token page show the numbers they are given; where a text is open."""

import numpy as np
import pytest

from app.figures.choice import Panel, choice
from app.figures.lens import lens
from app.language import open_end
from app.theme import Look

LOOK = Look("dark")


def test_panels_share_tokens_and_mark_the_drawn_and_the_cut():
    kept = np.array([True, True, False])
    figure = choice(
        [Panel("logits", np.array([2.0, 1.0, -1.0]), np.ones(3, bool), ".1f", shared=False),
         Panel("p", np.array([0.6, 0.3, 0.1]), kept)],
        ["a", "b", "c"], LOOK, drawn=1,
    )  # fmt: skip
    logits, chances = figure.data
    assert np.allclose(chances.x, [0.6, 0.3, 0.1])
    assert list(chances.text) == ["0.60", "0.30 drawn", ""]
    assert list(chances.marker.pattern.shape) == ["", "", "/"]
    assert chances.marker.color[1] == LOOK.ink
    assert LOOK.ink not in logits.marker.color
    assert figure.layout.xaxis.range[0] == -1.0
    assert figure.layout.xaxis2.range[0] == 0


def test_the_lens_writes_every_word_and_bolds_what_agrees():
    agrees = np.array([[False, True], [True, True]])
    figure = lens(
        np.array([[0.1, 0.9], [0.5, 0.2]]), [["a", "b"], ["c", "d"]], ["x", "y"], LOOK, agrees=agrees, height=200
    )
    assert [note.text for note in figure.layout.annotations] == ["a", "<b>b</b>", "<b>c</b>", "<b>d</b>"]
    assert list(figure.layout.yaxis.ticktext) == ["embeddings", "after layer 0"]
    assert np.asarray(figure.data[0].customdata)[1, 0] == "c"


@pytest.mark.parametrize(
    ("tokens", "read"),
    [
        (("Paris", " is", " the", " capital", " of"), 5),
        (("The", " cat", " was", " ti", "red", "."), 3),
        (("Hello", "."), 2),
        ((".",), 1),
        (("What", " now", "?", " "), 4),
        ((), 0),
        (("a", " b", " !"), 1),
    ],
)
def test_a_finished_sentence_is_read_up_to_its_last_word(tokens, read):
    assert open_end(tokens) == read
