"""Reading a GGUF file and writing it again as a folder that transformers loads.

GGUF keeps a model in one file: settings, vocabulary, and tensors in blocks of small whole numbers. Only what the Llama
family with a byte-level vocabulary needs is read here; nothing in the file is ever run.
"""

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from models.errors import CheckpointError

NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9
BLOCK = 32  # numbers that share a scale
F32, F16, Q4_1, Q8_0 = 0, 1, 3, 8
BYTES_A_BLOCK = {F32: 4 * BLOCK, F16: 2 * BLOCK, Q4_1: 4 + BLOCK // 2, Q8_0: 2 + BLOCK}
SPECIAL = 3  # the vocabulary's mark of a control token


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies and how."""

    shape: tuple[int, ...]
    kind: int
    start: int  # byte in the file


@dataclass(frozen=True)
class GGUF:
    """An opened file: its settings, and its tensors one at a time."""

    path: Path
    settings: dict[str, Any]
    entries: dict[str, Entry]

    def tensor(self, name: str) -> Tensor:
        """One tensor in float32."""
        entry = self.entries[name]
        raw = np.fromfile(self.path, np.uint8, count=_size(entry), offset=entry.start)
        return torch.from_numpy(dequantise(raw, entry.kind)).reshape(entry.shape)


def dequantise(raw: np.ndarray, kind: int) -> np.ndarray:
    """Bytes of whole blocks to float32 numbers.

    Q8_0: a block is a float16 scale d and 32 signed bytes q: x = d·q. Q4_1: a block is a float16 scale d, a float16
    smallest value m, and 16 bytes with the first 16 numbers in their low halves and the others in the high: x = d·q + m.
    """
    if kind == F32:
        return raw.view(np.float32).copy()
    if kind == F16:
        return raw.view(np.float16).astype(np.float32)
    blocks = raw.reshape(-1, BYTES_A_BLOCK[kind])
    scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    if kind == Q8_0:
        return (scale * blocks[:, 2:].view(np.int8)).reshape(-1)
    smallest = blocks[:, 2:4].copy().view(np.float16).astype(np.float32)
    halves = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
    return (scale * halves + smallest).reshape(-1)


def _size(entry: Entry) -> int:
    return math.prod(entry.shape) // BLOCK * BYTES_A_BLOCK[entry.kind]


def _number(file: IO[bytes], code: str) -> Any:
    return struct.unpack("<" + code, file.read(struct.calcsize(code)))[0]


def _value(file: IO[bytes], kind: int) -> Any:
    if kind == TEXT:
        return file.read(_number(file, "Q")).decode("utf-8")
    if kind == ARRAY:
        inner, count = _number(file, "I"), _number(file, "Q")
        return [_value(file, inner) for _ in range(count)]
    return _number(file, NUMBERS[kind])


def read_gguf(path: Path) -> GGUF:
    """Open a file and see that every tensor it names is there whole.

    Raises:
        CheckpointError: if it is not GGUF, is cut short, or holds tensors of a kind that is not read here.
    """
    try:
        with path.open("rb") as file:
            magic, version = file.read(4), _number(file, "I")
            if magic != b"GGUF" or version not in (2, 3):
                raise CheckpointError(f"The file {path.name} is not GGUF.")
            n_tensor, n_setting = _number(file, "Q"), _number(file, "Q")
            settings = {_value(file, TEXT): _value(file, _number(file, "I")) for _ in range(n_setting)}
            found = {}
            for _ in range(n_tensor):
                name = _value(file, TEXT)
                shape = tuple(_number(file, "Q") for _ in range(_number(file, "I")))[::-1]  # fastest axis first there
                found[name] = Entry(shape, _number(file, "I"), _number(file, "Q"))
            step = settings.get("general.alignment", 32)
            first = -(-file.tell() // step) * step
    except (struct.error, UnicodeDecodeError, KeyError, MemoryError) as error:
        raise CheckpointError(f"The file {path.name} is cut short or is not GGUF.") from error
    entries = {name: Entry(entry.shape, entry.kind, first + entry.start) for name, entry in found.items()}
    if unknown := {entry.kind for entry in entries.values()} - BYTES_A_BLOCK.keys():
        raise CheckpointError(f"The file {path.name} holds tensors of a kind that is not read here ({min(unknown)}).")
    if any(entry.start + _size(entry) > path.stat().st_size for entry in entries.values()):
        raise CheckpointError(f"The file {path.name} is cut short.")
    return GGUF(path, settings, entries)


def unpermute(weight: Tensor, n_head: int) -> Tensor:
    """Rows [head·d_head, d_model] of Q or K back into the order in which transformers rotates them.

    GGUF keeps the two numbers of each rotated pair side by side, transformers half a head apart.
    """
    pairs = weight.unflatten(0, (n_head, -1, 2))  # [head, pair, 2, d_model]
    return pairs.transpose(1, 2).flatten(0, 2)


def llama_config(settings: dict[str, Any], tied: bool) -> dict[str, Any]:
    """The settings of a Llama-type model as ``config.json`` spells them."""

    def get(name: str) -> Any:
        return settings[f"llama.{name}"]

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": get("embedding_length"),
        "intermediate_size": get("feed_forward_length"),
        "num_hidden_layers": get("block_count"),
        "num_attention_heads": get("attention.head_count"),
        "num_key_value_heads": get("attention.head_count_kv"),
        "max_position_embeddings": get("context_length"),
        "rms_norm_eps": get("attention.layer_norm_rms_epsilon"),
        "rope_theta": get("rope.freq_base"),
        "vocab_size": len(settings["tokenizer.ggml.tokens"]),
        "bos_token_id": settings.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": settings.get("tokenizer.ggml.eos_token_id"),
        "pad_token_id": settings.get("tokenizer.ggml.padding_token_id"),
        "tie_word_embeddings": tied,
        "dtype": "bfloat16",
    }


WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
IN_LAYER = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def llama_tensor(file: GGUF, name: str) -> tuple[str, Tensor]:
    """One tensor under its transformers name, in bfloat16."""
    tensor = file.tensor(name)
    part = name.removesuffix(".weight")
    if part in WHOLE:
        return f"{WHOLE[part]}.weight", tensor.bfloat16()
    _, layer, part = part.split(".")
    heads = {"attn_q": "llama.attention.head_count", "attn_k": "llama.attention.head_count_kv"}
    if part in heads:
        tensor = unpermute(tensor, file.settings[heads[part]])
    return f"model.layers.{layer}.{IN_LAYER[part]}.weight", tensor.bfloat16()


def write_tokenizer(settings: dict[str, Any], folder: Path) -> None:
    """The byte-level vocabulary as ``tokenizer.json``: digits one by one, then GPT-2's cut into words.

    Raises:
        CheckpointError: if the vocabulary is of another kind.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    kind = settings.get("tokenizer.ggml.model"), settings.get("tokenizer.ggml.pre")
    if kind != ("gpt2", "smollm"):
        raise CheckpointError(f"A vocabulary of the kind {kind[0]}/{kind[1]} is not read here.")
    pieces = settings["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in settings["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({piece: index for index, piece in enumerate(pieces)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    marks = zip(pieces, settings["tokenizer.ggml.token_type"], strict=True)
    tokenizer.add_special_tokens([AddedToken(piece, normalized=False) for piece, mark in marks if mark == SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"bos_token": "bos_token_id", "eos_token": "eos_token_id", "pad_token": "padding_token_id"}
    described = {name: pieces[settings[f"tokenizer.ggml.{key}"]] for name, key in named.items()}
    described |= {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": settings["tokenizer.chat_template"]}
    (folder / "tokenizer_config.json").write_text(json.dumps(described, indent=2), encoding="utf-8")


def convert_llama(path: Path, folder: Path, say: Callable[[str], None] = print) -> None:
    """A Llama-type GGUF file to a folder in transformers' layout, its weights in bfloat16 safetensors.

    Raises:
        CheckpointError: if the file is damaged or is not of the Llama type.
    """
    from safetensors.torch import save_file

    file = read_gguf(path)
    if file.settings.get("general.architecture") != "llama":
        raise CheckpointError(f"The file {path.name} is not a model of the Llama type.")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        config = llama_config(file.settings, tied="output.weight" not in file.entries)
        (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        write_tokenizer(file.settings, folder)
        say(f"Converting {len(file.entries)} tensors to bfloat16")
        tensors = dict(llama_tensor(file, name) for name in file.entries)
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointError(f"The file {path.name} is not a complete Llama model: {error} is not there.") from error
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
