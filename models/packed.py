"""A matrix kept in 8 bits: whole numbers from −127 to 127 with one scale for every group of columns.

A row of embeddings has a few large entries; with one scale a row they would take the precision from all the others, so
each group of 64 columns has a scale of its own.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PackedRows:
    """A matrix [row, column] in int8; rows come out in float32 when they are asked for."""

    levels: Tensor  # int8 [row, column]
    scale: Tensor  # float16 [row, group], column // (columns a group) is the group

    @property
    def shape(self) -> tuple[int, int]:
        return self.levels.shape[0], self.levels.shape[1]

    def rows(self, index: Tensor) -> Tensor:
        """float32 [..., column] of the rows named by index [...] (int64)."""
        levels, scale = self.levels[index], self.scale[index]
        grouped = levels.unflatten(-1, (scale.shape[-1], -1)).float()
        return (grouped * scale.unsqueeze(-1).float()).flatten(-2)

    def all_rows(self) -> Tensor:
        """The whole matrix in float32 [row, column]."""
        return self.rows(torch.arange(self.shape[0], device=self.levels.device))


def pack_rows(matrix: Tensor, group: int = 64) -> PackedRows:
    """Round a matrix [row, column] to 8 bits, each group of columns in a row with a scale of its own.

    An entry moves by at most half a level, plus what rounding the scale to 16 bits adds.

    Raises:
        ValueError: if the groups do not divide the columns.
    """
    if matrix.shape[1] % group:
        raise ValueError(f"groups of {group} do not divide {matrix.shape[1]} columns")
    grouped = matrix.float().unflatten(1, (-1, group))
    # The smallest normal float16 keeps an all-zero group away from 0/0.
    scale = (grouped.abs().amax(-1) / 127).clamp_min(torch.finfo(torch.float16).tiny).half()
    levels = (grouped / scale.unsqueeze(-1).float()).round().clamp(-127, 127).to(torch.int8)
    return PackedRows(levels.flatten(1), scale)
