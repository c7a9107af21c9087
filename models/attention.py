"""Scaled dot-product attention with every stage named.

Vaswani et al. 2017, "Attention Is All You Need", equation 1:

    Attention(Q, K, V) = softmax(QKᵀ / √d_k) V
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

Rule = Literal["soft", "hard"]
MaskPlace = Literal["before", "after"]


@dataclass(frozen=True)
class AttentionTrace:
    """Every stage of one attention call; a value that is never changed, so a cached one can serve every visitor.

    ``...`` is empty for one head, ``head`` for several. A stage that a foreign architecture does not expose is None;
    ``weights`` is always there.
    """

    weights: Tensor  # [..., query, key] rows sum to 1
    q: Tensor | None = None  # [..., query, d_k]
    k: Tensor | None = None  # [..., key, d_k]
    v: Tensor | None = None  # [..., key, d_v]
    scores: Tensor | None = None  # [..., query, key]  QKᵀ
    scaled: Tensor | None = None  # [..., query, key]  QKᵀ / √d_k
    masked: Tensor | None = None  # [..., query, key]  −∞ where a query may not look
    output: Tensor | None = None  # [..., query, d_v]  weights · V

    def head(self, index: int) -> "AttentionTrace":
        """The same stages for one head of a trace with a head axis."""
        return replace(self, **{name: value[index] for name, value in vars(self).items() if value is not None})


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    allowed: Tensor | None = None,
    *,
    scale: float | None = None,
    temperature: float = 1.0,
    rule: Rule = "soft",
    fill: float = -math.inf,
    mask_place: MaskPlace = "before",
) -> AttentionTrace:
    """Attention of every query over every key, all stages kept.

    Args:
        q: [..., query, d_k]; k: [..., key, d_k]; v: [..., key, d_v].
        allowed: bool [..., query, key], True where the query may look; None lets all look at all.
        scale: what QKᵀ is multiplied by; None is 1/√d_k, 1.0 turns the scaling off.
        temperature: divides the scores before the softmax; must be positive.
        rule: "soft" is the softmax; "hard" puts all weight on the largest score (the first, when several tie).
        fill: what a forbidden score becomes. −∞ is right; a finite number is the mistake one can study.
        mask_place: "before" the softmax is right; "after" zeroes the weights without renormalising (a mistake).

    A query that may look nowhere has weights 0, as in ``torch.nn.functional.scaled_dot_product_attention``.

    Raises:
        ValueError: if the temperature is not positive or Q and K differ in d_k.
    """
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"Q has d_k = {q.shape[-1]} but K has {k.shape[-1]}")
    scores = q @ k.transpose(-2, -1)
    scaled = scores * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    masked = scaled
    if allowed is not None and mask_place == "before":
        masked = scaled.masked_fill(~allowed, fill)
    weights = _choose(masked / temperature, rule)
    if allowed is not None and mask_place == "after":
        weights = weights.masked_fill(~allowed, 0.0)
    return AttentionTrace(weights, q, k, v, scores, scaled, masked, weights @ v)


def _choose(scores: Tensor, rule: Rule) -> Tensor:
    """Scores [..., query, key] to weights of the same shape; a row of −∞ alone becomes a row of zeros."""
    nowhere = (scores == -math.inf).all(-1, keepdim=True)
    if rule == "hard":
        best = scores.argmax(-1, keepdim=True)
        weights = torch.zeros_like(scores).scatter_(-1, best, 1.0)
    else:
        weights = scores.masked_fill(nowhere, 0.0).softmax(-1)
    return weights.masked_fill(nowhere, 0.0)


def entropy(weights: Tensor) -> Tensor:
    """Shannon entropy in nats of each row of weights [..., query, key] -> [..., query]; 0·log 0 counts as 0."""
    return torch.special.entr(weights).sum(-1)
