"""What one head adds to its layer, how alike two heads are, and what is lost without one.

The heads' outputs are joined and multiplied by one matrix, so the layer's output is a plain sum over heads:
MultiHead(X) = Σ_h head_h W_O[h] + b_O (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits").
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.multihead import MultiHeadTrace, MultiHeadWeights, random_weights
from models.trace import Encoding


@dataclass(frozen=True)
class FreshLayer:
    """A layer that has learned nothing, and the tokens it reads; equal ids get equal vectors."""

    ids: tuple[int, ...]
    d_model: int
    n_head: int
    seed: int


@dataclass(frozen=True)
class TrainedLayer:
    """A layer of a trained model over a text, cut into ``n_head`` heads."""

    model: str
    encoding: Encoding
    number: int
    n_head: int


Layer = FreshLayer | TrainedLayer


def fresh_layer(config: FreshLayer) -> tuple[Tensor, MultiHeadWeights]:
    """Unit-normal token vectors [token, d_model] and seeded weights, drawn on the CPU for every device alike.

    The weights do not depend on ``n_head``: another number of heads is the same matrices, cut differently.
    """
    generator = torch.Generator().manual_seed(config.seed + 1)
    rows = {token: row for row, token in enumerate(dict.fromkeys(config.ids))}
    table = torch.randn(len(rows), config.d_model, generator=generator)
    x = table[[rows[token] for token in config.ids]]
    return x, random_weights(config.d_model, config.n_head, config.seed)


def recut(weights: MultiHeadWeights, n_head: int) -> MultiHeadWeights:
    """The same matrices cut into another number of slices. Every number of the projections stays; which products are
    summed into one score changes, and with it every attention map.

    Raises:
        ValueError: if n_head does not divide d_model.
    """
    if weights.d_model % n_head:
        raise ValueError(f"{n_head} heads do not divide d_model = {weights.d_model}")
    return replace(weights, n_head=n_head)


def contributions(trace: MultiHeadTrace, weights: MultiHeadWeights) -> Tensor:
    """What each head adds to the layer's output: [head, token, d_model]; with b_out they sum to the whole of it."""
    assert trace.attention.output is not None
    by_head = weights.w_out.unflatten(1, (weights.n_head, -1))  # [d_model, head, d_head]
    return torch.einsum("htd,mhd->htm", trace.attention.output, by_head)


def overlap(weights: Tensor) -> Tensor:
    """The share of attention that two heads put on the same cells, averaged over queries.

    Weights [head, query, key] -> [head, head]: Σ_k min(a_k, b_k), which is 1 − the total variation distance of two
    rows; 1 for equal maps, 0 for maps that never meet.
    """
    return torch.minimum(weights[:, None], weights[None]).sum(-1).mean(-1)


def relative_change(before: Tensor, after: Tensor) -> Tensor:
    """‖after − before‖ / ‖before‖ of each row: [token, d] twice -> [token]; 0 where both are zero."""
    size = before.norm(dim=-1)
    moved = (after - before).norm(dim=-1)
    return torch.where(size > 0, moved / size.clamp_min(torch.finfo(size.dtype).tiny), moved)


def next_token_change(before: Tensor, after: Tensor) -> Tensor:
    """Kullback–Leibler divergence in nats of the next-token distributions: logits [token, n_vocab] twice -> [token].

    What a reader who expects ``after`` is surprised by in excess when ``before`` is true; 0 when nothing changed.
    """
    p, q = before.log_softmax(-1), after.log_softmax(-1)
    return F.kl_div(q, p, log_target=True, reduction="none").sum(-1).clamp_min(0.0)


def by_pytorch(x: Tensor, weights: MultiHeadWeights, allowed: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The same layer by ``nn.MultiheadAttention``: output [token, d_model] and weights [head, query, key].

    Args:
        allowed: bool [query, key], True where a query may look; PyTorch's own mask says the opposite.
    """
    theirs = nn.MultiheadAttention(weights.d_model, weights.n_head, batch_first=True, device=x.device, dtype=x.dtype)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(weights.w_qkv)
        theirs.in_proj_bias.copy_(weights.b_qkv)
        theirs.out_proj.weight.copy_(weights.w_out)
        theirs.out_proj.bias.copy_(weights.b_out)
        blocked = None if allowed is None else ~allowed
        batch = x[None]
        output, attention = theirs(batch, batch, batch, attn_mask=blocked, average_attn_weights=False)
    return output[0], attention[0]
