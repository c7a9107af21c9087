"""What an exported program brings along besides the page's own functions: numbers out of text, and tables.

Their source goes into the programs as it stands here, so they need nothing of this project.
"""

import base64
import sys
import zlib

import torch
from torch import Tensor


def unpack(shape: tuple[int, ...], text: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """Numbers that travelled as text: compressed, in base64, row after row."""
    raw = bytearray(zlib.decompress(base64.b64decode(text)))
    return torch.frombuffer(raw, dtype=dtype).reshape(shape).float()


def unpack_text(text: str) -> str:
    """A long text that travelled compressed."""
    return zlib.decompress(base64.b64decode(text)).decode("utf-8", "surrogatepass")


def say(text: str) -> None:
    """Print any text on any terminal; what it cannot write is spelled out."""
    code = sys.stdout.encoding or "utf-8"
    print(text.encode(code, "backslashreplace").decode(code))


def show(name: str, values: Tensor, rows: tuple = (), columns: tuple = (), most: int = 12) -> None:
    """Print a tensor of one or two axes as a rounded table. Of a long axis the first ``most`` places are printed.

    Args:
        rows, columns: a name for each place of an axis, any text; numbers where there is none.
    """

    def label(names: tuple, at: int, width: int) -> str:
        return repr(names[at])[1:-1][:width] if at < len(names) else str(at)

    def cell(x: float) -> str:
        return f"{x:.3f}" if x == 0 or 1e-3 <= abs(x) < 1e5 else f"{x:.1e}"

    table = values if values.ndim == 2 else values[:, None]
    lines = [[""] + [label(columns, at, 7) for at in range(min(most, table.shape[1]))]]
    for at, line in enumerate(table[:most, :most].tolist()):
        lines.append([label(rows, at, 12), *map(cell, line)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    say(f"{name}, shape {tuple(values.shape)}")
    for line in lines:
        say("  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True)))
    more = [max(0, size - most) for size in table.shape]
    if any(more):
        say(f"... and {more[0]} more rows, {more[1]} more columns")
