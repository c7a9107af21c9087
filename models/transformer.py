"""The small GPT: embeddings + positions, N pre-norm blocks of causal attention and feed-forward, a tied output head.

Radford et al. 2019 (GPT-2): x ← x + Attention(Norm(x)); x ← x + FFN(Norm(x)); logits = Norm(x) Eᵀ.
``GPT.forward`` is the plain fast path that trains; ``trace_gpt`` walks the same weights with every stage kept.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.multihead import MultiHeadWeights, multi_head
from models.positional import sinusoidal
from models.trace import Encoding, Head, LayerTrace, ModelTrace


@dataclass(frozen=True)
class GPTConfig:
    n_vocab: int = 4096
    n_context: int = 128
    n_layer: int = 4
    n_head: int = 8
    d_model: int = 256
    d_ff: int = 1024

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 1:
            raise ValueError(f"every size must be at least 1: {self}")
        if self.d_model % self.n_head:
            raise ValueError(f"{self.n_head} heads do not divide d_model = {self.d_model}")


LayerCache = tuple[Tensor, Tensor]  # keys and values so far, each [batch, head, token, d_head]


class Attention(nn.Module):
    """Causal multi-head self-attention by PyTorch's fused kernel."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.qkv = nn.Linear(config.d_model, 3 * config.d_model)
        self.out = nn.Linear(config.d_model, config.d_model)

    def forward(self, x: Tensor, past: LayerCache | None = None) -> tuple[Tensor, LayerCache]:
        """x [batch, token, d_model] -> what attention adds, and the keys and values including ``past``."""
        q, k, v = (part.unflatten(-1, (self.n_head, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        if past is None:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
            # New query i stands at position n_key - n_query + i: it sees everything up to itself.
            seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=x.device)
            mixed = F.scaled_dot_product_attention(q, k, v, seen.tril(k.shape[2] - q.shape[2]))
        return self.out(mixed.transpose(1, 2).flatten(2)), (k, v)


class Block(nn.Module):
    """One pre-norm layer: attention and feed-forward, each added to the residual stream."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.norm_attn = nn.LayerNorm(config.d_model)
        self.attn = Attention(config)
        self.norm_ffn = nn.LayerNorm(config.d_model)
        self.ffn_in = nn.Linear(config.d_model, config.d_ff)
        self.ffn_out = nn.Linear(config.d_ff, config.d_model)

    def ffn(self, x: Tensor) -> Tensor:
        """What the feed-forward part adds to x [..., d_model]: position by position, GELU between two linears."""
        return self.ffn_out(F.gelu(self.ffn_in(self.norm_ffn(x))))

    def forward(self, x: Tensor, past: LayerCache | None = None) -> tuple[Tensor, LayerCache]:
        added, cache = self.attn(self.norm_attn(x), past)
        x = x + added
        return x + self.ffn(x), cache


class GPT(nn.Module):
    """The language model; the output head is the token embedding itself (Press & Wolf 2017)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.n_vocab, config.d_model)
        self.position = nn.Embedding(config.n_context, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = nn.LayerNorm(config.d_model)

    @property
    def layers(self) -> tuple[Block, ...]:
        """The blocks in order, with their type."""
        return tuple(cast(Block, block) for block in self.blocks)

    def forward(self, ids: Tensor) -> Tensor:
        """ids [batch, token] -> logits [batch, token, n_vocab]."""
        return self.read_out(self.hidden(ids))

    def hidden(self, ids: Tensor) -> Tensor:
        """ids [batch, token] -> the last residual state [batch, token, d_model], before the last norm."""
        x = self.embed(ids)
        for block in self.layers:
            x, _ = block(x)
        return x

    def embed(self, ids: Tensor, start: int = 0) -> Tensor:
        """ids [..., token], the first at position ``start`` -> [..., token, d_model].

        Raises:
            ValueError: when the tokens do not fit into the context.
        """
        stop = start + ids.shape[-1]
        if stop > self.config.n_context:
            raise ValueError(f"{stop} tokens do not fit into a context of {self.config.n_context}")
        return self.token(ids) + self.position.weight[start:stop]

    def read_out(self, hidden: Tensor) -> Tensor:
        """Residual state [..., d_model] -> logits [..., n_vocab]."""
        return F.linear(self.norm(hidden), self.token.weight)


def init_weights(model: GPT, seed: int) -> None:
    """Seeded weights, drawn on the CPU: matrices N(0, 1/fan_in), those that write into the residual stream 0, so that
    at first it carries embeddings alone; token embeddings N(0, 0.04); biases 0.

    The learned positions start as sine waves (d_model must be even) of a size that is heard beside the tokens: the tied
    head makes token embeddings grow at once, and where they drown the positions no head finds the token before it.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "attn.out.weight", "ffn_out.weight")):
                parameter.zero_()
            elif parameter.dim() == 2:
                scale = 0.04 if name == "token.weight" else parameter.shape[1] ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
        waves = sinusoidal(torch.arange(model.config.n_context), model.config.d_model, dtype=torch.float32)
        model.position.weight.copy_(waves * 0.06 * math.sqrt(2))  # root mean square 0.06: a sine's own is 1/√2


def layer_weights(model: GPT, layer: int) -> MultiHeadWeights:
    """The attention parameters of one layer, as the multi-head page reads them."""
    attn = model.layers[layer].attn
    return MultiHeadWeights(attn.qkv.weight, attn.qkv.bias, attn.out.weight, attn.out.bias, attn.n_head)


def trace_gpt(model: GPT, encoding: Encoding, heads_off: Collection[Head] = ()) -> ModelTrace:
    """One forward pass over one sentence with every stage kept; the heads in ``heads_off`` contribute zeros."""
    ids = torch.tensor(encoding.ids, dtype=torch.long, device=model.token.weight.device)
    x = model.embed(ids)
    allowed = torch.ones(len(ids), len(ids), dtype=torch.bool, device=x.device).tril()
    hidden, layers = [x], []
    for index, block in enumerate(model.layers):
        off = [head for layer, head in heads_off if layer == index]
        normed = block.norm_attn(x)
        heads = multi_head(normed, layer_weights(model, index), allowed, off)
        middle = x + heads.output
        added = block.ffn(middle)
        layers.append(LayerTrace(heads.attention, x, normed, heads.output, middle, added, middle + added))
        x = middle + added
        hidden.append(x)
    final = model.norm(x)
    return ModelTrace(encoding, tuple(layers), tuple(hidden), final, F.linear(final, model.token.weight))


Cache = tuple[LayerCache, ...]


def step(model: GPT, ids: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
    """The next tokens through the model, earlier keys and values taken from the cache instead of computed again.

    Args:
        ids: [batch, token], only the tokens that are new.
        cache: what the last call returned; None at the start. It is not changed.

    Returns:
        logits [batch, token, n_vocab] of the new tokens, and the longer cache.
    """
    x = model.embed(ids, start=cache[0][0].shape[2] if cache else 0)
    grown = []
    for index, block in enumerate(model.layers):
        x, layer = block(x, cache[index] if cache else None)
        grown.append(layer)
    return model.read_out(x), tuple(grown)
