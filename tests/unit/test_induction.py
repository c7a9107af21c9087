"""The induction toy: its text, its forward pass against PyTorch's own, and that two layers find what one cannot."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from models.induction import InductionConfig, build, copy_loss, repeated, train_live, unknowing_loss

SMALL = InductionConfig(d_model=32, n_head=2, n_vocab=20, n_token=16, shortest=3, longest=8, batch=8)


def test_text_repeats_and_no_token_comes_twice_in_a_round() -> None:
    ids, periods = repeated(SMALL, torch.Generator().manual_seed(0))
    assert ids.shape == (8, 16)
    assert len(set(periods.tolist())) > 1
    for row, period in zip(ids.tolist(), periods.tolist(), strict=True):
        assert row[period:] == row[:-period]
        assert len(set(row[:period])) == period


def test_forward_equals_pytorchs_attention() -> None:
    model = build(SMALL, seed=3)
    ids, _ = repeated(SMALL, torch.Generator().manual_seed(1))
    x = model.token(ids)
    for qk, v, out in zip(model.qk, model.v, model.out, strict=True):
        parts = (*qk(x + model.position).chunk(2, -1), v(x))
        q, k, values = (part.unflatten(-1, (2, 16)).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(q, k, values, is_causal=True)
        x = x + out(mixed.transpose(1, 2).flatten(2))
    torch.testing.assert_close(model(ids)[0], model.unembed(x))


def test_loss_counts_only_what_can_be_known() -> None:
    ids, periods = repeated(SMALL, torch.Generator().manual_seed(2))
    certain = F.one_hot(ids.roll(-1, dims=1), 20).float() * 100
    assert copy_loss(certain, ids, periods).item() == pytest.approx(0, abs=1e-6)
    first_round = torch.arange(16) < periods[:, None]
    spoiled = certain.clone()
    spoiled[:, :-1][first_round[:, 1:]] = 0  # predictions of the first round cost nothing
    assert copy_loss(spoiled, ids, periods).item() == pytest.approx(0, abs=1e-6)
    assert copy_loss(torch.zeros_like(certain), ids, periods).item() == pytest.approx(unknowing_loss(SMALL))


def test_the_film_is_the_seeds_and_shows_learning() -> None:
    config = replace(SMALL, steps=40, every=20)
    film, again = list(train_live(config, 0)), list(train_live(config, 0))
    assert [one.step for one in film] == [0, 20, 40]
    assert [one.loss for one in film] == [one.loss for one in again]
    assert film[-1].loss < film[0].loss
    assert [one.loss for one in film] != [one.loss for one in train_live(config, 1)]
    shown = film[-1].attention
    assert len(shown) == 2
    assert shown[1].weights.shape == (2, 16, 16)
    assert torch.allclose(shown[1].weights.sum(-1), torch.ones(2, 16))
    assert not shown[1].weights.requires_grad


def test_two_layers_find_what_one_cannot() -> None:
    config = InductionConfig(steps=250, every=250)
    *_, two = train_live(config, 0)
    *_, one = train_live(replace(config, n_layer=1), 0)
    score, layer, _ = two.best
    assert layer == 1
    assert score > 0.5
    assert two.loss < 0.35 * unknowing_loss(config)
    assert one.best[0] < 0.15
    assert one.loss > 0.5 * unknowing_loss(config)
    assert math.isclose(unknowing_loss(config), math.log(64))


@pytest.mark.parametrize("bad", [{"n_layer": 0}, {"d_model": 100, "n_head": 8}, {"longest": 40}, {"n_vocab": 10}])
def test_bad_sizes_say_so(bad: dict) -> None:
    with pytest.raises(ValueError, match=r"must|fit|needs"):
        InductionConfig(**bad)
