"""Multi-head attention: one projection, cut into heads, attended, joined and projected.

Vaswani et al. 2017, section 3.2.2: MultiHead(X) = Concat(head_1, ..., head_H) W_O.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models.attention import AttentionTrace, attend


@dataclass(frozen=True)
class MultiHeadWeights:
    """The parameters of one layer, in the layout of ``nn.MultiheadAttention``."""

    w_qkv: Tensor  # [3·d_model, d_model], rows of Q, then K, then V
    b_qkv: Tensor  # [3·d_model]
    w_out: Tensor  # [d_model, d_model]
    b_out: Tensor  # [d_model]
    n_head: int

    @property
    def d_model(self) -> int:
        return self.w_out.shape[0]


@dataclass(frozen=True)
class MultiHeadTrace:
    """Every shape on the way from X to the layer's output."""

    x: Tensor  # [token, d_model]
    qkv: Tensor  # [token, 3·d_model]
    heads: Tensor  # [head, token, 3·d_head]  each head's q, k and v side by side
    attention: AttentionTrace  # stages with a leading head axis
    joined: Tensor  # [token, head·d_head = d_model]
    output: Tensor  # [token, d_model]


def divisors(d_model: int) -> list[int]:
    """The numbers of heads that cut d_model into equal whole slices."""
    return [n for n in range(1, d_model + 1) if d_model % n == 0]


def split_heads(x: Tensor, n_head: int) -> Tensor:
    """[token, head·d_head] -> [head, token, d_head]: head h owns columns h·d_head to (h+1)·d_head."""
    n_token, d_model = x.shape
    if d_model % n_head:
        raise ValueError(f"{n_head} heads do not divide d_model = {d_model}")
    return x.reshape(n_token, n_head, d_model // n_head).transpose(0, 1)


def join_heads(x: Tensor) -> Tensor:
    """[head, token, d_head] -> [token, head·d_head], the inverse of ``split_heads``."""
    n_head, n_token, d_head = x.shape
    return x.transpose(0, 1).reshape(n_token, n_head * d_head)


def multi_head(
    x: Tensor, weights: MultiHeadWeights, allowed: Tensor | None = None, heads_off: Collection[int] = ()
) -> MultiHeadTrace:
    """Self-attention of x [token, d_model] with every shape kept.

    Args:
        allowed: bool [query, key] as in ``attend``.
        heads_off: heads whose output is replaced by zeros before the output projection.
    """
    qkv = F.linear(x, weights.w_qkv, weights.b_qkv)
    attention, joined = attend_in_heads(qkv, weights.n_head, allowed, heads_off)
    assert attention.q is not None
    assert attention.k is not None
    assert attention.v is not None
    output = F.linear(joined, weights.w_out, weights.b_out)
    heads = torch.cat([attention.q, attention.k, attention.v], dim=-1)
    return MultiHeadTrace(x, qkv, heads, attention, joined, output)


def attend_in_heads(
    qkv: Tensor, n_head: int, allowed: Tensor | None = None, heads_off: Collection[int] = ()
) -> tuple[AttentionTrace, Tensor]:
    """Cut, attend, join: qkv [token, 3·d_model] -> (the stages with a head axis, joined [token, d_model])."""
    q, k, v = (split_heads(part, n_head) for part in qkv.chunk(3, dim=-1))
    attention = attend(q, k, v, allowed)
    assert attention.output is not None
    kept = attention.output
    if heads_off:
        kept = kept.clone()
        kept[list(heads_off)] = 0.0
    return attention, join_heads(kept)


def random_weights(d_model: int, n_head: int, seed: int) -> MultiHeadWeights:
    """Seeded initialisation with variance 1/d_model, biases 0; drawn on the CPU so that every device has the same."""
    generator = torch.Generator().manual_seed(seed)
    std = d_model**-0.5
    return MultiHeadWeights(
        torch.randn(3 * d_model, d_model, generator=generator) * std,
        torch.zeros(3 * d_model),
        torch.randn(d_model, d_model, generator=generator) * std,
        torch.zeros(d_model),
        n_head,
    )
