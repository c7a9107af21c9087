"""What the positional-encoding page asks of the shipped models and of the formulas, ready for ``compute.run``.

The functions name a model instead of taking it, so that their arguments are values.
"""

import math
from typing import cast

import torch

from app import compute
from app.figures.positions import Band
from models.bert import BertEncoder
from models.learned_positions import FittedShift, WaveTrace, fit_shift, likeness_to_sinusoids, waves_in
from models.order import OrderConfig, OrderTrace, compare, run_encoder
from models.position_view import MovedPair, PositionView, formula_view, learned_view, move_pair, rotary_view
from models.positional import PositionalConfig, encode_positions, frequencies, rows
from models.small_gpt import SmallGPT
from models.trace import Encoding

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def table(reader: str) -> torch.Tensor:
    """A shipped model's position table [position, d_model]."""
    return cast(BertEncoder | SmallGPT, compute.model(reader)).positions


def view(scheme: str, reader: str, config: PositionalConfig, seed: int) -> PositionView:
    if scheme == "learned":
        return learned_view(table(reader), config.n_position)
    return formula_view(config) if scheme == "sinusoidal" else rotary_view(config, seed)


def waves(reader: str) -> WaveTrace:
    return waves_in(table(reader).cpu(), n_component=8)


def likeness(reader: str) -> float:
    return likeness_to_sinusoids(table(reader))


def fit(reader: str, offset: int) -> FittedShift:
    return fit_shift(table(reader).cpu(), offset)


def moved(scheme: str, reader: str, config: PositionalConfig, offset: int, seed: int) -> MovedPair:
    added = table(reader) if scheme == "learned" else None
    return move_pair(config, offset, seed, added, places=24)


def order(first: tuple[int, ...], second: tuple[int, ...], config: OrderConfig) -> OrderTrace:
    return compare(minilm().weights, first, second, config)


def encoder_gap(encoding: Encoding, depth: int) -> float:
    """The order experiment's encoder against the traced one, both with the model's own positions."""
    ours = run_encoder(minilm().weights, encoding.ids, OrderConfig("learned", depth))
    return float((ours - compute.trace("minilm", encoding).hidden[depth]).abs().max())


def formula_gap(config: PositionalConfig) -> float:
    """The table against the formula, entry by entry, by Python's own math."""
    encoding, d = encode_positions(config).encoding, config.d_model
    second = math.cos if config.cosines else math.sin
    return max(
        abs(float(encoding[pos, 2 * i + odd]) - wave(pos * config.step / config.base ** (2 * i / d)))
        for pos in range(config.n_position) for i in range(d // 2) for odd, wave in enumerate((math.sin, second))
    )  # fmt: skip


def minilm() -> BertEncoder:
    return cast(BertEncoder, compute.model("minilm"))


def small(value: float) -> str:
    """A difference that may be rounding: 0, 4.4·10⁻¹⁶ or 0.129."""
    if value == 0 or abs(value) >= 1e-3:
        return "0" if value == 0 else f"{value:.3f}"
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}·10{str(int(power)).translate(RAISED)}"


def wave_band(config: PositionalConfig, i: int, count: int, fine: int) -> Band:
    """Pair i as the formula has it, at whole positions and between them; a wave too short for its dots without its cosine."""
    between = torch.arange((count - 1) * fine + 1, dtype=torch.float64) / fine
    whole, dense = (
        rows(at, config)[:, 2 * i : 2 * i + 2].T.numpy() for at in (torch.arange(count, dtype=torch.float64), between)
    )
    turn = 2 * math.pi / float(frequencies(config.d_model, config.base)[i]) / config.step
    short = turn < 2
    called = f"pair {i}<br>λ {turn:,.0f}" if turn >= 1000 else f"pair {i}<br>λ {turn:.3g}"
    if short or not config.cosines:
        return Band(called, whole[0], sine_between=dense[0], coarse=short)
    return Band(called, *whole, *dense)
