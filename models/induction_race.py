"""The induction toy and its one-layer control, trained side by side on equal texts, as a film of small records."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from models.induction import InductionConfig, InductionStep, train_live


@dataclass(frozen=True)
class RaceStep:
    """Both after the same number of steps. A record is a few ten kB: a whole film is kept for all who watch."""

    step: int
    n_step: int
    two: float  # loss of the two-layer model, nats a token
    one: float
    scores: tuple[tuple[float, ...], ...]  # induction score of the two-layer model, [layer][head]
    control: tuple[float, ...]  # and of the control's only layer, [head]
    maps: Tensor  # uint8 [layer, head, query, key] of the two-layer model, 255 is weight 1
    ids: tuple[int, ...]  # the sequence of the maps

    @property
    def progress(self) -> float:
        """How far the training is, 0 to 1."""
        return self.step / self.n_step

    @property
    def best(self) -> tuple[int, int]:
        """(layer, head) with the highest induction score."""
        flat = [(score, layer, head) for layer, row in enumerate(self.scores) for head, score in enumerate(row)]
        _, layer, head = max(flat)
        return layer, head


def race(config: InductionConfig, seed: int) -> Iterator[RaceStep]:
    """Train both from one seed; they see the same sequences in the same order."""
    films = (train_live(replace(config, n_layer=layers), seed) for layers in (2, 1))
    for two, one in zip(*films, strict=True):
        yield _record(config, two, one)


def _record(config: InductionConfig, two: InductionStep, one: InductionStep) -> RaceStep:
    maps = torch.stack([trace.weights for trace in two.attention])
    return RaceStep(
        two.step, config.steps, two.loss, one.loss, two.scores, one.scores[0],
        (maps * 255).round().to(torch.uint8), two.ids,
    )  # fmt: skip
