"""The logit lens: what each layer's residual state would say, read by the model's own last norm and head.

nostalgebraist 2020, "interpreting GPT: the logit lens".
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.trace import ModelTrace, TracedModel


@dataclass(frozen=True)
class LensTrace:
    """The best token of every layer at some positions; row 0 is the embeddings, the last row the model's answer."""

    best: Tensor  # [layer + 1, position] token ids
    probability: Tensor  # [layer + 1, position] of that best token
    chosen: Tensor  # [layer + 1, position] probability of the token that the last row finds best
    start: int  # the first position shown

    @property
    def settled(self) -> list[int]:
        """For each position the first row from which on the best token stays the model's answer."""
        same = (self.best == self.best[-1]).flip(0).int().cumprod(0)
        return (len(self.best) - same.sum(0)).tolist()


def logit_lens(model: TracedModel, trace: ModelTrace, start: int, end: int) -> LensTrace:
    """Read the places ``start`` to ``end`` (left out) of every residual state.

    Raises:
        ValueError: for a model without a language-model head.
    """
    best, probability, spread = [], [], []
    answer = model.read_out(trace.hidden[-1][start:end]).argmax(-1)
    with torch.no_grad():
        for state in trace.hidden:
            chances = model.read_out(state[start:end]).softmax(-1)
            top = chances.max(-1)
            best.append(top.indices)
            probability.append(top.values)
            spread.append(chances.gather(-1, answer[:, None])[:, 0])
    return LensTrace(torch.stack(best), torch.stack(probability), torch.stack(spread), start)
