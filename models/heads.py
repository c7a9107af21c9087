"""All heads of a model on one sentence: their measures, what each mostly does, and how far it is from chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models import measures
from models.trace import ModelTrace

# Share of attention on ...; the distance and the entropy are no shares and never name a head.
SHARES = ("previous_token", "next_token", "first_token", "same_token", "duplicate_token", "induction")


@dataclass(frozen=True)
class HeadTable:
    """Every measure of every head, each [layer, head]; ``alike`` holds what looking everywhere alike would give.

    NaN where the sentence gives a measure nothing to speak of.
    """

    previous_token: Tensor
    next_token: Tensor  # mean weight on the token just after; 0 for every head of a causal model
    first_token: Tensor
    same_token: Tensor
    duplicate_token: Tensor
    induction: Tensor
    distance: Tensor  # tokens
    entropy: Tensor  # nats
    alike: dict[str, float]
    repeats: int  # tokens of the sentence that stood in it before

    def of(self, layer: int, head: int) -> dict[str, float]:
        """One head's measures."""
        return {name: float(getattr(self, name)[layer, head]) for name in (*SHARES, "distance", "entropy")}


def measure_heads(trace: ModelTrace, causal: bool) -> HeadTable:
    """Every measure of every head of a trace whose weights are square (self-attention)."""
    ids = trace.encoding.ids
    by_layer = [_measure(layer.attention.weights, ids) for layer in trace.layers]
    columns = {name: torch.stack([one[name] for one in by_layer]) for name in by_layer[0]}
    chance = _measure(measures.uniform_weights(len(ids), causal), ids)
    alike = {name: float(value) for name, value in chance.items()}
    return HeadTable(**columns, alike=alike, repeats=len(ids) - len(set(ids)))


def _measure(weights: Tensor, ids: Sequence[int]) -> dict[str, Tensor]:
    known = vars(measures.measure(weights, ids))
    return {**known, "next_token": weights.diagonal(offset=1, dim1=-2, dim2=-1).mean(-1)}


def order(values: Tensor) -> list[int]:
    """The flat places of values [layer, head] from the largest down; NaN last, ties in reading order."""
    return values.nan_to_num(-torch.inf).flatten().sort(descending=True, stable=True).indices.tolist()


def main_job(table: HeadTable, layer: int, head: int, least: float = 0.3) -> str | None:
    """The share that stands out most in a head: at least ``least`` of its weight and twice what chance gives.

    None for a head whose weight is spread, or lies on something that has no name here. Fewer than three repeated
    tokens are too few to call a head after what it does with them.
    """
    own = table.of(layer, head)
    names = SHARES if table.repeats >= 3 else SHARES[:4]
    standing_out = [name for name in names if own[name] >= max(least, 2 * table.alike[name])]
    return max(standing_out, key=own.__getitem__, default=None)


def most_read(weights: Tensor) -> tuple[int, float]:
    """The key of weights [query, key] that the other tokens look at most, and their mean weight on it."""
    n = weights.shape[-1]
    if n == 1:
        return 0, float(weights[0, 0])
    others = ~torch.eye(n, dtype=torch.bool, device=weights.device)
    received = (weights * others).sum(0) / (n - 1)
    best = int(received.argmax())
    return best, float(received[best])


def telling_link(weights: Tensor, special: Sequence[bool]) -> tuple[int, int]:
    """The strongest (query, key) at least two places apart between words: a link that position alone does not explain.

    Falls back to the largest weight of all where the sentence is too short for one.
    """
    at = torch.arange(weights.shape[-1], device=weights.device)
    apart = torch.tensor(list(special), device=weights.device)
    wanted = ((at[:, None] - at[None, :]).abs() >= 2) & ~apart[:, None] & ~apart[None, :]
    best = int(torch.where(wanted, weights, -1.0).argmax()) if bool(wanted.any()) else int(weights.argmax())
    return divmod(best, weights.shape[-1])


def telling_head(trace: ModelTrace, special: Sequence[bool]) -> tuple[int, int]:
    """(layer, head) of the strongest ``telling_link`` of a whole model."""
    best, found = -1.0, (0, 0)
    for index, layer in enumerate(trace.layers):
        for head, weights in enumerate(layer.attention.weights):
            value = float(weights[telling_link(weights, special)])
            if value > best:
                best, found = value, (index, head)
    return found
