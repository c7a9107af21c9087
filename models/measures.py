"""What a head does, in numbers: where the rows of its attention put their weight.

Every measure takes weights [head, query, key] (rows sum to 1) and gives one number a head [head]. The share that a head
would show if it looked everywhere alike is the same measure of ``uniform_weights``: compare with it before believing.

Previous token, first token: Voita et al. 2019, Clark et al. 2019; the first token as a sink: Xiao et al. 2023;
induction: Olsson et al. 2022.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models import attention


@dataclass(frozen=True)
class HeadMeasures:
    """All measures of the heads of one layer on one sentence, each [head].

    NaN says that the sentence has no query the measure could speak of.
    """

    previous_token: Tensor  # mean weight on the token just before
    first_token: Tensor  # mean weight on the first token (the sink)
    same_token: Tensor  # mean weight of a token on itself
    duplicate_token: Tensor  # mean weight on other places where the same token stands
    induction: Tensor  # mean weight on what followed the token's earlier occurrences
    distance: Tensor  # mean number of tokens between query and key
    entropy: Tensor  # mean entropy of a row, nats


def measure(weights: Tensor, ids: Sequence[int]) -> HeadMeasures:
    """Every measure of weights [head, query, key] over the tokens ``ids``.

    Raises:
        ValueError: when the weights are not [head, token, token] for these ids.
    """
    if weights.dim() != 3 or weights.shape[1:] != (len(ids), len(ids)):
        raise ValueError(f"weights {tuple(weights.shape)} are not [head, {len(ids)}, {len(ids)}]")
    return HeadMeasures(
        previous_token(weights),
        first_token(weights),
        same_token(weights),
        duplicate_token(weights, ids),
        induction(weights, ids),
        mean_distance(weights),
        mean_entropy(weights),
    )


def uniform_weights(n_token: int, causal: bool) -> Tensor:
    """The head that looks everywhere alike, [1, token, token]: the baseline of every measure."""
    allowed = torch.ones(n_token, n_token)
    allowed = allowed.tril() if causal else allowed
    return (allowed / allowed.sum(-1, keepdim=True))[None]


def previous_token(weights: Tensor) -> Tensor:
    """Mean weight of tokens 1, 2, ... on the token before them."""
    return weights.diagonal(offset=-1, dim1=-2, dim2=-1).mean(-1)


def first_token(weights: Tensor) -> Tensor:
    """Mean weight of tokens 1, 2, ... on token 0; token 0 itself is left out, a causal one has no choice."""
    return weights[..., 1:, 0].mean(-1)


def same_token(weights: Tensor) -> Tensor:
    """Mean weight of tokens 1, 2, ... on themselves; token 0 is left out, a causal one has no choice."""
    return weights.diagonal(dim1=-2, dim2=-1)[..., 1:].mean(-1)


def duplicate_token(weights: Tensor, ids: Sequence[int]) -> Tensor:
    """Mean weight of each token that stands elsewhere too (earlier, in a causal model) on those other places."""
    row = torch.tensor(ids, device=weights.device)
    other = (row[:, None] == row[None, :]) & ~torch.eye(len(ids), dtype=torch.bool, device=weights.device)
    return _mean_on(weights, other.tril() if is_causal(weights) else other)


def induction(weights: Tensor, ids: Sequence[int]) -> Tensor:
    """Mean weight of each repeated token on the tokens that followed its earlier occurrences ("A B ... A" → B)."""
    row = torch.tensor(ids, device=weights.device)
    earlier = (row[:, None] == row[None, :]).tril(-1)
    followed = torch.zeros_like(earlier)
    followed[:, 1:] = earlier[:, :-1]  # key k follows an earlier occurrence at k − 1
    return _mean_on(weights, followed.tril(-1))


def induction_score(weights: Tensor, period: int) -> Tensor:
    """Mean weight on the token after the earlier occurrence, in a sequence that repeats itself every ``period``.

    Weights [..., query, key] -> [...]; the queries of the first period are left out.
    """
    return weights.diagonal(offset=1 - period, dim1=-2, dim2=-1)[..., 1:].mean(-1)


def mean_distance(weights: Tensor) -> Tensor:
    """Mean over queries of Σ_k weight · |query − key|, in tokens."""
    at = torch.arange(weights.shape[-1], device=weights.device)
    return (weights * (at[:, None] - at[None, :]).abs()).sum(-1).mean(-1)


def mean_entropy(weights: Tensor) -> Tensor:
    """Mean entropy of a row in nats; 0 looks at one token, log(n) at n alike."""
    return attention.entropy(weights).mean(-1)


def is_causal(weights: Tensor) -> bool:
    """Whether no weight lies on a later token."""
    return not weights.triu(1).any()


def _mean_on(weights: Tensor, wanted: Tensor) -> Tensor:
    """Total weight of a query on its wanted keys [query, key], averaged over the queries that want any."""
    asking = wanted.any(-1)
    return (weights * wanted).sum(-1)[..., asking].mean(-1)
