"""The order experiment and what is found in learned tables: laws, hand-worked cases, the model's own forward pass."""

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import checkpoints
from models.learned_positions import directions, fit_shift, likeness_to_sinusoids, strongest_wave, waves_in
from models.order import OrderConfig, compare, matched, reorder, run_encoder
from models.positional import PositionalConfig, encode_positions, rows, shift, sinusoidal

FEW = settings(max_examples=8, deadline=None)


@pytest.fixture(scope="module")
def minilm():
    return checkpoints.load("minilm")


def test_matching_pairs_the_nth_with_the_nth():
    assert matched([7, 1, 7, 2], [2, 7, 3, 7]) == ((0, 1), (2, 3), (3, 0))
    assert matched([1], [2]) == ()


@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12))
@settings(max_examples=50, deadline=None)
def test_matching_uses_each_place_once_and_misses_none(first, second):
    pairs = matched(first, second)
    assert all(first[a] == second[b] for a, b in pairs)
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    assert len(pairs) == sum(min(first.count(t), second.count(t)) for t in set(first))


@FEW
@given(seed=st.integers(0, 1000), n=st.integers(1, 14), depth=st.integers(1, 6))
def test_without_positions_a_permutation_permutes_the_outputs(minilm, seed, n, depth):
    ids = [random.Random(seed).randrange(1000, 20000) for _ in range(n)]
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    config = OrderConfig("none", depth)
    plain, permuted = (run_encoder(minilm.weights, x, config) for x in (ids, [ids[i] for i in order]))
    torch.testing.assert_close(permuted, plain[order], atol=2e-5, rtol=0)


@pytest.mark.parametrize("scheme", ["learned", "sinusoidal", "rotary"])
def test_with_positions_the_order_is_noticed(minilm, scheme):
    dog, man = (minilm.encode(text).ids for text in ("The dog bit the man", "The man bit the dog"))
    assert compare(minilm.weights, dog, man, OrderConfig("none", 6)).gap.max() < 1e-5
    seen = compare(minilm.weights, dog, man, OrderConfig(scheme, 6))
    assert seen.gap[2] > 1e-2, "the dog that bites is not the dog that is bitten"
    assert seen.cosine < 0.999
    same = compare(minilm.weights, dog, dog, OrderConfig(scheme, 6))
    assert same.gap.max() == 0


def test_learned_positions_are_the_models_own_forward_pass(minilm):
    encoding = minilm.encode("Order matters, or does it?")
    trace = minilm.trace(encoding)
    for depth in (1, 3, 6):
        torch.testing.assert_close(
            run_encoder(minilm.weights, encoding.ids, OrderConfig("learned", depth)), trace.hidden[depth]
        )


def test_a_single_token_has_no_offset_to_anybody(minilm):
    ids = minilm.encode("a rose").ids
    plain = run_encoder(minilm.weights, ids[:1], OrderConfig("none", 2))
    turned = run_encoder(minilm.weights, ids[:1], OrderConfig("rotary", 2))
    torch.testing.assert_close(plain, turned)


def test_what_does_not_fit_is_refused(minilm):
    with pytest.raises(ValueError, match="do not fit"):
        run_encoder(minilm.weights, [5] * 600, OrderConfig("none"))
    with pytest.raises(ValueError, match="do not fit"):
        run_encoder(minilm.weights, [5], OrderConfig("none", depth=7))
    with pytest.raises(ValueError, match="unknown scheme"):
        run_encoder(minilm.weights, [5], OrderConfig("alphabetic"))  # type: ignore[arg-type]


def test_reordering_keeps_ends_and_tokens():
    ids = (101, 1, 2, 3, 4, 5, 102)
    moved = reorder(ids, seed=1)
    assert (moved[0], moved[-1], sorted(moved)) == (101, 102, sorted(ids))
    assert moved != ids
    assert moved == reorder(ids, seed=1)
    assert reorder((101, 7, 102), 3) == (101, 7, 102)
    assert sorted(reorder((1, 2, 3), 5, keep_ends=False)) == [1, 2, 3]
    assert reorder((), 0) == ()


