"""What the RNN page draws is the trace's tensor, overflow is said, and live training starts, shows and stops."""

import threading

import numpy as np
import pytest

from app import jobs
from models.gradient_race import RaceConfig, race
from tests.pages.opening import array, charts, fine, open_page, words

RNN, BOUND, CELL = 0, 1, 2


def curves(app):
    """The main figure's curves by trace number: (x, y)."""
    return [(array(t["x"]), array(t["y"])) for t in charts(app)[0]["data"] if t.get("mode") == "lines"]


def test_the_curves_are_the_traces_norms():
    app = fine(open_page("rnn-gradients"))
    now = race(RaceConfig())
    drawn = curves(app)
    assert len(drawn[RNN][0]) == 60
    np.testing.assert_allclose(drawn[RNN][1], now.rnn.gradient_norm.log10(), atol=1e-4)
    np.testing.assert_allclose(drawn[BOUND][1], now.rnn.log10_bound, atol=1e-4)
    np.testing.assert_allclose(drawn[CELL][1], now.lstm_gradient.to_cell.log10(), atol=1e-4)
    assert np.all(drawn[RNN][1] <= drawn[BOUND][1] + 1e-3)


@pytest.mark.parametrize("activation", ["tanh", "relu", "identity"])
def test_two_hundred_steps_past_every_limit_still_draw(activation):
    address = {"rnn_gradients_singular": "4.0", "rnn_gradients_n_step": "200", "rnn_gradients_activation": activation}
    app = fine(open_page("rnn-gradients", **address))
    assert "NOT equal" not in words(app)
    assert np.isfinite(curves(app)[BOUND][1]).all()
    if activation == "identity":
        over = race(RaceConfig(n_step=200, singular=4.0, activation="identity")).rnn.gradient_overflow
        marks = [
            t for t in charts(app)[0]["data"] if t.get("mode") == "markers" and t.get("name", "").startswith("RNN")
        ]
        assert len(array(marks[0]["x"])) == over + 1
        assert f"**{over + 1} steps** have a gradient of inf" in words(app)


def test_a_gradient_that_underflows_is_said_to_be_zero():
    app = fine(open_page("rnn-gradients", rnn_gradients_singular="0.1", rnn_gradients_n_step="200"))
    assert "exactly 0" in words(app)


def test_recall_starts_stops_and_keeps_what_it_found():
    app = fine(open_page("rnn-gradients", rnn_gradients_seed="43"))
    assert "after 0 updates" in words(app)
    fine(app.button(key="rnn_gradients_train").click().run())
    fine(app.run())
    assert "rnn_gradients_stop" in [b.key for b in app.button]
    fine(app.button(key="rnn_gradients_stop").click().run())
    fine(app.run())
    assert "rnn_gradients_train" in [b.key for b in app.button]
    assert not any(job.state == "running" for job in jobs._SHARED._jobs.values())
    for thread in threading.enumerate():  # a thread inside torch must not meet the interpreter's end
        if thread.name == "attention-lab-job":
            thread.join(60)
