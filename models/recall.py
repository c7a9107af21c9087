"""The recall task, trained live: see a symbol, sit through distractors, say which symbol it was.

After Bengio, Simard and Frasconi 1994 and Hochreiter and Schmidhuber 1997: nothing but memory solves it, and at each
distance one RNN and one LSTM of equal hidden size learn from the same batches. One pair a distance, because a net
that also trains on short distances learns the long ones from them: it is *learning* over a distance that fails.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.adamw import AdamW

KINDS = ("rnn", "lstm")


@dataclass(frozen=True)
class RecallConfig:
    """All that defines a run. The input alphabet is the symbols, the distractors and one mark that asks."""

    distances: tuple[int, ...] = (2, 5, 10, 15, 20, 30, 40, 60)
    n_symbol: int = 4
    n_distractor: int = 4
    n_hidden: int = 32
    n_update: int = 200  # for every net
    batch: int = 32
    learning_rate: float = 3e-3
    forget_bias: float = 3.0  # a forget gate that starts at σ(3) = 0.95; Jozefowicz, Zaremba and Sutskever 2015
    report_every: int = 10
    seconds: float = 90.0  # the run ends early when this is used up

    def __post_init__(self) -> None:
        sizes = (self.n_symbol, self.n_distractor, self.n_hidden, self.n_update, self.batch, self.report_every)
        if not self.distances or min(*self.distances, *sizes) < 1:
            raise ValueError("there must be a distance, and every size must be at least 1")
        if self.seconds <= 0 or self.learning_rate <= 0:
            raise ValueError("seconds and learning rate must be positive")

    @property
    def n_input(self) -> int:
        return self.n_symbol + self.n_distractor + 1


@dataclass(frozen=True)
class RecallStep:
    """What is known after ``step`` updates of every net. Figures stand in the order of ``config.distances``."""

    config: RecallConfig
    step: int
    seconds: float
    loss: Mapping[str, tuple[float, ...]]  # "rnn" and "lstm": cross-entropy in nats on 256 fresh sequences each
    accuracy: Mapping[str, tuple[float, ...]]  # on the same sequences; chance is 1 / n_symbol
    done: bool  # no further step comes

    @property
    def progress(self) -> float:
        """How far the training is, 0 to 1."""
        return self.step / self.config.n_update

    def reach(self, kind: str, enough: float = 0.95) -> int:
        """The largest distance up to which every distance is recalled with at least this accuracy; 0 for none."""
        reached = 0
        for distance, accuracy in zip(self.config.distances, self.accuracy[kind], strict=True):
            if accuracy < enough:
                break
            reached = distance
        return reached


class RecallNet(nn.Module):
    """One recurrent layer over one-hot symbols; the answer is read from the state at the asking mark."""

    def __init__(self, kind: str, config: RecallConfig, generator: torch.Generator) -> None:
        super().__init__()
        layer = nn.RNN if kind == "rnn" else nn.LSTM
        self.layer = layer(config.n_input, config.n_hidden)
        self.readout = nn.Linear(config.n_hidden, config.n_symbol)
        for parameter in self.parameters():  # PyTorch's own range, from the run's own generator
            nn.init.uniform_(parameter, -(config.n_hidden**-0.5), config.n_hidden**-0.5, generator=generator)
        if kind == "lstm":
            biases = dict(self.layer.named_parameters())
            with torch.no_grad():
                biases["bias_ih_l0"][config.n_hidden : 2 * config.n_hidden] = config.forget_bias
                biases["bias_hh_l0"][config.n_hidden : 2 * config.n_hidden] = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """x [step, batch, n_input] -> logits [batch, n_symbol]."""
        hidden, _ = self.layer(x)
        return self.readout(hidden[-1])


def recall_batch(config: RecallConfig, distance: int, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """n sequences of one distance: x one-hot [distance + 1, n, n_input], the symbol to recall [n].

    Step 0 shows the symbol, distance − 1 distractors follow, the last step asks: ``distance`` steps after the symbol.
    """
    symbol = torch.randint(config.n_symbol, (n,), generator=generator)
    noise = torch.randint(config.n_distractor, (distance - 1, n), generator=generator) + config.n_symbol
    ask = torch.full((1, n), config.n_input - 1)
    ids = torch.cat([symbol[None], noise, ask])
    return F.one_hot(ids, config.n_input).float(), symbol


def train_live(config: RecallConfig, seed: int) -> Iterator[RecallStep]:
    """Train every pair, reporting before the first update, every ``report_every`` and at the end.

    Stop iterating to cancel. Batches and initial weights come from the run's own generator, so the runs of two
    visitors do not meet.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = {distance: {kind: RecallNet(kind, config, generator) for kind in KINDS} for distance in config.distances}
    optimisers = {net: _optimiser(net, config) for pair in pairs.values() for net in pair.values()}
    begun = time.monotonic()
    yield RecallStep(config, 0, 0.0, *_measure(pairs, config, seed), done=False)
    for step in range(1, config.n_update + 1):
        for distance, pair in pairs.items():
            x, symbol = recall_batch(config, distance, config.batch, generator)
            for net in pair.values():
                _update(net, optimisers[net], x, symbol)
        seconds = time.monotonic() - begun
        done = step == config.n_update or seconds >= config.seconds
        if done or step % config.report_every == 0:
            yield RecallStep(config, step, seconds, *_measure(pairs, config, seed), done=done)
        if done:
            return


def _optimiser(net: RecallNet, config: RecallConfig) -> AdamW:
    return AdamW(net.parameters(), config.learning_rate)


def _update(net: RecallNet, optimiser: AdamW, x: Tensor, symbol: Tensor) -> None:
    """One clipped step of Adam on the cross-entropy of the answer."""
    with torch.enable_grad():
        loss = F.cross_entropy(net(x), symbol)
        optimiser.zero_grad()
        loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()


@torch.no_grad()
def _measure(
    pairs: Mapping[int, Mapping[str, RecallNet]], config: RecallConfig, seed: int
) -> tuple[dict[str, tuple[float, ...]], dict[str, tuple[float, ...]]]:
    """Loss and accuracy on 256 fresh sequences a distance; the same sequences at every report and for both nets."""
    generator = torch.Generator().manual_seed(seed + 1_000_003)
    loss: dict[str, list[float]] = {kind: [] for kind in KINDS}
    accuracy: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for distance, pair in pairs.items():
        x, symbol = recall_batch(config, distance, 256, generator)
        for kind, net in pair.items():
            logits = net(x)
            loss[kind].append(float(F.cross_entropy(logits, symbol)))
            accuracy[kind].append(float((logits.argmax(-1) == symbol).float().mean()))
    return {kind: tuple(v) for kind, v in loss.items()}, {kind: tuple(v) for kind, v in accuracy.items()}
