"""Head measures against cases worked by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import measures

# Three tokens; rows by hand.
WEIGHTS = torch.tensor([[[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.1, 0.3, 0.6]]])


def test_a_row_of_three_by_hand() -> None:
    got = measures.measure(WEIGHTS, [7, 8, 7])
    assert got.previous_token.item() == pytest.approx((0.25 + 0.3) / 2)
    assert got.first_token.item() == pytest.approx((0.25 + 0.1) / 2)
    assert got.same_token.item() == pytest.approx((0.75 + 0.6) / 2)
    assert got.duplicate_token.item() == pytest.approx(0.1)  # only token 2 stood earlier, at 0
    assert got.induction.item() == pytest.approx(0.3)  # after the earlier 7 came token 1
    assert got.distance.item() == pytest.approx((0 + 0.25 + 0.1 * 2 + 0.3) / 3)
    row1 = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    row2 = -(0.1 * math.log(0.1) + 0.3 * math.log(0.3) + 0.6 * math.log(0.6))
    assert got.entropy.item() == pytest.approx((row1 + row2) / 3)


def test_no_repeated_token_is_nan_not_zero() -> None:
    got = measures.measure(WEIGHTS, [1, 2, 3])
    assert got.duplicate_token.isnan().all()
    assert got.induction.isnan().all()
    assert measures.measure(torch.ones(2, 1, 1), [5]).previous_token.isnan().all()


def test_bidirectional_duplicates_look_both_ways() -> None:
    weights = torch.tensor([[[0.2, 0.3, 0.5], [0.4, 0.2, 0.4], [0.7, 0.2, 0.1]]])
    assert measures.duplicate_token(weights, [7, 8, 7]).item() == pytest.approx((0.5 + 0.7) / 2)
    assert measures.induction(weights, [7, 8, 7]).item() == pytest.approx(0.2)


@given(st.integers(2, 12), st.integers(2, 4))
@settings(max_examples=15, deadline=None)
def test_perfect_heads_score_one(period: int, repeats: int) -> None:
    n = period * repeats
    ids = list(range(period)) * repeats
    at = torch.arange(n)

    def looks_at(key: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(key.clamp(min=0), n).float()[None]

    assert measures.previous_token(looks_at(at - 1)).item() == 1.0
    assert measures.first_token(looks_at(at * 0)).item() == 1.0
    assert measures.same_token(looks_at(at)).item() == 1.0
    assert measures.mean_distance(looks_at(at)).item() == 0.0
    assert measures.duplicate_token(looks_at(at - period), ids).item() == 1.0
    inductive = looks_at(at - period + 1)
    assert measures.induction_score(inductive, period).item() == 1.0
    assert measures.induction(inductive, ids).item() == 1.0


@given(st.integers(2, 20), st.booleans())
@settings(max_examples=15, deadline=None)
def test_uniform_baseline(n: int, causal: bool) -> None:
    weights = measures.uniform_weights(n, causal)
    assert torch.allclose(weights.sum(-1), torch.ones(1, n))
    assert measures.is_causal(weights) == causal
    expected = sum(1 / (q + 1) for q in range(1, n)) / (n - 1) if causal else 1 / n
    for one in (measures.previous_token, measures.first_token, measures.same_token):
        assert one(weights).item() == pytest.approx(expected, abs=1e-6)
    expected = sum(math.log(q + 1) for q in range(n)) / n if causal else math.log(n)
    assert measures.mean_entropy(weights).item() == pytest.approx(expected, abs=1e-5)


def test_wrong_shape_says_so() -> None:
    with pytest.raises(ValueError, match="not"):
        measures.measure(WEIGHTS, [1, 2])
