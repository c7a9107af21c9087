"""What the LSTM page draws is the trace's tensor, forced or free, and a step opens to numbers that add up."""

import re

import numpy as np
import pytest

from models.charmodel import char_model
from models.gates import GatesConfig, open_gates
from models.lstm import Force
from tests.pages.opening import array, charts, fine, open_page, words

SENTENCE = "The cat sat on the mat because it was tired."
BANDS = ("forget", "input", "output", "candidate", "cell", "hidden")


def drawn_units(app):
    """The units of the main figure, top to bottom, as its hover text names them."""
    first = charts(app)[0]["data"][0]["customdata"]
    return [int(row[0]) for row in (first if isinstance(first, list) else array(first).tolist())]


def assert_bands(app, trace):
    units = drawn_units(app)
    for band, name in zip(charts(app)[0]["data"][:6], BANDS, strict=True):
        np.testing.assert_allclose(array(band["z"]), getattr(trace, name)[:, units].T, atol=1e-5, err_msg=name)


def test_the_bands_are_the_traces_stages():
    assert_bands(fine(open_page("lstm-gates")), open_gates(GatesConfig(SENTENCE)).free)


@pytest.mark.parametrize("gate", ["forget", "input", "output"])
def test_a_forced_gate_is_drawn_as_forced(gate):
    app = fine(open_page("lstm-gates", lstm_gates_gate=gate))
    assert_bands(app, open_gates(GatesConfig(SENTENCE, (Force(gate, 0.0),))).now)
    assert f"{gate} gate held at 0" in words(app)


def test_an_opened_step_shows_the_cells_arithmetic():
    app = fine(open_page("lstm-gates", lstm_gates_step="7"))
    trace, unit = open_gates(GatesConfig(SENTENCE)).free, drawn_units(app)[0]
    row = next(line for line in words(app).splitlines() if line.startswith("| cell |"))
    *_, before, wrote, candidate, after = map(float, re.findall(r"(?<![\w^{])-?\d+\.\d+", row))
    assert after == pytest.approx(float(trace.cell[6, unit]), abs=2e-3)
    assert wrote == pytest.approx(float(trace.input[6, unit]), abs=1e-3)
    assert candidate == pytest.approx(float(trace.candidate[6, unit]), abs=1e-3)
    assert before == pytest.approx(float(trace.cell[5, unit]), abs=1e-3)


def test_the_tracking_units_are_named_with_their_figures():
    app = fine(open_page("lstm-gates"))
    for unit in char_model("char-lstm").units:
        assert f"| {unit.feature} | {unit.state} {unit.unit} | {unit.correlation:+.2f} |" in words(app)


def test_one_character_is_enough():
    app = fine(open_page("lstm-gates", sentence="a"))
    assert "NOT equal" not in words(app)
