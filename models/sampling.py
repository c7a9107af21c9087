"""From logits to the next token: temperature, top-k, top-p, probabilities, one seeded draw.

Top-k: Fan et al. 2018. Top-p (nucleus): Holtzman et al. 2020. Each stage works on what the last one left; a token that
a stage forbids has −∞ from there on.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SamplingConfig:
    """How to choose. The defaults choose from the model's own distribution."""

    temperature: float = 1.0  # 0 is greedy: the largest logit alone is left
    top_k: int = 0  # how many tokens stay; 0 keeps all
    top_p: float = 1.0  # the fewest likely tokens that together reach this probability stay; 1 keeps all
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature must be 0 or more, not {self.temperature}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be 0 (off) or more, not {self.top_k}")
        if not 0 <= self.top_p <= 1:
            raise ValueError(f"top_p must lie between 0 and 1, not {self.top_p}")


@dataclass(frozen=True)
class SamplingTrace:
    """Every stage of one choice, each [..., n_vocab]."""

    logits: Tensor
    tempered: Tensor  # logits / temperature
    top_k: Tensor  # −∞ outside the k largest
    top_p: Tensor  # −∞ outside the nucleus
    probabilities: Tensor  # softmax of the last stage, sums to 1


@dataclass(frozen=True)
class Drawn:
    """One sampled token and how it came about."""

    token: int
    uniform: float  # the number in [0, 1) that decided
    trace: SamplingTrace


def sampling_stages(logits: Tensor, config: SamplingConfig) -> SamplingTrace:
    """All stages for logits [..., n_vocab]."""
    tempered = _temper(logits, config.temperature)
    kept = _top_k(tempered, config.top_k)
    nucleus = _top_p(kept, config.top_p)
    return SamplingTrace(logits, tempered, kept, nucleus, nucleus.softmax(-1))


def _temper(logits: Tensor, temperature: float) -> Tensor:
    divided = logits / temperature if temperature else logits
    if temperature and divided.isfinite().equal(logits.isfinite()):
        return divided
    # At 0, or so near it that the quotient overflows, the limit: the first of the largest is certain.
    best = logits.argmax(-1, keepdim=True)
    return torch.full_like(logits, -math.inf).scatter(-1, best, logits.gather(-1, best))


def _top_k(scores: Tensor, k: int) -> Tensor:
    """The k largest stay, and whatever ties with the last of them."""
    if not 0 < k < scores.shape[-1]:
        return scores
    least = scores.topk(k, dim=-1).values[..., -1:]
    return scores.masked_fill(scores < least, -math.inf)


def _top_p(scores: Tensor, p: float) -> Tensor:
    """A token goes when it and all less likely ones together hold at most 1 − p; the likeliest always stays."""
    if p >= 1:
        return scores
    ordered, index = scores.sort(descending=False, dim=-1)
    gone = ordered.softmax(-1).cumsum(-1) <= 1 - p
    gone[..., -1] = False
    return scores.masked_fill(gone.scatter(-1, index, gone), -math.inf)


def uniform_number(seed: int, position: int) -> float:
    """The number in [0, 1) that decides the token at this position: the position-th draw of the seed's CPU generator,
    so that sampling one token at a time and sampling a run give the same text."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(position + 1, generator=generator, dtype=torch.float64)[-1].item()


def draw(probabilities: Tensor, uniform: float) -> int:
    """The token whose stretch of the cumulated probabilities [n_vocab] holds ``uniform``; never one with 0."""
    summed = probabilities.detach().cpu().double().cumsum(0)
    place = torch.searchsorted(summed, uniform * summed[-1], right=True)
    return min(int(place), int(probabilities.nonzero()[-1]))


def generate(
    next_logits: Callable[[Sequence[int]], Tensor], ids: Sequence[int], config: SamplingConfig, n_token: int
) -> Iterator[Drawn]:
    """Sample n_token tokens after ``ids``, one at a time: whoever asks may stop between two.

    Args:
        next_logits: ids so far -> logits [n_vocab] of the next token.
    """
    row = list(ids)
    for position in range(n_token):
        trace = sampling_stages(next_logits(row), config)
        uniform = uniform_number(config.seed, position)
        row.append(draw(trace.probabilities, uniform))
        yield Drawn(row[-1], uniform, trace)


def surprise(logits: Tensor, ids: Sequence[int]) -> Tensor:
    """−log p(token | tokens before) in nats of tokens 1, 2, ...: logits [token, n_vocab] -> [token − 1]."""
    following = torch.tensor(list(ids[1:]), dtype=torch.long, device=logits.device)
    return -logits[:-1].log_softmax(-1).gather(-1, following[:, None])[:, 0]
