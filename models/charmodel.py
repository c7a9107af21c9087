"""The shipped character RNN and character LSTM: weights from a checkpoint, opened with ``trace_rnn``/``trace_lstm``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from models.alphabet import SYMBOLS, encode_characters
from models.checkpoints import weights_dir
from models.errors import CheckpointError
from models.lstm import LSTMTrace, LSTMWeights, trace_lstm
from models.recurrent import RNNTrace, RNNWeights, trace_rnn
from models.units import TrackingUnit
from models.weights_file import read_checked

NAMES = ("char-rnn", "char-lstm")


@dataclass(frozen=True)
class CharModel:
    """A trained character model; one value for all visitors, never changed."""

    name: str
    title: str
    provenance: str  # one sentence: trained on what, licence
    weights: RNNWeights | LSTMWeights
    w_hy: Tensor  # [n_symbol, hidden]
    b_y: Tensor  # [n_symbol]
    bits_per_character: float  # on held-out text
    units: tuple[TrackingUnit, ...]  # strongest first

    @property
    def n_hidden(self) -> int:
        return self.weights.n_hidden

    def inputs(self, text: str) -> Tensor:
        """Any string as one-hot characters x [step, n_symbol], one step a code point."""
        return F.one_hot(torch.tensor(encode_characters(text), dtype=torch.long), len(SYMBOLS)).float()

    def logits(self, hidden: Tensor) -> Tensor:
        """y_t = W_hy h_t + b_y of states [..., hidden] -> [..., n_symbol]."""
        return F.linear(hidden, self.w_hy, self.b_y)

    def surprise(self, target: str) -> "NextCharacterLoss":
        """The loss −ln p(target) read from a last state, for the gradient functions."""
        return NextCharacterLoss(self, encode_characters(target)[0])


@dataclass(frozen=True)
class NextCharacterLoss:
    """−ln p(next character), from the last hidden state [hidden] to a scalar in nats."""

    model: CharModel
    symbol: int

    def __call__(self, last: Tensor) -> Tensor:
        return -self.model.logits(last).log_softmax(-1)[self.symbol]


def narrowed(model: CharModel, text: str) -> tuple[tuple[int, ...], RNNWeights | LSTMWeights]:
    """The weights with an input column for each character of this text alone, and the column that each step reads."""
    ids = encode_characters(text)
    used = sorted(set(ids))
    return tuple(map(used.index, ids)), replace(model.weights, w_xh=model.weights.w_xh[:, used])


def read_rnn(model: CharModel, text: str) -> RNNTrace:
    """The trained RNN over a text of at least two characters; the loss is the last character, read from all before."""
    assert isinstance(model.weights, RNNWeights)
    return trace_rnn(model.inputs(text[:-1]), model.weights, model.surprise(text[-1]))


def read_lstm(model: CharModel, text: str) -> LSTMTrace:
    """The trained LSTM over a text, every stage of every step."""
    assert isinstance(model.weights, LSTMWeights)
    return trace_lstm(model.inputs(text), model.weights)


def char_model(name: str) -> CharModel:
    """``load_char`` read once: one value for all visitors."""
    return _shared(name, weights_dir() / name)


@lru_cache(maxsize=4)
def _shared(name: str, folder: Path) -> CharModel:
    return load_char(name, folder)


def load_char(name: str, folder: Path | None = None) -> CharModel:
    """ "char-rnn" or "char-lstm" from the shipped weights, every byte checked.

    Raises:
        CheckpointError: with one sentence, if the weights are missing, damaged or not a character model's.
    """
    if name not in NAMES:
        raise CheckpointError(f"There is no character model called {name[:60]!r}; there are {' and '.join(NAMES)}.")
    folder = folder or weights_dir() / name
    if not folder.is_dir():
        raise CheckpointError(f"The weights of {name} are missing: there is no folder {folder.name} in the weights.")
    config, tensors = read_checked(folder)
    try:
        if config["symbols"] != SYMBOLS:
            raise CheckpointError(f"The weights of {name} were trained on another alphabet than this program reads.")
        parts = {key: value.float() for key, value in tensors.items()}
        weights = _weights(config["kind"], parts, config["n_hidden"])
        units = tuple(TrackingUnit(**unit) for unit in config["units"])
        return CharModel(
            name,
            str(config["title"]),
            str(config["provenance"]),
            weights,
            parts["w_hy"],
            parts["b_y"],
            float(config["bits_per_character"]),
            units,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"The settings of {name} do not fit its weights; fetch the folder again.") from error


def _weights(kind: str, parts: Mapping[str, Tensor], n_hidden: int) -> RNNWeights | LSTMWeights:
    """The recurrent part, its shapes checked. Raises KeyError or ValueError when something is missing or misshapen."""
    rows = n_hidden * {"rnn": 1, "lstm": 4}[kind]
    wanted = {"w_xh": (rows, len(SYMBOLS)), "w_hh": (rows, n_hidden), "b": (rows,),
              "w_hy": (len(SYMBOLS), n_hidden), "b_y": (len(SYMBOLS),)}  # fmt: skip
    if any(tuple(parts[key].shape) != shape for key, shape in wanted.items()):
        raise ValueError("a tensor has the wrong shape")
    if kind == "rnn":
        return RNNWeights(parts["w_xh"], parts["w_hh"], parts["b"], "tanh")
    return LSTMWeights(parts["w_xh"], parts["w_hh"], parts["b"])
