"""Why the scores are divided by √d_k: what the width of a head does to a dot product and to the softmax behind it.

Vaswani et al. 2017, footnote 4: for independent components of mean 0 and variance 1, q·k has variance d_k.
"""

from dataclasses import dataclass

import torch

from models.attention import entropy

WIDTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class WidthConfig:
    """``n_query`` rows of ``n_key`` scores for every width, from unit-normal q and k."""

    n_key: int = 16
    n_query: int = 200
    seed: int = 0
    widths: tuple[int, ...] = WIDTHS


@dataclass(frozen=True)
class WidthTrace:
    """Means over the queries, one value a width."""

    widths: tuple[int, ...]
    scaling: bool
    variance: tuple[float, ...]  # of the scores
    entropy: tuple[float, ...]  # of the weights, nats
    largest: tuple[float, ...]  # weight of a row
    gradient: tuple[float, ...]  # Frobenius norm of ∂weights/∂scores


def widths(config: WidthConfig, scaling: bool) -> WidthTrace:
    """The four curves over the widths, with or without the division by √d_k, from the same q and k."""
    generator = torch.Generator().manual_seed(config.seed)
    rows = []
    for d_k in config.widths:
        q = torch.randn(config.n_query, 1, d_k, generator=generator)
        k = torch.randn(config.n_query, config.n_key, d_k, generator=generator)
        scores = (q * k).sum(-1)  # [query, key]
        if scaling:
            scores = scores / d_k**0.5
        weights = scores.softmax(-1)
        rows.append((scores.var(), entropy(weights).mean(), weights.amax(-1).mean(), softmax_gradient(weights).mean()))
    variance, nats, largest, gradient = (tuple(float(x) for x in column) for column in zip(*rows, strict=True))
    return WidthTrace(config.widths, scaling, variance, nats, largest, gradient)


def softmax_gradient(weights: torch.Tensor) -> torch.Tensor:
    """‖diag(p) − ppᵀ‖_F of each row p of weights [..., key] -> [...]; the Jacobian of the softmax.

    Expanded: Σ p_i² (1 − p_i)² + Σ_{i≠j} p_i² p_j² = Σ p_i² − 2 Σ p_i³ + (Σ p_i²)².
    """
    square, cube = weights.square().sum(-1), weights.pow(3).sum(-1)
    return (square - 2 * cube + square.square()).clamp(min=0).sqrt()
