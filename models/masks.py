"""Who may look at whom: causal, padding and cross-attention masks, and three ways to get a mask wrong.

Vaswani et al. 2017, section 3.2.3: "masking out (setting to −∞) all values in the input of the softmax which correspond
to illegal connections".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from models.attention import AttentionTrace, attend
from models.transformer import GPT, layer_weights

Place = Literal["before", "after", "none"]


@dataclass(frozen=True)
class MaskConfig:
    """How a causal mask is applied. The defaults are the right way; each other value is a mistake to study.

    ``shift`` is added to every real score. A softmax sees differences only, so it changes nothing, unless a finite
    ``fill`` stays where it was.
    """

    place: Place = "before"  # before the softmax, after it (without renormalising), or no mask at all
    fill: float = -math.inf  # what a forbidden score becomes
    shift: float = 0.0

    def __post_init__(self) -> None:
        if math.isnan(self.fill) or not math.isfinite(self.shift):
            raise ValueError(f"fill must be a number and shift finite, not {self.fill} and {self.shift}")


def causal(n_query: int, n_key: int | None = None) -> Tensor:
    """Bool [query, key], True where a query may look: at itself and before. With more keys than queries the queries
    are the last ones, as in cached decoding."""
    n_key = n_query if n_key is None else n_key
    return torch.ones(n_query, n_key, dtype=torch.bool).tril(n_key - n_query)


def padding(lengths: Sequence[int], n_key: int | None = None) -> Tensor:
    """Bool [batch, 1, key], True on real tokens: sentences of these lengths padded at the end to ``n_key``.

    It broadcasts over queries: an encoder's own tokens (a square) or a decoder's (cross-attention's rectangle).
    """
    n_key = max(lengths) if n_key is None else n_key
    return (torch.arange(n_key) < torch.tensor(lengths)[:, None])[:, None, :]


def mask_with(config: MaskConfig, q: Tensor, k: Tensor, v: Tensor, allowed: Tensor) -> AttentionTrace:
    """Attention of q, k, v [..., token, d] under ``allowed`` [query, key], masked as the config says."""
    scale = q.shape[-1] ** -0.5
    if config.shift:  # one more dimension, 1 in every query and the same number in every key, lifts all scores alike
        q = torch.cat([q, q.new_ones(*q.shape[:-1], 1)], dim=-1)
        k = torch.cat([k, k.new_full((*k.shape[:-1], 1), config.shift / scale)], dim=-1)
    if config.place == "none":
        return attend(q, k, v, scale=scale)
    return attend(q, k, v, allowed, scale=scale, fill=config.fill, mask_place=config.place)


def plain(config: MaskConfig, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, str]:
    """The same causal attention by PyTorch's own functions, and which ones: what ``mask_with`` is proved against."""
    if config.place == "none":
        return F.scaled_dot_product_attention(q, k, v), "torch.nn.functional.scaled_dot_product_attention"
    if config.place == "before" and config.fill == -math.inf:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True), "scaled_dot_product_attention(is_causal=True)"
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if config.place == "after":
        return scores.softmax(-1).tril() @ v, "torch.softmax(…).tril() @ v"
    allowed = causal(q.shape[-2]).to(q.device)
    return torch.where(allowed, scores + config.shift, config.fill).softmax(-1) @ v, "torch.where(…).softmax(-1) @ v"


def future_weight(weights: Tensor) -> Tensor:
    """Weights [..., query, key] -> [..., query]: how much of each row lies on later tokens."""
    return weights.triu(1).sum(-1)


@torch.no_grad()
def masked_gpt(model: GPT, ids: Sequence[int], config: MaskConfig) -> Tensor:
    """Logits [token, n_vocab] of the whole model with its mask applied as the config says, in every head.

    The default config is the model as it was trained.
    """
    x = model.embed(torch.tensor(list(ids), dtype=torch.long, device=model.token.weight.device))
    allowed = causal(len(ids)).to(x.device)
    for index, block in enumerate(model.layers):
        weights = layer_weights(model, index)
        qkv = F.linear(block.norm_attn(x), weights.w_qkv, weights.b_qkv)
        q, k, v = (part.unflatten(-1, (weights.n_head, -1)).transpose(0, 1) for part in qkv.chunk(3, dim=-1))
        heads = mask_with(config, q, k, v, allowed).output
        assert heads is not None
        x = x + F.linear(heads.transpose(0, 1).flatten(1), weights.w_out, weights.b_out)
        x = x + block.ffn(x)
    return model.read_out(x)
