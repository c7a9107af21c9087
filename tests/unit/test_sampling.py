"""Sampling stages against transformers' logits warpers, and their laws."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from models.sampling import (
    SamplingConfig,
    draw,
    generate,
    sampling_stages,
    surprise,
    uniform_number,
)

LOGITS = st.tuples(st.integers(2, 60), st.integers(0, 10_000)).map(
    lambda pair: torch.randn(pair[0], generator=torch.Generator().manual_seed(pair[1])) * 4
)


@given(LOGITS, st.floats(0.05, 5), st.integers(1, 70), st.floats(0.01, 0.99))
@settings(max_examples=60, deadline=None)
def test_equals_transformers(logits: torch.Tensor, temperature: float, k: int, p: float) -> None:
    got = sampling_stages(logits, SamplingConfig(temperature, k, p))
    ids = torch.zeros(1, 1, dtype=torch.long)
    tempered = TemperatureLogitsWarper(temperature)(ids, logits[None])
    kept = TopKLogitsWarper(k)(ids, tempered)
    nucleus = TopPLogitsWarper(p)(ids, kept)
    assert torch.equal(got.tempered, tempered[0])
    assert torch.equal(got.top_k, kept[0])
    assert torch.equal(got.top_p, nucleus[0])
    assert torch.equal(got.probabilities, nucleus.softmax(-1)[0])


@given(LOGITS)
@settings(max_examples=20, deadline=None)
def test_every_narrow_setting_is_greedy(logits: torch.Tensor) -> None:
    best = int(logits.argmax())
    for config in (
        SamplingConfig(temperature=0),
        SamplingConfig(temperature=1e-300),
        SamplingConfig(top_k=1),
        SamplingConfig(top_p=0),
    ):
        probabilities = sampling_stages(logits, config).probabilities
        assert probabilities[best] == 1
        assert probabilities.sum() == 1


def test_nucleus_by_hand() -> None:
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    got = sampling_stages(logits, SamplingConfig(top_p=0.75))
    assert torch.allclose(got.probabilities, torch.tensor([0.625, 0.375, 0.0, 0.0]))
    halved = sampling_stages(logits, SamplingConfig(temperature=0.5)).probabilities
    squares = torch.tensor([0.25, 0.09, 0.0225, 0.0025])
    assert torch.allclose(halved, squares / squares.sum())


def test_a_batch_of_rows_is_each_row_alone() -> None:
    logits = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    config = SamplingConfig(0.8, 7, 0.6)
    together = sampling_stages(logits, config).probabilities
    for row, whole in zip(logits, together, strict=True):
        assert torch.allclose(sampling_stages(row, config).probabilities, whole)


def test_draw_falls_where_the_number_does() -> None:
    probabilities = torch.tensor([0.0, 0.25, 0.0, 0.75, 0.0])
    assert [draw(probabilities, u) for u in (0.0, 0.2499, 0.25, 0.999999999)] == [1, 1, 3, 3]


def test_draws_follow_the_distribution() -> None:
    probabilities = torch.tensor([0.1, 0.6, 0.3])
    numbers = torch.rand(4000, generator=torch.Generator().manual_seed(1), dtype=torch.float64).tolist()
    counts = torch.bincount(torch.tensor([draw(probabilities, u) for u in numbers]), minlength=3) / 4000
    assert torch.allclose(counts, probabilities, atol=0.03)


def test_a_run_equals_its_tokens_one_at_a_time() -> None:
    table = torch.randn(9, 9, generator=torch.Generator().manual_seed(2))
    config = SamplingConfig(temperature=1.3, seed=5)
    run = [drawn.token for drawn in generate(lambda ids: table[ids[-1]], [4], config, 12)]
    row = [4]
    for position in range(12):
        row.append(draw(sampling_stages(table[row[-1]], config).probabilities, uniform_number(5, position)))
    assert run == row[1:]
    assert run != [d.token for d in generate(lambda ids: table[ids[-1]], [4], SamplingConfig(1.3, seed=6), 12)]


def test_surprise_is_cross_entropy() -> None:
    logits = torch.randn(6, 11, generator=torch.Generator().manual_seed(3))
    ids = [3, 1, 4, 1, 5, 9]
    expected = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none")
    assert torch.allclose(surprise(logits, ids), expected)
    assert surprise(torch.zeros(2, 8), [0, 5]).item() == pytest.approx(math.log(8))
    assert surprise(logits[:1], [3]).shape == (0,)


@pytest.mark.parametrize("bad", [{"temperature": -1}, {"temperature": math.nan}, {"top_k": -1}, {"top_p": 1.1}])
def test_bad_settings_say_so(bad: dict) -> None:
    with pytest.raises(ValueError, match="must"):
        SamplingConfig(**bad)
