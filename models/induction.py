"""The induction toy: a two-layer attention-only transformer that learns in front of the reader to copy what came
before, and the one-layer control that cannot.

Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; Olsson et al. 2022, "In-context Learning and
Induction Heads". The text is random tokens that repeat themselves: nothing can be known about the first round, all
about the later ones, but only by finding the token's earlier occurrence and looking at what came after it. That takes
two layers: a head that writes each token's predecessor beside it, and a head that searches for it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.adamw import AdamW
from models.attention import AttentionTrace, attend
from models.measures import induction_score
from models.positional import sinusoidal


@dataclass(frozen=True)
class InductionConfig:
    """The model, its text and its training."""

    n_layer: int = 2  # 1 is the control
    n_head: int = 4
    d_model: int = 128
    n_vocab: int = 64
    n_token: int = 48
    shortest: int = 8  # the rounds are between these two lengths: were there one, a head could count instead of search
    longest: int = 24
    batch: int = 16
    steps: int = 600
    learning_rate: float = 3e-3
    every: int = 10  # steps between two that are shown

    def __post_init__(self) -> None:
        if min(self.n_layer, self.n_head, self.d_model, self.batch, self.steps, self.every) < 1 or self.n_vocab < 2:
            raise ValueError(f"every size must be at least 1, the vocabulary at least 2: {self}")
        if self.d_model % (2 * self.n_head):
            raise ValueError(f"d_model = {self.d_model} must be an even multiple of {self.n_head} heads")
        if self.n_token // 2 > self.n_vocab:
            raise ValueError(f"a round of {self.n_token // 2} different tokens needs as many in the vocabulary")
        if not 2 <= self.shortest <= self.longest <= self.n_token // 2:
            raise ValueError(f"rounds of {self.shortest} to {self.longest} do not fit twice into {self.n_token} tokens")


@dataclass(frozen=True)
class InductionStep:
    """What can be seen after some steps of training, measured on a probe that is never trained on."""

    step: int
    loss: float  # nats per token of the later rounds
    scores: tuple[tuple[float, ...], ...]  # [layer][head] induction score
    ids: tuple[int, ...]  # the first sequence of the probe
    attention: tuple[AttentionTrace, ...]  # of that sequence, one a layer, with a leading head axis

    @property
    def best(self) -> tuple[float, int, int]:
        """The highest induction score, its layer and its head."""
        return max((s, layer, head) for layer, row in enumerate(self.scores) for head, s in enumerate(row))


class AttentionOnly(nn.Module):
    """Embedding, layers of causal attention alone, unembedding. Positions are added where Q and K are made, not to the
    residual stream: what a head moves is always a token, never a place."""

    position: Tensor  # [token, d_model]
    allowed: Tensor  # bool [query, key]

    def __init__(self, config: InductionConfig) -> None:
        super().__init__()
        self.config = config
        d = config.d_model
        self.token = nn.Embedding(config.n_vocab, d)
        self.qk = nn.ModuleList(nn.Linear(d, 2 * d, bias=False) for _ in range(config.n_layer))
        self.v = nn.ModuleList(nn.Linear(d, d, bias=False) for _ in range(config.n_layer))
        self.out = nn.ModuleList(nn.Linear(d, d, bias=False) for _ in range(config.n_layer))
        self.unembed = nn.Linear(d, config.n_vocab, bias=False)
        self.register_buffer("position", sinusoidal(torch.arange(config.n_token), d, dtype=torch.float32))
        self.register_buffer("allowed", torch.ones(config.n_token, config.n_token, dtype=torch.bool).tril())

    def forward(self, ids: Tensor) -> tuple[Tensor, tuple[AttentionTrace, ...]]:
        """ids [batch, token] -> logits [batch, token, n_vocab] and each layer's stages [batch, head, query, key]."""
        n_token = ids.shape[-1]
        x, traces = self.token(ids), []
        for qk, v, out in zip(self.qk, self.v, self.out, strict=True):
            q, k = (self._heads(part) for part in qk(x + self.position[:n_token]).chunk(2, dim=-1))
            trace = attend(q, k, self._heads(v(x)), self.allowed[:n_token, :n_token])
            assert trace.output is not None
            x = x + out(trace.output.transpose(1, 2).flatten(2))
            traces.append(trace)
        return self.unembed(x), tuple(traces)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.config.n_head, -1)).transpose(1, 2)


def build(config: InductionConfig, seed: int) -> AttentionOnly:
    """Seeded weights with variance 1/d_model, drawn on the CPU."""
    model = AttentionOnly(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 1.0 if name == "token.weight" else config.d_model**-0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model


def repeated(config: InductionConfig, generator: torch.Generator, period: int | None = None) -> tuple[Tensor, Tensor]:
    """Random tokens that repeat themselves: ids [batch, token] and the length of each one's round [batch]."""
    shape = (config.batch,)
    if period is None:
        periods = torch.randint(config.shortest, config.longest + 1, shape, generator=generator)
    else:
        periods = torch.full(shape, period)
    # No token twice within a round: its successor would not be certain.
    order = torch.rand(config.batch, config.n_vocab, generator=generator).argsort(-1)
    first = order[:, : config.n_token // 2]
    at = torch.arange(config.n_token) % periods[:, None]
    return first.gather(1, at), periods


def copy_loss(logits: Tensor, ids: Tensor, periods: Tensor) -> Tensor:
    """Mean nats of the tokens from the second round's second on: those that can be known."""
    nats = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none").view(len(ids), -1)
    known = torch.arange(1, ids.shape[1]) > periods[:, None]
    return (nats * known).sum() / known.sum()


def train_live(config: InductionConfig, seed: int) -> Iterator[InductionStep]:
    """Train, and show the model before the first step and after every ``config.every`` and the last.

    All is drawn from the seed on the CPU: the same config and seed give the same film.
    """
    model = build(config, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    # Two rounds and no third: with three, a head may look at either of two right places.
    probe, periods = repeated(config, generator, config.n_token // 2)
    optimiser = AdamW(model.parameters(), config.learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    yield _look(model, probe, periods, 0)
    for step in range(1, config.steps + 1):
        ids, lengths = repeated(config, generator)
        with torch.enable_grad():
            loss = copy_loss(model(ids)[0], ids, lengths)
            loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        if step % config.every == 0 or step == config.steps:
            yield _look(model, probe, periods, step)


@torch.no_grad()
def _look(model: AttentionOnly, probe: Tensor, periods: Tensor, step: int) -> InductionStep:
    logits, traces = model(probe)
    period = int(periods[0])
    scores = tuple(tuple(induction_score(t.weights, period).mean(0).tolist()) for t in traces)
    shown = tuple(t.head(0) for t in traces)  # the first of the batch: its leading axis is the head
    return InductionStep(step, copy_loss(logits, probe, periods).item(), scores, tuple(probe[0].tolist()), shown)


def unknowing_loss(config: InductionConfig) -> float:
    """The loss of one who has found nothing: every token alike."""
    return math.log(config.n_vocab)
