"""A shipped checkpoint on disk: ``model.safetensors`` beside a ``config.json`` that carries its SHA-256.

Nothing is unpickled and nothing is half-loaded: either every byte is the one that was measured, or there is one
sentence that says what is wrong.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from models.errors import CheckpointError

WEIGHTS = "model.safetensors"
CONFIG = "config.json"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a checkpoint folder.

    Raises:
        CheckpointError: if ``config.json`` is missing or is not a JSON object.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"The model folder {folder.name} has no readable {CONFIG}.") from error
    except ValueError as error:
        raise CheckpointError(f"The {CONFIG} of the model {folder.name} is damaged: it is not JSON.") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"The {CONFIG} of the model {folder.name} is damaged: it is not a JSON object.")
    return config


def read_checked(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings and the tensors of a checkpoint folder, after its weight file was found to be the right one.

    Raises:
        CheckpointError: if a file is missing, cut short, or not the one whose hash the settings carry.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config = read_config(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"The weights of the model {folder.name} are missing: there is no {WEIGHTS}.")
    size, expected = path.stat().st_size, config.get("bytes")
    if expected is not None and size < expected:
        raise CheckpointError(
            f"The weights of the model {folder.name} are cut short: {size:,} of {expected:,} bytes are there."
        )
    if sha256_of(path) != config.get("sha256"):
        raise CheckpointError(f"The weights of the model {folder.name} are not the expected ones: their hash differs.")
    try:
        return config, load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"The weights of the model {folder.name} cannot be read as safetensors.") from error
