"""The trained LSTM read twice: free and forced; and both gradient roads against PyTorch's own layer."""

import pytest
import torch
from torch.nn import functional as F

from models.charmodel import char_model
from models.gates import GatesConfig, correlation_here, open_gates, roads, torch_differences
from models.lstm import Force
from models.units import TrackingUnit

TEXT = 'He said "I will be back." Then he left.'


def test_without_a_force_both_readings_are_the_same():
    both = open_gates(GatesConfig(TEXT))
    assert both.now is both.free
    assert torch.equal(both.bits_now, both.bits_free)


def test_bits_are_the_cross_entropy():
    model, both = char_model("char-lstm"), open_gates(GatesConfig(TEXT))
    targets = model.inputs(TEXT)[1:].argmax(-1)
    expected = F.cross_entropy(model.logits(both.free.hidden[:-1]), targets) / torch.log(torch.tensor(2.0))
    assert float(both.bits_free.mean()) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("gate", ["forget", "input", "output"])
def test_a_closed_gate_costs_bits(gate):
    both = open_gates(GatesConfig(TEXT, (Force(gate, 0.0),)))
    assert float(both.bits_now.mean()) > float(both.bits_free.mean())


def test_the_shipped_lstm_equals_torch():
    assert max(torch_differences(TEXT, 3, 5)) < 1e-4
    assert max(torch_differences(TEXT, 0, len(TEXT) - 1)) < 1e-4


def test_roads_end_at_one_and_a_forced_gate_closes_the_highway():
    free = roads(GatesConfig(TEXT), 4)
    assert free.highway[-1] == free.own[-1] == free.rnn[-1] == 1
    shut = roads(GatesConfig(TEXT, (Force("forget", 0.0),)), 4)
    assert float(shut.highway[:-1].max()) == 0
    open_wide = roads(GatesConfig(TEXT, (Force("forget", 1.0),)), 4)
    assert torch.equal(open_wide.mean, torch.ones(len(TEXT)))


def test_a_shipped_unit_tracks_what_its_card_says():
    """Found on held-out text by the training command; a text of our own must agree in sign for the best of them."""
    model = char_model("char-lstm")
    assert model.units, "at least one unit follows something"
    best = model.units[0]
    assert abs(best.correlation) > 0.5
    here = correlation_here(open_gates(GatesConfig(TEXT)).free, TEXT, best)
    assert here is not None
    assert here * best.correlation > 0


def test_a_feature_that_never_changes_has_no_correlation():
    quotation = TrackingUnit("inside a quotation", "cell", 0, 0.5)
    assert correlation_here(open_gates(GatesConfig("no quotes here")).free, "no quotes here", quotation) is None
