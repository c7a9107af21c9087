"""A text carried on by the small GPT, one token at a time, with what was likely at each step.

The keys and values of earlier tokens are kept and never computed again: under a causal mask nothing that comes later
can change them, which is what makes the cache possible.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from models import sampling
from models.sampling import SamplingConfig
from models.small_gpt import SmallGPT


@dataclass(frozen=True)
class Choice:
    """One token that was written: its id, the number in [0, 1) that decided, and the likeliest (id, probability) in the
    model's own distribution, before the temperature."""

    token: int
    uniform: float
    likely: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Continuation:
    """A prompt and what the model wrote after it."""

    prompt: tuple[int, ...]
    choices: tuple[Choice, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        return self.prompt + tuple(choice.token for choice in self.choices)


def carry_on(
    model: SmallGPT, prompt: Sequence[int], config: SamplingConfig, n_token: int, n_likely: int = 8
) -> Continuation:
    """Write n_token tokens after the prompt; the same config writes the same text.

    Raises:
        ValueError: if the prompt is empty or the text would not fit into the model's context.
    """
    if not prompt or len(prompt) + n_token > model.n_context:
        raise ValueError(
            f"{len(prompt)} + {n_token} tokens do not fit a context of {model.n_context}, or there are none"
        )
    cache = None
    known = 0

    def next_logits(ids: Sequence[int]) -> Tensor:
        nonlocal cache, known
        logits, cache = model.step(ids[known:], cache)
        known = len(ids)
        return logits[-1]

    choices = []
    for drawn in sampling.generate(next_logits, prompt, config, n_token):
        best = drawn.trace.logits.softmax(-1).topk(n_likely)
        likely = tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        choices.append(Choice(drawn.token, drawn.uniform, likely))
    return Continuation(tuple(prompt), tuple(choices))
