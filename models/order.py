"""Does a trained encoder notice the order of the words? The same weights with and without positions.

Without positions self-attention is blind to order: a permutation of its inputs permutes its outputs and changes
nothing else (Vaswani et al. 2017, section 3.5, is the reason to add positions at all).
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from models.attention import attend
from models.bert import BertLayer, BertWeights, encoder_layer
from models.multihead import join_heads, split_heads
from models.positional import sinusoidal
from models.rotary import rotate

Scheme = Literal["none", "learned", "sinusoidal", "rotary"]


@dataclass(frozen=True)
class OrderConfig:
    """How the encoder learns of the order, and after how many of its layers we look."""

    scheme: Scheme = "learned"
    depth: int = 1
    base: float = 10000.0


@dataclass(frozen=True)
class OrderTrace:
    """Two texts through the same weights, the tokens they share side by side.

    ``pairs`` are (place in the first text, place in the second): the n-th time a token occurs in one text meets the
    n-th time it occurs in the other.
    """

    pairs: tuple[tuple[int, int], ...]
    first: Tensor  # [pair, d_model] outputs for the first text
    second: Tensor  # [pair, d_model] outputs of the same tokens in the second text
    gap: Tensor  # [pair] the largest difference in any feature
    cosine: float  # of the two texts' mean outputs


def matched(first: Sequence[int], second: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Places of the same tokens in two texts, each place used once, in the order of the first text."""
    places: dict[int, list[int]] = defaultdict(list)
    for place in reversed(range(len(second))):
        places[second[place]].append(place)
    return tuple((place, places[token].pop()) for place, token in enumerate(first) if places[token])


def run_encoder(weights: BertWeights, ids: Sequence[int], config: OrderConfig) -> Tensor:
    """Hidden states [token, d_model] after ``depth`` layers, with the positions that the config names.

    Sinusoidal rows are scaled to the mean length of the learned rows they replace, so that they weigh as much beside
    the words. Rotary adds nothing and turns each head's q and k instead.

    Raises:
        ValueError: if there are more tokens than learned positions, or the depth or scheme does not exist.
    """
    n = len(ids)
    if n > len(weights.positions) or not 1 <= config.depth <= len(weights.layers):
        raise ValueError(f"{n} tokens and {config.depth} layers do not fit this encoder")
    words = weights.words.rows(torch.tensor(ids, device=weights.positions.device))
    summed = words + weights.segment + _added(weights, n, config)
    x = F.layer_norm(summed, summed.shape[-1:], *weights.embedding_norm, weights.eps)
    for layer in weights.layers[: config.depth]:
        if config.scheme == "rotary":
            x = _rotary_layer(x, layer, weights.eps, config.base)
        else:
            out = encoder_layer(x, layer, weights.eps).residual_out
            assert out is not None
            x = out
    return x


def _added(weights: BertWeights, n: int, config: OrderConfig) -> Tensor:
    """What is added to the words, [token, d_model]."""
    learned = weights.positions
    if config.scheme == "learned":
        return learned[:n]
    if config.scheme == "sinusoidal":
        waves = sinusoidal(torch.arange(n), learned.shape[1], config.base, torch.float32).to(learned.device)
        return waves * learned.norm(dim=-1).mean() / math.sqrt(learned.shape[1] / 2)
    if config.scheme in ("none", "rotary"):
        return torch.zeros_like(learned[:n])
    raise ValueError(f"unknown scheme {config.scheme!r}")


def _rotary_layer(x: Tensor, layer: BertLayer, eps: float, base: float) -> Tensor:
    """One post-norm layer over x [token, d_model] whose queries and keys are turned by their positions."""
    weights = layer.attention
    qkv = F.linear(x, weights.w_qkv, weights.b_qkv)
    q, k, v = (split_heads(part, weights.n_head) for part in qkv.chunk(3, dim=-1))
    places = torch.arange(len(x), device=x.device)
    mixed = attend(rotate(q, places, base).rotated, rotate(k, places, base).rotated, v).output
    assert mixed is not None
    attended = x + F.linear(join_heads(mixed), weights.w_out, weights.b_out)
    middle = F.layer_norm(attended, x.shape[-1:], *layer.attention_norm, eps)
    out = middle + F.linear(F.gelu(F.linear(middle, layer.w_up, layer.b_up)), layer.w_down, layer.b_down)
    return F.layer_norm(out, x.shape[-1:], *layer.ffn_norm, eps)


@torch.no_grad()
def compare(weights: BertWeights, first: Sequence[int], second: Sequence[int], config: OrderConfig) -> OrderTrace:
    """Both texts through the same weights; their shared tokens' outputs, and how far these lie apart."""
    here, there = (run_encoder(weights, ids, config) for ids in (first, second))
    pairs = matched(first, second)
    ours, theirs = here[[a for a, _ in pairs]], there[[b for _, b in pairs]]
    cosine = F.cosine_similarity(here.double().mean(0), there.double().mean(0), dim=0)
    return OrderTrace(pairs, ours, theirs, (ours - theirs).abs().amax(-1), cosine.item())


def reorder(ids: Sequence[int], seed: int, keep_ends: bool = True) -> tuple[int, ...]:
    """The same tokens in a seeded order; ``keep_ends`` leaves the first and the last (the marks around a text)."""
    start, stop = (1, len(ids) - 1) if keep_ends else (0, len(ids))
    order = torch.randperm(max(0, stop - start), generator=torch.Generator().manual_seed(seed))
    return (*ids[:start], *(ids[start + int(at)] for at in order), *ids[stop:])
