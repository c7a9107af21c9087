"""What a folder's safetensors promise, read from their headers before a byte of the weights is."""

import json
from dataclasses import dataclass
from pathlib import Path

from models.errors import CheckpointError

HEADER_LIMIT = 100_000_000  # bytes; the format's own
BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "BF16": 2, "F16": 2, "I16": 2}


@dataclass(frozen=True)
class Header:
    """The tensors of one or more weight files, counted."""

    parameters: int
    size: int  # bytes of the weights as they are stored


def read_header(path: Path) -> Header:
    """Count the tensors of one file and see that all their bytes are there.

    Raises:
        CheckpointError: if the file is not safetensors or is cut short.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(HEADER_LIMIT, size):
            raise CheckpointError(f"The weight file {path.name} is not safetensors, or is cut short.")
        try:
            entries = json.loads(file.read(length))
            tensors = [entry for name, entry in entries.items() if name != "__metadata__"]
            end = max((entry["data_offsets"][1] for entry in tensors), default=0)
            stored = sum(entry["data_offsets"][1] - entry["data_offsets"][0] for entry in tensors)
            count = sum((e["data_offsets"][1] - e["data_offsets"][0]) // BYTES.get(e["dtype"], 1) for e in tensors)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise CheckpointError(f"The weight file {path.name} is not safetensors: its header is damaged.") from error
    if size < 8 + length + end:
        raise CheckpointError(f"The weight file {path.name} is cut short: {size:,} of {8 + length + end:,} bytes.")
    return Header(count, stored)


def read_headers(folder: Path) -> Header:
    """All weight files of a model folder together, one ``model.safetensors`` or the parts that its index names.

    Raises:
        CheckpointError: if there are none, a part is missing, or one is damaged.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    files = [single]
    if not single.is_file() and index.is_file():
        try:
            named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            files = [folder / Path(str(name)).name for name in sorted(set(named))]
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise CheckpointError(f"The list of weight files in {folder.name} is damaged.") from error
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"The folder {folder.name} is not a model with safetensors: {file.name} is missing.")
    headers = [read_header(file) for file in files]
    return Header(sum(header.parameters for header in headers), sum(header.size for header in headers))
