"""The logit lens, the probes of a language model, and the film of two toys: against plain computations."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from models import probes
from models.induction import InductionConfig, train_live
from models.induction_race import race
from models.lens import logit_lens
from models.probes import Fact, Pair
from models.trace import Encoding
from models.transformer import GPT, GPTConfig, init_weights, trace_gpt


class Reader:
    """Just enough of a traced model: its read-out."""

    def __init__(self, seed):
        self.model = GPT(GPTConfig(n_vocab=31, n_context=16, n_layer=3, n_head=2, d_model=16, d_ff=32)).eval()
        init_weights(self.model, seed)

    def read_out(self, hidden):
        return self.model.read_out(hidden)


@pytest.mark.parametrize("seed", range(3))
def test_the_lens_ends_at_the_models_own_answer(seed):
    reader, ids = Reader(seed), (1, 5, 9, 2, 30)
    with torch.no_grad():
        trace = trace_gpt(reader.model, Encoding(ids, ("t",) * 5))
        lens = logit_lens(reader, trace, 2, 4)
        chances = reader.model(torch.tensor([ids]))[0, 2:4].softmax(-1)
    assert lens.best.shape == (4, 2)
    assert torch.equal(lens.best[-1], chances.argmax(-1))
    torch.testing.assert_close(lens.chosen[-1], chances.amax(-1))
    torch.testing.assert_close(lens.probability[-1], lens.chosen[-1])
    assert (lens.probability >= lens.chosen - 1e-7).all()
    for position, first in enumerate(lens.settled):
        column = lens.best[:, position]
        assert (column[first:] == column[-1]).all()
        assert first == 0 or column[first - 1] != column[-1]


def counting(ids):
    """A model that finds the number after the last one likeliest: logits 2 there, 0 elsewhere, of 10 tokens."""
    return 2.0 * F.one_hot((torch.tensor(list(ids)) + 1) % 10, 10).float()


def digits(text):
    return [int(c) for c in text if c.isdigit()]


def test_log_probability_sums_over_the_continuation():
    normal = math.log(math.e**2 + 9)
    assert probes.log_probability(counting, [3], [4]) == pytest.approx(2 - normal)
    assert probes.log_probability(counting, [3], [4, 5, 5]) == pytest.approx(2 * (2 - normal) - normal)
    with pytest.raises(ValueError, match="need a token"):
        probes.log_probability(counting, [], [1])


def test_preference_and_rank_by_hand():
    right, wrong = probes.preference(counting, digits, Pair("1 2", "3", "7"))
    assert right - wrong == pytest.approx(2)
    assert right == pytest.approx(probes.log_probability(counting, [1, 2], [3]))
    longer = probes.preference(counting, digits, Pair("1 2", "3 4", "7"))
    assert longer == pytest.approx((2 * right, wrong))
    known, unknown = (probes.ask(counting, digits, Fact("4", answer)) for answer in ("5", "9"))
    assert (known.rank, known.best, unknown.rank, unknown.best) == (1, 5, 2, 5)
    assert known.probability == pytest.approx(math.e**2 / (math.e**2 + 9))


def test_every_pair_differs_in_its_verb_alone():
    for pair in probes.PAIRS:
        assert {pair.right, pair.wrong} in ({" is", " are"}, {" has", " have"}, {" was", " were"})
        assert pair.right in pair.short
    assert len({pair.short for pair in probes.PAIRS}) == len(probes.PAIRS)


def test_the_race_is_both_films_side_by_side():
    config = InductionConfig(
        n_head=2, d_model=16, n_vocab=32, n_token=12, shortest=3, longest=6, batch=4, steps=4, every=2
    )
    films = list(race(config, seed=3))
    two, one = (list(train_live(replace(config, n_layer=layers), 3)) for layers in (2, 1))
    assert [r.step for r in films] == [0, 2, 4]
    for record, a, b in zip(films, two, one, strict=True):
        assert (record.two, record.one) == (a.loss, b.loss)
        assert (record.scores, record.control) == (a.scores, b.scores[0])
        weights = torch.stack([t.weights for t in a.attention])
        assert (record.maps / 255 - weights).abs().max() <= 0.5 / 255 + 1e-6
        layer, head = record.best
        assert record.scores[layer][head] == max(max(row) for row in record.scores)
