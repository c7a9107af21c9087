"""The table of all heads: measured as one by one, ordered, named by what stands out."""

import math

import pytest
import torch

from models import heads, measures
from models.attention import AttentionTrace
from models.trace import Encoding, LayerTrace, ModelTrace


def model_trace(*layers, ids=None):
    """A trace that holds weights [head, token, token] alone, one a layer."""
    n = layers[0].shape[-1]
    ids = tuple(ids or range(n))
    traces = tuple(LayerTrace(AttentionTrace(weights)) for weights in layers)
    return ModelTrace(Encoding(ids, tuple("t" for _ in ids)), traces, (), torch.zeros(n, 1))


def random_weights(n_head, n, seed, causal=False):
    scores = torch.randn(n_head, n, n, generator=torch.Generator().manual_seed(seed))
    if causal:
        scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), -math.inf)
    return scores.softmax(-1)


def step(n, by):
    """The head that looks ``by`` places on, round the end."""
    return torch.eye(n).roll(by, dims=1)


@pytest.mark.parametrize("causal", [False, True])
def test_every_layer_is_measured_as_alone(causal):
    ids = (3, 1, 3, 2, 1, 3)
    layers = [random_weights(4, 6, seed, causal) for seed in range(3)]
    table = heads.measure_heads(model_trace(*layers, ids=ids), causal)
    for at, weights in enumerate(layers):
        alone = measures.measure(weights, ids)
        for name, values in vars(alone).items():
            assert torch.equal(getattr(table, name)[at], values)
    assert table.repeats == 3
    assert set(table.alike) == set(vars(alone)) | {"next_token"}
    assert table.alike["entropy"] == pytest.approx(
        sum(math.log(k) for k in range(1, 7)) / 6 if causal else math.log(6), rel=1e-5
    )


def test_a_causal_head_never_looks_ahead_and_a_stepping_one_always_does():
    ahead, behind = step(8, 1), step(8, -1)
    table = heads.measure_heads(model_trace(torch.stack([ahead, behind])), causal=False)
    assert table.next_token[0].tolist() == [1, 0]
    assert table.previous_token[0].tolist() == [0, 1]
    assert [heads.main_job(table, 0, head) for head in range(2)] == ["next_token", "previous_token"]
    causal = heads.measure_heads(model_trace(random_weights(2, 5, 0, causal=True)), causal=True)
    assert causal.next_token.abs().max() == 0


def test_a_spread_head_has_no_job_and_few_repeats_name_none():
    n = 8
    spread = torch.full((1, n, n), 1 / n)
    assert heads.main_job(heads.measure_heads(model_trace(spread), False), 0, 0) is None
    ids = (1, 2, 3, 4, 1, 5, 6, 7)  # one repeat only: token 4 looks at what followed token 0
    weights = torch.full((1, n, n), 1 / n)
    weights[0, 4] = torch.eye(n)[1]
    table = heads.measure_heads(model_trace(weights, ids=ids), False)
    assert table.induction[0, 0] == 1
    assert heads.main_job(table, 0, 0) is None


def test_order_puts_the_largest_first_and_the_unknown_last():
    values = torch.tensor([[0.1, math.nan, 0.9], [0.9, 0.5, -1.0]])
    assert heads.order(values) == [2, 3, 4, 0, 5, 1]


def test_the_telling_link_is_far_enough_apart_and_between_words():
    weights = torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.8, 0.1, 0.1, 0.0], [0.7, 0.2, 0.1, 0.0], [0.4, 0.3, 0.2, 0.1]])
    assert heads.telling_link(weights, [False] * 4) == (2, 0)
    assert heads.telling_link(weights, [True, False, False, False]) == (3, 1)
    assert heads.telling_link(weights, [True] * 4) == (0, 0)
    other = torch.stack([torch.eye(4), weights])
    assert heads.telling_head(model_trace(torch.stack([torch.eye(4)] * 2), other), [False] * 4) == (1, 1)


def test_what_the_others_read_most_leaves_out_looking_at_oneself():
    weights = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
    assert heads.most_read(weights) == (1, pytest.approx(0.75))
    assert heads.most_read(torch.ones(1, 1)) == (0, 1.0)
