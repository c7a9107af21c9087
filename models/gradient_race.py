"""An RNN and an LSTM of equal size on the reader's text: what is left of the gradient at every step.

Two kinds of weights, told apart by the config: a seeded recurrence with a chosen singular value, which shows the law,
and the two shipped networks, which learned to read.
"""

from dataclasses import dataclass
from typing import Literal

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


def characters_of(config: RaceConfig) -> tuple[str, str]:
    """(the characters read, the target). The law repeats the text up to n_step, the trained read its end."""
    if config.source == "law":
        return (config.text * (config.n_step // len(config.text) + 1))[: config.n_step], ""
    text = config.text[-(config.n_step + 1) :]
    return (text[:-1], text[-1]) if len(text) > 1 else (text, "\n")


def race(config: RaceConfig) -> Race:
    """Forward and backward through both networks.

    Raises:
        CheckpointError: if the trained networks are asked for and are not there.
        ValueError: for a config out of range.
    """
    read, target = characters_of(config)
    x, weights, lstm, losses = _parts(config, read, target)
    return Race(
        tuple(read), target, weights, trace_rnn(x, weights, losses[0]), *forth_and_back_lstm(x, lstm, losses[1])
    )


def rnn_alone(config: RaceConfig) -> RNNTrace:
    """The half of ``race`` that is the RNN's."""
    x, weights, _, losses = _parts(config, *characters_of(config))
    return trace_rnn(x, weights, losses[0])


def felt(config: RaceConfig) -> tuple[Sensitivity, Sensitivity]:
    """What the last state of the RNN and of the LSTM still feels of every step. Slower than ``race``."""
    read, target = characters_of(config)
    x, weights, lstm, _ = _parts(config, read, target)
    spectral = config.source == "law"
    return sensitivity_rnn(x, weights, spectral), sensitivity_lstm(x, lstm, spectral=False)


def _parts(config: RaceConfig, read: str, target: str) -> tuple[Tensor, RNNWeights, LSTMWeights, tuple[Loss, Loss]]:
    if config.source == "trained":
        rnn, lstm = char_model("char-rnn"), char_model("char-lstm")
        assert isinstance(rnn.weights, RNNWeights) and isinstance(lstm.weights, LSTMWeights)  # noqa: PT018
        return rnn.inputs(read), rnn.weights, lstm.weights, (rnn.surprise(target), lstm.surprise(target))
    shape = RNNConfig(
        config.n_step, config.n_hidden, N_FEATURE, config.singular, config.spectrum, config.activation, config.seed
    )
    readout = last_readout(config.n_hidden, config.seed)
    lstm_weights = random_lstm(config.n_hidden, N_FEATURE, config.seed, config.forget_bias)
    return character_vectors(read, config.seed), random_rnn(shape), lstm_weights, (readout, readout)


def character_vectors(text: str, seed: int) -> Tensor:
    """x [step, N_FEATURE]: one seeded vector for each character of the alphabet, equal wherever it stands."""
    table = torch.randn(len(SYMBOLS), N_FEATURE, generator=torch.Generator().manual_seed(seed)) * INPUT_SCALE
    return table[torch.tensor(encode_characters(text), dtype=torch.long)]


def step_differences(now: Race) -> tuple[float, float]:
    """Largest difference of one step from PyTorch's own layer: (forward, backward relative to the gradient).

    Step by step, each from *our* state before it: in a chaotic recurrence the last digit of step 1 decides step 100,
    so two right answers need not agree at the end. ``nn.RNN`` for tanh and relu, ``nn.Linear`` for the identity.
    Steps that overflowed are left out.
    """
    trace, weights = now.rnn, now.weights
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
