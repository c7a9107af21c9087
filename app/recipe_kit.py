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


def show(name: str, values: Tensor, rows: tuple = (), columns: tuple = (), most: int = 16) -> None:
    """Print a tensor of one or two axes as a rounded table; of a long axis the first ``most`` places.

    Args:
        rows, columns: a name for each place of an axis, any text; numbers where there is none.
    """

    def label(names: tuple, at: int) -> str:
        return repr(names[at])[1:-1][:9] if at < len(names) else str(at)

    table = values.double() if values.ndim == 2 else values.double()[:, None]
    largest = table[table.isfinite()].abs().amax() if table.isfinite().any() else 0
    form = ".3f" if largest == 0 or 0.01 <= largest < 10_000 else ".1e"
    lines = [["", *(label(columns, at) for at in range(min(most, table.shape[1])))]]
    lines += [[label(rows, at), *(f"{x:{form}}" for x in line)] for at, line in enumerate(table[:most, :most].tolist())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    say(f"{name}, shape {tuple(values.shape)}")
    for line in lines:
        say("  ".join(word.rjust(width) for word, width in zip(line, widths, strict=True)))
    for more, axis in zip(table.shape, ("row", "column"), strict=True):
        if more > most:
            say(f"... and {more - most} more {axis}{'s' * (more - most > 1)}")