@FEW
@given(period=st.floats(3.0, 30.0), phase=st.floats(0, 6.28), level=st.floats(-3, 3))
def test_a_pure_wave_is_found(period, phase, level):
    t = torch.arange(64, dtype=torch.float64)
    found, share = strongest_wave(level + (2 * math.pi * t / period + phase).sin())
    assert share > 0.9
    assert abs(64 / found - 64 / period) < 0.3, "within the grid's step of a quarter turn"


def test_a_hidden_clock_is_found_in_a_table():
    """A random rotation of one sine, its cosine and a slope: the two components of equal period are the clock."""
    t = torch.arange(65, dtype=torch.float64)
    parts = torch.stack([5 * (t / 64 - 0.5), (t * 0.8).sin(), (t * 0.8).cos()], -1)
    generator = torch.Generator().manual_seed(0)
    mixing = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64, generator=generator)).Q[:3]
    trace = waves_in(parts @ mixing, n_component=3)
    a, b = trace.clock
    assert trace.period[a] == pytest.approx(2 * math.pi / 0.8, rel=0.05)
    assert trace.period[b] == pytest.approx(2 * math.pi / 0.8, rel=0.05)
    radius = (trace.components[:, a] ** 2 + trace.components[:, b] ** 2).sqrt()
    assert radius.std() < 0.2 * radius.mean(), "its hand runs in a circle"


def test_the_trained_table_holds_a_clock(minilm):
    trace = waves_in(minilm.positions)
    a, b = trace.clock
    assert trace.purity[[a, b]].min() > 0.7
    assert abs(float((trace.period[a] / trace.period[b]).log())) < 0.2


@FEW
@given(offset=st.integers(-20, 20))
def test_a_shift_is_found_where_there_is_one(offset):
    """32 positions a turn, four turns: the mean is zero, so that the components are the sine and the cosine."""
    t = torch.arange(129, dtype=torch.float64) * 2 * math.pi / 32
    fitted = fit_shift(sinusoidal(t, 2), offset, n_component=2)
    assert fitted.unseen < 1e-9
    torch.testing.assert_close(fitted.matrix @ fitted.matrix.T, torch.eye(2, dtype=torch.float64), atol=1e-9, rtol=0)


def test_shift_zero_is_the_identity_and_a_trained_table_has_no_exact_one(minilm):
    still = fit_shift(minilm.positions, 0)
    torch.testing.assert_close(still.matrix, torch.eye(8, dtype=torch.float64), atol=1e-9, rtol=0)
    assert fit_shift(minilm.positions, 5).unseen > 0.1
    with pytest.raises(ValueError, match="too few"):
        fit_shift(minilm.positions, 120)


def test_likeness_to_sinusoids(minilm):
    waves = sinusoidal(torch.arange(40), 16)
    assert likeness_to_sinusoids(3 * waves) == pytest.approx(1)
    assert likeness_to_sinusoids(-waves) == pytest.approx(-1)
    assert abs(likeness_to_sinusoids(minilm.positions)) < 0.1, "nobody gave MiniLM the formula"


def test_directions_keep_distances():
    table = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    parts, share = directions(table, 6, 1, 20)
    torch.testing.assert_close(torch.cdist(parts, parts), torch.cdist(table[1:].double(), table[1:].double()))
    assert share.sum() == pytest.approx(1)


@FEW
@given(step=st.sampled_from([0.1, 0.5, 3.0, 6.0]), offset=st.integers(-9, 9))
def test_a_step_stretches_the_positions(step, offset):
    config = PositionalConfig(12, 16, step=step)
    trace = encode_positions(config)
    torch.testing.assert_close(trace.encoding, sinusoidal(torch.arange(12) * step, 16))
    torch.testing.assert_close(trace.wavelength * trace.frequency, torch.full((8,), 2 * math.pi, dtype=torch.float64))
    assert shift(config, offset).error < 1e-9


def test_sines_alone_have_no_shift_and_no_constant_similarity():
    config = PositionalConfig(40, 16, cosines=False)
    trace = encode_positions(config)
    assert torch.equal(trace.encoding[:, 0::2], trace.encoding[:, 1::2])
    assert shift(config, 5).error > 0.5
    assert trace.similarity.diagonal(3).std() > 0.1
    torch.testing.assert_close(rows(torch.arange(40.0), config), trace.encoding)
    with pytest.raises(ValueError, match="step"):
        PositionalConfig(step=0)
