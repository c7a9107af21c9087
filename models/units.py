"""Units of a recurrent network that follow something nameable, found by correlation.

After Karpathy, Johnson and Li 2015, "Visualizing and Understanding Recurrent Networks", who found such cells by eye.
Here every unit is correlated with every feature of the text; which unit is best is decided on one half of a text and
its correlation reported on the other half, so that the figure is not the luck of the draw.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Feature = Callable[[str], list[float]]


@dataclass(frozen=True)
class TrackingUnit:
    """A unit and what it follows. ``correlation`` is Pearson's r on text that had no part in choosing the unit."""

    feature: str
    state: str  # "cell" or "hidden"
    unit: int
    correlation: float


def position_in_line(text: str) -> list[float]:
    """Characters since the line began, counted after reading each character."""
    count, out = 0, []
    for character in text:
        count = 0 if character == "\n" else count + 1
        out.append(float(count))
    return out


def inside_quotation(text: str) -> list[float]:
    """1 from an opening double quotation mark until before its closing one; a line's end closes."""
    inside, out = False, []
    for character in text:
        inside = not inside if character == '"' else inside and character != "\n"
        out.append(float(inside))
    return out


def inside_bracket(text: str) -> list[float]:
    """1 from an opening round bracket until before its closing one; a line's end closes."""
    inside, out = False, []
    for character in text:
        inside = character == "(" or (inside and character not in ")\n")
        out.append(float(inside))
    return out


def position_in_word(text: str) -> list[float]:
    """Letters, digits and apostrophes since the last other character."""
    count, out = 0, []
    for character in text:
        count = count + 1 if character.isalnum() or character == "'" else 0
        out.append(float(count))
    return out


def between_words(text: str) -> list[float]:
    """1 where the character just read is no letter, digit or apostrophe."""
    return [float(count == 0) for count in position_in_word(text)]


def after_capital(text: str) -> list[float]:
    """1 inside a word that began with a capital letter."""
    capital, out, before = False, [], " "
    for character in text:
        if not (before.isalnum() or before == "'"):
            capital = character.isupper()
        capital = capital and (character.isalnum() or character == "'")
        out.append(float(capital))
        before = character
    return out


FEATURES: Mapping[str, Feature] = {
    "inside a quotation": inside_quotation,
    "position in the line": position_in_line,
    "position in the word": position_in_word,
    "between words": between_words,
    "in a word with a capital": after_capital,
    "inside a bracket": inside_bracket,
}


def correlation(states: Tensor, feature: Tensor) -> Tensor:
    """Pearson's r of every unit of states [step, unit] with feature [step] -> [unit]; 0 where either is constant."""
    x = states.double() - states.double().mean(0)
    y = feature.double() - feature.double().mean()
    length = x.norm(dim=0) * y.norm()
    return torch.where(length > 1e-12, (x * y[:, None]).sum(0) / length.clamp_min(1e-300), 0.0)


def find_units(text: str, states: Mapping[str, Tensor], least: float = 0.3) -> tuple[TrackingUnit, ...]:
    """The best unit for every feature, strongest first.

    Args:
        text: what was read, one character a step.
        states: by name, [step, unit] after each character.
        least: features whose best unit stays below this |r| are left out.
    """
    half = len(text) // 2
    found = []
    for name, feature in FEATURES.items():
        values = torch.tensor(feature(text))
        picks = []
        for kind, state in states.items():
            chosen = correlation(state[:half], values[:half])
            unit = int(chosen.abs().argmax())
            picks.append((float(chosen.abs()[unit]), kind, unit))
        _, kind, unit = max(picks)
        r = float(correlation(states[kind][half:, unit : unit + 1], values[half:]))
        if abs(r) >= least:
            found.append(TrackingUnit(name, kind, unit, r))
    return tuple(sorted(found, key=lambda pick: -abs(pick.correlation)))
