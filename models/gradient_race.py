"""An RNN and an LSTM of equal size on the reader's text: what is left of the gradient at every step.

Two kinds of weights, told apart by the config: a seeded recurrence with a chosen singular value, which shows the law,
and the two shipped networks, which learned to read.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn

from models.alphabet import SYMBOLS, encode_characters
from models.charmodel import char_model
from models.lstm import LSTMGradient, LSTMTrace, LSTMWeights, forth_and_back_lstm, random_lstm, sensitivity_lstm
from models.recurrent import (
    Activation,
    Loss,
    RNNConfig,
    RNNTrace,
    RNNWeights,
    Sensitivity,
    Spectrum,
    last_readout,
    random_rnn,
    sensitivity_rnn,
    trace_rnn,
)

T = TypeVar("T")
Source = Literal["law", "trained"]
N_FEATURE = 16  # width of a character's vector in the seeded recurrence
INPUT_SCALE = 0.1  # small inputs leave tanh near its linear part, where the bound is nearly met


@dataclass(frozen=True)
class RaceConfig:
    """All that defines a race. Of the trained networks only ``text`` and ``n_step`` are free."""

    source: Source = "law"
    text: str = "The cat sat on the mat because it was tired."
    n_step: int = 60
    n_hidden: int = 32
    singular: float = 0.9
    spectrum: Spectrum = "all"
    activation: Activation = "tanh"
    forget_bias: float = 3.0
    seed: int = 0


@dataclass(frozen=True)
class Race:
    """Both networks over the same characters; the loss is read from the last state of each."""

    characters: tuple[str, ...]  # [step]
    target: str  # the character whose surprise is the loss; empty for the seeded recurrence (L = w·h_T)
    weights: RNNWeights
    rnn: RNNTrace
    lstm: LSTMTrace
    lstm_gradient: LSTMGradient


class Run(Protocol):
    """How a network's part is come by; a cache may stand behind it."""

    def __call__(self, function: Callable[[RaceConfig], T], config: RaceConfig, /) -> T: ...


def _at_once(function: Callable[[RaceConfig], T], config: RaceConfig, /) -> T:
    return function(config)


