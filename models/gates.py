"""The trained character LSTM on the reader's text, free and with gates forced: what memory is lost, and what it costs."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.alphabet import encode_characters
from models.charmodel import CharModel, char_model
from models.lstm import Force, LSTMTrace, LSTMWeights, trace_lstm, unit_road
from models.recurrent import RNNWeights, trace_rnn
from models.units import FEATURES, TrackingUnit, correlation


@dataclass(frozen=True)
class GatesConfig:
    """A text and the gates that are held."""

    text: str
    forces: tuple[Force, ...] = ()


@dataclass(frozen=True)
class Gates:
    """The same text read twice. ``bits`` are −log₂ p(next character), one for each step but the last."""

    free: LSTMTrace
    now: LSTMTrace  # with the forces; equal to ``free`` without any
    bits_free: Tensor  # [step − 1]
    bits_now: Tensor  # [step − 1]


@dataclass(frozen=True)
class Roads:
    """How much of a memory cell is left at the end, from every step on."""

    highway: Tensor  # [step]  ∏ f of one unit: ∂c_T/∂c_t along the cell alone
    own: Tensor  # [step]  ∂c_T/∂c_t of that unit by autograd, every road counted; its sign is dropped
    mean: Tensor  # [step]  ∏ f, mean over all units
    rnn: Tensor  # [step] float64  the trained RNN's ‖∂L/∂h_t‖ on the same text, 1 at the last step


def lstm_weights(model: CharModel) -> LSTMWeights:
    assert isinstance(model.weights, LSTMWeights)
    return model.weights


def open_gates(config: GatesConfig) -> Gates:
    """Read the text with and without the forces.

    Raises:
        CheckpointError: if the trained LSTM is not there.
        ValueError: for an empty text or a unit that does not exist.
    """
    model = char_model("char-lstm")
    x, weights = model.inputs(config.text), lstm_weights(model)
    free = trace_lstm(x, weights)
    now = trace_lstm(x, weights, config.forces) if config.forces else free
    return Gates(free, now, bits(model, free.hidden, config.text), bits(model, now.hidden, config.text))


def bits(model: CharModel, hidden: Tensor, text: str) -> Tensor:
    """−log₂ p of each next character from hidden [step, hidden] -> [step − 1]."""
    targets = torch.tensor(encode_characters(text)[1:], dtype=torch.long)
    logs = model.logits(hidden[:-1]).log_softmax(-1)
    return -logs.gather(-1, targets[:, None])[:, 0] / math.log(2)


def roads(config: GatesConfig, unit: int) -> Roads:
    """Both of the LSTM's roads for one unit, and the trained RNN's decay beside them."""
    model, rnn = char_model("char-lstm"), char_model("char-rnn")
    x, weights = model.inputs(config.text), lstm_weights(model)
    trace = trace_lstm(x, weights, config.forces)
    assert isinstance(rnn.weights, RNNWeights)
    decay = trace_rnn(rnn.inputs(config.text), rnn.weights).gradient_norm
    own = unit_road(x, weights, unit, config.forces).abs()
    return Roads(trace.highway[:, unit], own, trace.highway.mean(-1), decay / decay[-1])


def correlation_here(trace: LSTMTrace, text: str, unit: TrackingUnit) -> float | None:
    """A tracking unit's correlation with its feature on this text; None where the feature never changes in it."""
    feature = torch.tensor(FEATURES[unit.feature](text))
    if len(set(feature.tolist())) < 2:
        return None
    states = trace.cell if unit.state == "cell" else trace.hidden
    return float(correlation(states[:, unit.unit : unit.unit + 1], feature))


def torch_lstm(weights: LSTMWeights) -> nn.LSTM:
    """PyTorch's own layer with these weights."""
    layer = nn.LSTM(weights.w_xh.shape[1], weights.n_hidden)
    own = dict(layer.named_parameters())
    with torch.no_grad():
        own["weight_ih_l0"].copy_(weights.w_xh)
        own["weight_hh_l0"].copy_(weights.w_hh)
        own["bias_ih_l0"].copy_(weights.b)
        own["bias_hh_l0"].zero_()
    return layer


def torch_differences(text: str, unit: int, step: int) -> tuple[float, float, float]:
    """Our free trace against nn.LSTM: largest difference of (h over all steps, c_T, ∂c_T/∂c_t of one unit and step)."""
    model = char_model("char-lstm")
    x, weights = model.inputs(text), lstm_weights(model)
    trace, layer = trace_lstm(x, weights), torch_lstm(weights)
    hidden, (_, cell) = layer(x)
    gap = float((hidden.detach() - trace.hidden).abs().max()), float((cell[0].detach() - trace.cell[-1]).abs().max())
    start = trace.cell[step].clone().requires_grad_()
    state = (trace.output[step] * torch.tanh(start))[None], start[None]
    end = layer(x[step + 1 :], state)[1][1][0] if step + 1 < len(x) else start
    (grad,) = torch.autograd.grad(end[unit], start)
    return *gap, float((grad[unit] - unit_road(x, weights, unit)[step]).abs())
