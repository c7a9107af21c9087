"""Rotary positions: queries and keys turned by their position instead of something added to the embeddings.

Su et al. 2021, "RoFormer", arXiv:2104.09864, equation 34. Pair i of a vector at position m turns by the angle m · θ_i,
with θ_i = base^(−2i / d_head). A score q_m · k_n then depends on the positions through m − n alone.

Two conventions say which columns form a pair. They are the same up to an order of the columns, but weights trained with
one fail with the other:

- "adjacent": columns 2i and 2i + 1, as in the paper, GPT-J and Meta's own Llama code;
- "half": columns i and i + d_head / 2, as in GPT-NeoX and in Llama as transformers runs it.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from models.positional import check_even, frequencies

Pairing = Literal["adjacent", "half"]


@dataclass(frozen=True)
class RotaryTrace:
    """A turn of vectors by their positions."""

    x: Tensor  # [..., token, d_head]
    angle: Tensor  # [token, pair] m · θ_i, radians
    cos: Tensor  # [token, pair]
    sin: Tensor  # [token, pair]
    rotated: Tensor  # [..., token, d_head] as long as x: a turn changes no length


def rotate(x: Tensor, positions: Tensor, base: float = 10000.0, pairing: Pairing = "half") -> RotaryTrace:
    """Turn each pair of x [..., token, d_head] by its position [token] (whole or not) times the pair's frequency.

    Raises:
        ValueError: if d_head is odd, the pairing unknown, or there is not one position per token.
    """
    check_even(x.shape[-1], "d_head")
    if positions.shape != x.shape[-2:-1]:
        raise ValueError(f"{tuple(positions.shape)} positions for {x.shape[-2]} tokens")
    angle = positions.to(torch.float64)[:, None] * frequencies(x.shape[-1], base).to(positions.device)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = split_pairs(x, pairing)
    rotated = join_pairs(first * cos - second * sin, second * cos + first * sin, pairing)
    return RotaryTrace(x, angle, cos, sin, rotated)


def split_pairs(x: Tensor, pairing: Pairing) -> tuple[Tensor, Tensor]:
    """[..., d_head] -> the first and the second column of each pair, [..., pair] both."""
    if pairing == "adjacent":
        return x[..., 0::2], x[..., 1::2]
    if pairing == "half":
        first, second = x.chunk(2, dim=-1)
        return first, second
    raise ValueError(f"unknown pairing {pairing!r}")


def join_pairs(first: Tensor, second: Tensor, pairing: Pairing) -> Tensor:
    """The inverse of ``split_pairs``: two [..., pair] -> [..., d_head]."""
    if pairing == "adjacent":
        return torch.stack([first, second], dim=-1).flatten(-2)
    return torch.cat([first, second], dim=-1)


def scores_by_offset(q: Tensor, k: Tensor, offsets: Tensor, base: float = 10000.0, pairing: Pairing = "half") -> Tensor:
    """One query and one key [d_head] as the key stands ``offsets`` [offset] positions behind the query -> [offset]."""
    turned = rotate(q.expand(len(offsets), -1), offsets, base, pairing).rotated
    return turned @ k