def characters_of(config: RaceConfig) -> tuple[str, str]:
    """(the characters read, the target). The law repeats the text up to n_step, the trained read its end."""
    if config.source == "law":
        return (config.text * (config.n_step // len(config.text) + 1))[: config.n_step], ""
    text = config.text[-(config.n_step + 1) :]
    return (text[:-1], text[-1]) if len(text) > 1 else (text, "\n")


def race(config: RaceConfig, run: Run = _at_once) -> Race:
    """Forward and backward through both networks.

    Args:
        run: ``run(function, config)`` computes one network's part, or finds it: what only the other network depends on
            stands at its default in that ``config``.

    Raises:
        CheckpointError: if the trained networks are asked for and are not there.
        ValueError: for a config out of range.
    """
    read, target = characters_of(config)
    weights, rnn = run(rnn_part, for_rnn(config))
    return Race(tuple(read), target, weights, rnn, *run(lstm_part, for_lstm(config)))


def felt(config: RaceConfig, run: Run = _at_once) -> tuple[Sensitivity, Sensitivity]:
    """What the last state of the RNN and of the LSTM still feels of every step. Slower than ``race``."""
    return run(rnn_felt, for_rnn(config)), run(lstm_felt, for_lstm(config))


def for_rnn(config: RaceConfig) -> RaceConfig:
    """The config as far as the RNN depends on it."""
    return replace(config, forget_bias=RaceConfig.forget_bias)


def for_lstm(config: RaceConfig) -> RaceConfig:
    """The config as far as the LSTM depends on it."""
    return replace(config, singular=RaceConfig.singular, spectrum=RaceConfig.spectrum, activation=RaceConfig.activation)


def rnn_part(config: RaceConfig) -> tuple[RNNWeights, RNNTrace]:
    """The RNN of ``race``, and what it did."""
    x, weights, loss = _rnn(config)
    return weights, trace_rnn(x, weights, loss)


def lstm_part(config: RaceConfig) -> tuple[LSTMTrace, LSTMGradient]:
    """What the LSTM of ``race`` did, there and back."""
    x, weights, loss = _lstm(config)
    return forth_and_back_lstm(x, weights, loss)


def rnn_felt(config: RaceConfig) -> Sensitivity:
    """The RNN's half of ``felt``."""
    x, weights, _ = _rnn(config)
    return sensitivity_rnn(x, weights, config.source == "law")


def lstm_felt(config: RaceConfig) -> Sensitivity:
    """The LSTM's half of ``felt``."""
    x, weights, _ = _lstm(config)
    return sensitivity_lstm(x, weights, spectral=False)


def _rnn(config: RaceConfig) -> tuple[Tensor, RNNWeights, Loss]:
    """(inputs, weights, loss): trained, or from the seed."""
    if config.source == "trained":
        return _trained("char-rnn", RNNWeights, config)
    shape = RNNConfig(
        config.n_step, config.n_hidden, N_FEATURE, config.singular, config.spectrum, config.activation, config.seed
    )
    return _seeded(random_rnn(shape), config)


def _lstm(config: RaceConfig) -> tuple[Tensor, LSTMWeights, Loss]:
    """(inputs, weights, loss): trained, or from the seed."""
    if config.source == "trained":
        return _trained("char-lstm", LSTMWeights, config)
    return _seeded(random_lstm(config.n_hidden, N_FEATURE, config.seed, config.forget_bias), config)


def _trained(name: str, kind: type[T], config: RaceConfig) -> tuple[Tensor, T, Loss]:
    read, target = characters_of(config)
    model = char_model(name)
    assert isinstance(model.weights, kind)
    return model.inputs(read), model.weights, model.surprise(target)


def _seeded(weights: T, config: RaceConfig) -> tuple[Tensor, T, Loss]:
    read, _ = characters_of(config)
    return character_vectors(read, config.seed), weights, last_readout(config.n_hidden, config.seed)


def character_vectors(text: str, seed: int) -> Tensor:
    """x [step, N_FEATURE]: one seeded vector for each character of the alphabet, equal wherever it stands."""
    table = torch.randn(len(SYMBOLS), N_FEATURE, generator=torch.Generator().manual_seed(seed)) * INPUT_SCALE
    return table[torch.tensor(encode_characters(text), dtype=torch.long)]


def step_differences(weights: RNNWeights, trace: RNNTrace) -> tuple[float, float]:
    """Largest difference of one step from PyTorch's own layer: (forward, backward relative to the gradient).

    Step by step, each from *our* state before it: in a chaotic recurrence the last digit of step 1 decides step 100,
    so two right answers need not agree at the end. ``nn.RNN`` for tanh and relu, ``nn.Linear`` for the identity.
    Steps that overflowed are left out.
    """
    before = torch.cat([torch.zeros(1, weights.n_hidden), trace.hidden[:-1]]).requires_grad_()
    after = _torch_step(trace.x, before, weights)
    sound = trace.hidden.isfinite().all(-1) & before.isfinite().all(-1)
    scale = trace.hidden[sound].abs().amax().clamp_min(1.0) if bool(sound.any()) else torch.tensor(1.0)
    forward = float(((after - trace.hidden)[sound].abs().amax() / scale).detach()) if bool(sound.any()) else 0.0
    # As a sum: handing the gradient over as a third argument imports sympy (25 MB, a second) to compare two shapes.
    (back,) = torch.autograd.grad((after * trace.gradient).sum(), before)
    theirs, ours, size = back[1:].double(), trace.gradient[:-1].double(), trace.gradient_norm[:-1]
    usable = sound[1:] & sound[:-1] & trace.gradient_norm[1:].isfinite() & size.isfinite() & (size > 1e-30)
    if not bool(usable.any()):
        return forward, 0.0
    return forward, float(((theirs - ours)[usable].norm(dim=-1) / size[usable]).max())


def _torch_step(x: Tensor, before: Tensor, weights: RNNWeights) -> Tensor:
    """One step of PyTorch's own layer from every state before [step, hidden], the steps as a batch."""
    n, n_feature = weights.n_hidden, x.shape[-1]
    if weights.activation == "identity":
        linear = nn.Linear(n + n_feature, n)
        with torch.no_grad():
            linear.weight.copy_(torch.cat([weights.w_hh, weights.w_xh], dim=1))
            linear.bias.copy_(weights.b_h)
        return linear(torch.cat([before, x], dim=1))
    layer = nn.RNN(n_feature, n, nonlinearity=weights.activation)
    own = dict(layer.named_parameters())
    with torch.no_grad():
        for name, value in (
            ("weight_ih_l0", weights.w_xh),
            ("weight_hh_l0", weights.w_hh),
            ("bias_ih_l0", weights.b_h),
        ):
            own[name].copy_(value)
        own["bias_hh_l0"].zero_()
    return layer(x[None], before[None])[0][0]
