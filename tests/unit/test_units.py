"""Features of a text by hand, correlation against torch.corrcoef, and a planted unit that is found."""

import pytest
import torch

from models.units import FEATURES, correlation, find_units

SAID = 'He said "no (or so)" twice.\n"Yes" it is.\n'


def test_features_by_hand():
    assert FEATURES["inside a quotation"]('a "b" c') == [0, 0, 1, 1, 0, 0, 0]
    assert FEATURES["inside a quotation"]('"a\nb') == [1, 1, 0, 0]
    assert FEATURES["position in the line"]("ab\nc") == [1, 2, 0, 1]
    assert FEATURES["position in the word"]("it's 9!") == [1, 2, 3, 4, 0, 1, 0]
    assert FEATURES["between words"]("a b") == [0, 1, 0]
    assert FEATURES["in a word with a capital"]("Ab cD E") == [1, 1, 0, 0, 0, 0, 1]
    assert FEATURES["inside a bracket"]("a(b)c(d\ne") == [0, 1, 1, 0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("text", ["", "\ud800", '🙂\n"', SAID])
def test_every_feature_gives_a_number_a_character(text):
    assert all(len(feature(text)) == len(text) for feature in FEATURES.values())


def test_correlation_equals_corrcoef():
    states = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    feature = torch.randn(50, generator=torch.Generator().manual_seed(1))
    expected = torch.corrcoef(torch.cat([states.T, feature[None]]).double())[-1, :-1]
    torch.testing.assert_close(correlation(states, feature), expected)
    assert correlation(torch.ones(5, 2), torch.arange(5.0)).tolist() == [0, 0]
    assert correlation(torch.randn(5, 1), torch.ones(5)).tolist() == [0]


def test_a_planted_unit_is_found_and_noise_is_not():
    text = SAID * 40
    states = torch.randn(len(text), 6, generator=torch.Generator().manual_seed(2))
    states[:, 4] = states[:, 4] * 0.1 - torch.tensor(FEATURES["inside a quotation"](text))
    found = find_units(text, {"cell": states}, least=0.6)
    assert [(unit.feature, unit.state, unit.unit) for unit in found] == [("inside a quotation", "cell", 4)]
    assert found[0].correlation < -0.9
