"""One head on one sentence: which Q, K and V it has, and how it is told to attend."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.attention import AttentionTrace, Rule, attend


@dataclass(frozen=True)
class AttentionConfig:
    """How one head attends; with the head's Q, K and V it is the whole experiment."""

    scaling: bool = True
    rule: Rule = "soft"
    temperature: float = 1.0


def attend_with(config: AttentionConfig, head: AttentionTrace, allowed: Tensor | None = None) -> AttentionTrace:
    """Attend again with the Q, K, V of one traced head [token, d] under this config."""
    assert head.q is not None
    assert head.k is not None
    assert head.v is not None
    scale = None if config.scaling else 1.0
    return attend(head.q, head.k, head.v, allowed, scale=scale, temperature=config.temperature, rule=config.rule)


def fresh_head(ids: tuple[int, ...], d_k: int, seed: int, d_model: int = 64) -> AttentionTrace:
    """A head that has learned nothing: unit-normal token vectors through W_Q, W_K, W_V with variance 1/d_model.

    Equal ids get equal vectors. Drawn on the CPU, so that a seed is the same picture on every device.
    """
    generator = torch.Generator().manual_seed(seed)
    vocabulary = {token: row for row, token in enumerate(dict.fromkeys(ids))}
    table = torch.randn(len(vocabulary), d_model, generator=generator)
    x = table[[vocabulary[token] for token in ids]]
    w_q, w_k, w_v = (torch.randn(d_model, d_k, generator=generator) * d_model**-0.5 for _ in range(3))
    return attend(x @ w_q, x @ w_k, x @ w_v)


def format_of(head: AttentionTrace, allowed: Tensor | None = None) -> torch.dtype | None:
    """The float format in which ``attend`` makes this head's weights from its Q, K and V again.

    A foreign model may run in half precision, and its weights are then rounded as its own arithmetic rounds. None where
    the weights come from more than Q and K, or these are not known.
    """
    if head.q is None or head.k is None or head.v is None:
        return None
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        again = attend(head.q.to(dtype), head.k.to(dtype), head.v.to(dtype), allowed).weights.float()
        if float((again - head.weights).abs().max()) <= 1e-6:
            return dtype
    return None


def strongest_link(weights: Tensor, special: tuple[bool, ...]) -> tuple[int, int]:
    """The (query, key) worth opening first: the largest of weights [query, key] that neither keeps a token on itself
    nor touches a ``special`` token; (0, 0) where there is no such cell."""
    apart = torch.tensor(special, device=weights.device)
    unwanted = apart[:, None] | apart | torch.eye(len(special), dtype=torch.bool, device=weights.device)
    best = int(weights.masked_fill(unwanted, -1.0).argmax())
    return divmod(best, len(special)) if not bool(unwanted.all()) else (0, 0)
