"""The three schemes side by side: what depends on the offset alone and what does not."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.position_view import (
    by_offset,
    closest_pair,
    formula_view,
    learned_view,
    move_pair,
    query_and_key,
    rotary_view,
)
from models.positional import PositionalConfig

FEW = settings(max_examples=15, deadline=None)
CONFIGS = st.builds(PositionalConfig, st.integers(2, 40), st.integers(1, 16).map(lambda n: 2 * n),
                    st.sampled_from([1.001, 100.0, 10000.0]), st.sampled_from([0.5, 1.0, 6.0]))  # fmt: skip


def test_diagonals_by_hand():
    low, mean, high = by_offset(torch.tensor([[1.0, 5.0], [7.0, 3.0]]))
    assert low.tolist() == [7, 1, 5]  # offsets −1, 0, 1
    assert mean.tolist() == [7, 2, 5]
    assert high.tolist() == [7, 3, 5]


def test_the_closest_pair_by_hand():
    assert closest_pair(torch.tensor([[0.0, 0], [5, 0], [0, 1], [9, 9]])) == ((0, 2), 1.0)
    assert closest_pair(torch.zeros(1, 3)) == ((0, 0), 0.0)


@FEW
@given(config=CONFIGS)
def test_sines_with_cosines_know_the_offset_alone(config):
    view = formula_view(config)
    assert view.widest < 1e-9
    torch.testing.assert_close(view.similarity.diagonal(), torch.ones(config.n_position, dtype=torch.float64))
    torch.testing.assert_close(torch.nn.functional.cosine_similarity(view.rows[:1], view.rows), view.similarity[0])


@FEW
@given(config=CONFIGS, seed=st.integers(0, 99))
def test_rotary_scores_know_the_offset_alone_and_lengths_stay(config, seed):
    view = rotary_view(config, seed)
    assert view.widest < 1e-9
    q, k = query_and_key(config.d_model, seed)
    torch.testing.assert_close(view.rows.norm(dim=-1), q.norm().expand(config.n_position))
    torch.testing.assert_close(view.similarity[0, 0], q @ k / math.sqrt(config.d_model))


def test_sines_alone_and_a_random_table_do_not():
    assert formula_view(PositionalConfig(32, 16, cosines=False)).widest > 0.5
    table = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    view = learned_view(table, 50)
    assert view.rows.shape == (20, 8), "the table ends"
    assert view.widest > 0.5


def test_one_speed_for_all_repeats_after_44():
    """44 radians are seven turns and 0.018: with every pair at one speed, position 44 looks like position 0."""
    view = formula_view(PositionalConfig(64, 64, base=1.001))
    assert view.closest == (0, 44)
    assert view.distance < 0.25
    assert formula_view(PositionalConfig(64, 64)).distance > 1


@FEW
@given(config=CONFIGS, offset=st.integers(-20, 20), seed=st.integers(0, 99))
def test_a_rotary_score_stays_wherever_the_pair_stands(config, offset, seed):
    moved = move_pair(config, offset, seed)
    assert len(moved.rotary) == len(moved.added) == 64
    assert moved.start + min(0, offset) == 0 or offset >= 0
    assert float(moved.rotary.max() - moved.rotary.min()) < 1e-9
    view = rotary_view(config, seed)
    if abs(offset) < config.n_position:  # the middle of the curve by offset is offset 0
        torch.testing.assert_close(moved.rotary[0], view.mean[config.n_position - 1 + offset], atol=1e-9, rtol=0)


def test_an_added_score_moves():
    moved = move_pair(PositionalConfig(64, 64), 5, 0)
    assert float(moved.added.max() - moved.added.min()) > 0.5
    table = torch.randn(30, 12, generator=torch.Generator().manual_seed(0))
    short = move_pair(PositionalConfig(64, 64), -5, 0, table)
    assert len(short.added) == 24, "row 0 stays out"
    assert short.start == 6
    with pytest.raises(ValueError, match="no two positions"):
        move_pair(PositionalConfig(64, 64), 29, 0, table)
