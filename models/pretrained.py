"""Any Hugging Face causal, masked or encoder–decoder model, by hub name or local folder, behind our own trace types.

Safetensors only and no code from the download, ever. ``transformers`` costs two seconds to import, so it is imported
where it is used.
"""

import json
from pathlib import Path
from typing import Any

import torch

from models.errors import CheckpointError
from models.foreign_model import PretrainedModel
from models.foreign_tokenizer import load_tokenizer
from models.hub import check_memory, hub_folder, running_size
from models.memory import megabytes
from models.safetensors_header import read_headers
from models.weights_file import sha256_of

MOST_TOKENS = 128  # eager attention of a longer text would not fit beside other visitors
FETCHED = "attention_lab.json"  # what models/fetch.py writes beside a model: its title, provenance and hash


def _auto_class(config: Any) -> Any:
    """The transformers class that loads a model together with its head."""
    import transformers as hf

    architecture = (config.architectures or [""])[0]
    if config.is_encoder_decoder:
        return hf.AutoModelForSeq2SeqLM
    if "MaskedLM" in architecture or "PreTraining" in architecture:
        return hf.AutoModelForMaskedLM
    if architecture.endswith(("ForCausalLM", "LMHeadModel")):
        return hf.AutoModelForCausalLM
    masked, causal = hf.MODEL_FOR_MASKED_LM_MAPPING, hf.MODEL_FOR_CAUSAL_LM_MAPPING
    return hf.AutoModelForCausalLM if type(config) in causal and type(config) not in masked else hf.AutoModel


def _read(folder: Path, dtype: torch.dtype | str) -> Any:
    """The transformers model of a checked folder, every parameter of it from the file.

    Raises:
        CheckpointError: if transformers does not know or cannot load it, or if it lacks parameters.
    """
    from transformers import AutoConfig
    from transformers.utils import logging

    logging.disable_progress_bar()
    common = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **common)
        model, found = _auto_class(config).from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            attn_implementation="eager",
            dtype=dtype,
            output_loading_info=True,
            **common,
        )
    except Exception as error:  # the library raises half a dozen classes for a folder it cannot read
        raise CheckpointError(
            f"The folder {folder.name} is not a model that can be loaded without its own code."
        ) from error
    lacking = [*found["missing_keys"], *found.get("mismatched_keys", ())]
    lacking = [key for key in lacking if "pooler" not in str(key)]
    if lacking:
        raise CheckpointError(f"The model {folder.name} is incomplete: {len(lacking)} of its tensors are missing.")
    return model.eval().requires_grad_(False)


def _described(folder: Path) -> dict[str, Any]:
    """What the fetching program noted about a folder; empty for a folder from elsewhere.

    Raises:
        CheckpointError: if the weights are not the ones that were fetched.
    """
    try:
        noted = json.loads((folder / FETCHED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if sha256_of(folder / "model.safetensors") != noted.get("sha256"):
        raise CheckpointError(f"The weights of the model {folder.name} are not the expected ones: their hash differs.")
    return noted


def load_pretrained(
    source: str | Path, *, dtype: torch.dtype | str = "auto", device: torch.device | str = "cpu"
) -> PretrainedModel:
    """A model by its hub name (a string) or from a local folder (a ``Path``; a visitor's string never becomes one).

    Args:
        dtype: what the weights are computed in; "auto" is as they are stored.

    Raises:
        CheckpointError: with one sentence; nothing is half-loaded then.
    """
    folder = hub_folder(source) if isinstance(source, str) else source
    title = source if isinstance(source, str) else folder.name
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"The folder {folder.name} is not a model: it has no config.json.")
    header = read_headers(folder)
    size = header.parameters * dtype.itemsize if isinstance(dtype, torch.dtype) else header.size
    check_memory(running_size(size), f"The model “{title}”")
    noted = _described(folder)
    model = _read(folder, dtype).to(device)
    if not isinstance(getattr(model.config, "vocab_size", None), int):
        raise CheckpointError(f"The model “{title}” does not read text.")
    tokenizer = load_tokenizer(folder, model.config, MOST_TOKENS)
    where = f"from the model hub as “{source}”" if isinstance(source, str) else f"from the folder {folder.name}"
    said = noted.get("provenance") or (
        f"{header.parameters / 1e6:,.1f} million parameters ({megabytes(header.size)}) {where}; "
        "data and licence stand in its model card."
    )
    try:
        return PretrainedModel(model, tokenizer, noted.get("name") or title, noted.get("title") or title, said)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, RuntimeError) as error:
        raise CheckpointError(
            f"The model “{title}” does not work as a language model, so it cannot be shown."
        ) from error
