"""The leak detector: change one token and see which outputs move. What moves knows about the change."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.attention import AttentionTrace
from models.masks import MaskConfig, causal, mask_with, masked_gpt
from models.transformer import GPT


def head_leak(config: MaskConfig, head: AttentionTrace, other: AttentionTrace, place: int) -> Tensor:
    """How far each output of one head moves when token ``place`` is exchanged: [query].

    Args:
        head: the head's q, k and v [token, d] on the text; other: the same on the text with the exchanged token, of
            which only row ``place`` is taken, so that the head alone is asked and not the layers below it.
    """
    allowed = causal(head.weights.shape[-1]).to(head.weights.device)
    assert head.q is not None
    assert head.k is not None
    assert head.v is not None
    assert other.q is not None
    assert other.k is not None
    assert other.v is not None
    q, k, v = (_with_row(*pair, place) for pair in ((head.q, other.q), (head.k, other.k), (head.v, other.v)))
    one = mask_with(config, head.q, head.k, head.v, allowed).output
    two = mask_with(config, q, k, v, allowed).output
    assert one is not None
    assert two is not None
    return (two - one).norm(dim=-1)


def _with_row(mine: Tensor, theirs: Tensor, place: int) -> Tensor:
    changed = mine.clone()
    changed[place] = theirs[place]
    return changed


def exchange(ids: Sequence[int], place: int, token: int) -> tuple[int, ...]:
    """The ids with another token at one place; one that stands there already gives way to its neighbour id."""
    other = token if ids[place] != token else token - 1 if token else 1
    return (*ids[:place], other, *ids[place + 1 :])


def gpt_leak(model: GPT, ids: Sequence[int], token: int, config: MaskConfig) -> Tensor:
    """How far the logits after each token move when each token in turn is exchanged: [changed, output], max |Δ|.

    Each text runs alone and in the same shape, so that equal arithmetic gives equal bits: a 0 here is exactly 0.
    """
    usual = masked_gpt(model, ids, config)
    rows = [
        (masked_gpt(model, exchange(ids, place, token), config) - usual).abs().amax(-1) for place in range(len(ids))
    ]
    return torch.stack(rows)


@dataclass(frozen=True)
class FillReport:
    """What one stand-in for −∞ does to the scores of a head."""

    fill: float
    leak: float  # the largest share that a row gives to later tokens
    half: float | None  # the same in half precision; None where PyTorch refuses the number
    refusal: str  # PyTorch's own words then
    blocked: float  # the share that a row which may look nowhere gives to each key; NaN where the softmax breaks


def fill_report(scaled: Tensor, fill: float) -> FillReport:
    """Fill the future of scaled scores [query, key] with ``fill`` and see what the softmax makes of it."""
    later = ~causal(scaled.shape[-1]).to(scaled.device)

    def leak(scores: Tensor) -> float:
        return float(scores.masked_fill(later, fill).softmax(-1).masked_fill(~later, 0).float().sum(-1).max())

    blocked = float(torch.full_like(scaled[0], fill).softmax(-1)[0])
    try:
        return FillReport(fill, leak(scaled), leak(scaled.half()), "", blocked)
    except RuntimeError as error:
        return FillReport(fill, leak(scaled), None, str(error), blocked)
