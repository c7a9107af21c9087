"""A model's name to a folder on disk: the hub where it answers, else what was fetched before."""

import re
from functools import partial
from pathlib import Path

from models.cache import cache_home
from models.errors import CheckpointError
from models.memory import megabytes, memory_left

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
WANTED = ("*.json", "model*.safetensors", "vocab.txt", "merges.txt")
NOT_WANTED = ("*/*",)  # folders hold the same weights in other formats


def check_memory(needed: int, what: str) -> None:
    """Refuse what does not fit.

    Raises:
        CheckpointError: if ``needed`` bytes are more than the memory left.
    """
    left = memory_left()
    if left is not None and needed > left:
        raise CheckpointError(f"{what} needs about {megabytes(needed)} of memory, and {megabytes(left)} are left.")


def running_size(weights: int) -> int:
    """Bytes a loaded model takes in use, from the bytes of its weights: they are briefly held twice in part."""
    return int(weights * 1.5) + 150_000_000


def hub_folder(name: str, endpoint: str | None = None, timeout: float = 5.0) -> Path:
    """The folder of a model by its hub name, fetched if it is not there. Only settings, vocabulary and safetensors.

    Raises:
        CheckpointError: with one sentence, if the name is no name, does not exist, cannot be reached, is closed, has no
            safetensors, or is too large for the memory left.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if not NAME.fullmatch(name) or ".." in name or "--" in name:
        raise CheckpointError("A model's name looks like “gpt2” or “owner/model”; this one does not.")
    get = partial(
        snapshot_download,
        name,
        cache_dir=cache_home() / "hub",
        allow_patterns=list(WANTED),
        ignore_patterns=list(NOT_WANTED),
        token=False,  # a visitor's wish must not open what only the host may see
        endpoint=endpoint,
    )
    try:
        info = HfApi(endpoint=endpoint, token=False).model_info(name, files_metadata=True, timeout=timeout)
        check_download(name, {file.rfilename: file.size or 0 for file in info.siblings or []})
        return Path(get(etag_timeout=timeout))
    except GatedRepoError as error:
        raise CheckpointError(f"The model “{name}” is open only to those its owner admits.") from error
    except RepositoryNotFoundError as error:
        raise CheckpointError(f"There is no open model named “{name}” on the hub.") from error
    except CheckpointError:
        raise
    except Exception as error:  # every HTTP library and platform fails with classes of its own
        try:
            return Path(get(local_files_only=True))
        except Exception:
            raise CheckpointError(
                f"The model hub cannot be reached from here and “{name}” was not fetched before, "
                "so whether a model of that name exists cannot be told."
            ) from error


def check_download(name: str, sizes: dict[str, int]) -> None:
    """Refuse a model before a byte of its weights has come, by the sizes of its files.

    Raises:
        CheckpointError: if it has no safetensors or does not fit into the memory left.
    """
    weights = sum(size for file, size in sizes.items() if re.fullmatch(r"model[^/]*\.safetensors", file))
    if not weights:
        raise CheckpointError(f"The model “{name}” has no safetensors weights; other formats can hide code.")
    check_memory(running_size(weights), f"The model “{name}”")
