"""The GGUF reader and converter, against files written here by the format's description, and transformers' Llama."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import CheckpointError
from models.gguf import F16, F32, Q4_1, Q8_0, convert_llama, dequantise, read_gguf, unpermute

# A writer, the reader's mirror image.


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value(given) -> bytes:
    if isinstance(given, str):
        return struct.pack("<I", 8) + text(given)
    if isinstance(given, float):
        return struct.pack("<If", 6, given)
    if isinstance(given, int):
        return struct.pack("<II", 4, given)
    kind, pack = (8, text) if isinstance(given[0], str) else (5, lambda item: struct.pack("<i", item))
    return struct.pack("<IIQ", 9, kind, len(given)) + b"".join(map(pack, given))


def quantise(array: np.ndarray, kind: int) -> bytes:
    """float32 numbers to blocks of 32, by the rule in the reader's docstring."""
    if kind in (F32, F16):
        return array.astype(np.float32 if kind == F32 else np.float16).tobytes()
    blocks = array.reshape(-1, 32).astype(np.float32)
    if kind == Q8_0:
        scale = (np.abs(blocks).max(1, keepdims=True) / 127).astype(np.float16)
        levels = np.round(blocks / np.maximum(scale.astype(np.float32), 1e-8)).astype(np.int8)
        return b"".join(d.tobytes() + q.tobytes() for d, q in zip(scale, levels, strict=True))
    low = blocks.min(1, keepdims=True).astype(np.float16)
    scale = ((blocks.max(1, keepdims=True) - low) / 15).astype(np.float16)
    levels = np.clip(np.round((blocks - low) / np.maximum(scale.astype(np.float32), 1e-8)), 0, 15).astype(np.uint8)
    halves = levels[:, :16] | (levels[:, 16:] << 4)
    return b"".join(d.tobytes() + m.tobytes() + q.tobytes() for d, m, q in zip(scale, low, halves, strict=True))


def write_gguf(path: Path, described: dict, tensors: dict[str, tuple[np.ndarray, int]]) -> None:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(described))
    head += b"".join(text(name) + value(given) for name, given in described.items())
    bodies = b""
    for name, (array, kind) in tensors.items():
        axes = array.shape[::-1]
        head += text(name) + struct.pack(f"<I{len(axes)}QIQ", len(axes), *axes, kind, len(bodies))
        body = quantise(array, kind)
        bodies += body + bytes(-len(body) % 32)
    path.write_bytes(head + bytes(-len(head) % 32) + bodies)


# A tiny Llama in both layouts.

HEADS, GROUPS, WIDTH = 4, 2, 64


def vocabulary() -> tuple[list[str], list[str]]:
    from tokenizers.pre_tokenizers import ByteLevel

    pieces = ["<|end|>", "<|im_start|>", *sorted(ByteLevel.alphabet())]
    merges = ["t h", "th e", "Ġ the", "1 2"]
    return [*pieces, *(merge.replace(" ", "") for merge in merges)], merges


def tiny_llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=len(vocabulary()[0]),
        hidden_size=WIDTH,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        num_key_value_heads=GROUPS,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 5000.0},
        rms_norm_eps=1e-5,
        initializer_range=0.2,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def write_tiny(path: Path, kind: int = F32, **changed) -> None:
    """tiny_llama as a GGUF file: Q and K with each rotated pair side by side."""
    pieces, merges = vocabulary()
    described = {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.context_length": 64,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": 96,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": GROUPS,
        "llama.rope.freq_base": 5000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.token_type": [3, 3, *[1] * (len(pieces) - 2)],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.chat_template": "{{ messages }}",
    } | changed
    theirs = tiny_llama().model
    tensors = {
        "token_embd.weight": (theirs.embed_tokens.weight, kind),
        "output_norm.weight": (theirs.norm.weight, F32),
    }
    for index, layer in enumerate(theirs.layers):
        attention, mlp, block = layer.self_attn, layer.mlp, f"blk.{index}."
        pairs = {"attn_q": (attention.q_proj.weight, HEADS), "attn_k": (attention.k_proj.weight, GROUPS)}
        for name, (weight, n_head) in pairs.items():
            halves = weight.unflatten(0, (n_head, 2, -1))
            tensors[f"{block}{name}.weight"] = (halves.transpose(1, 2).flatten(0, 2), kind)
        tensors |= {
            f"{block}attn_v.weight": (attention.v_proj.weight, kind),
            f"{block}attn_output.weight": (attention.o_proj.weight, kind),
            f"{block}ffn_gate.weight": (mlp.gate_proj.weight, kind),
            f"{block}ffn_up.weight": (mlp.up_proj.weight, kind),
            f"{block}ffn_down.weight": (mlp.down_proj.weight, kind),
            f"{block}attn_norm.weight": (layer.input_layernorm.weight, F32),
            f"{block}ffn_norm.weight": (layer.post_attention_layernorm.weight, F32),
        }
    write_gguf(path, described, {name: (t.detach().numpy(), k) for name, (t, k) in tensors.items()})


def test_blocks_by_hand():
    half = np.float16
    q8 = half(0.5).tobytes() + np.arange(-16, 16, dtype=np.int8).tobytes()
    assert dequantise(np.frombuffer(q8, np.uint8), Q8_0).tolist() == [0.5 * q for q in range(-16, 16)]
    # Low halves are the first sixteen numbers (0 … 15), high halves the others (all 2).
    q4 = half(0.25).tobytes() + half(-1).tobytes() + bytes(low | (2 << 4) for low in range(16))
    assert dequantise(np.frombuffer(q4, np.uint8), Q4_1).tolist() == [0.25 * q - 1 for q in range(16)] + [-0.5] * 16


@settings(max_examples=20, deadline=None)
@given(kind=st.sampled_from([F32, F16, Q8_0, Q4_1]), blocks=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_numbers_survive_within_their_level(kind, blocks, seed):
    array = np.random.default_rng(seed).normal(size=blocks * 32).astype(np.float32)
    back = dequantise(np.frombuffer(quantise(array, kind), np.uint8), kind)
    spread = np.ptp(array.reshape(-1, 32), axis=1).max()
    bound = {F32: 0, F16: 4e-3, Q8_0: np.abs(array).max() / 200, Q4_1: spread / 29}[kind]
    assert np.abs(back - array).max() <= bound


def test_pairs_go_back_to_halves():
    rows = torch.arange(8.0).unsqueeze(1)  # two heads of four: pairs (0,1) (2,3) | (4,5) (6,7)
    assert unpermute(rows, 2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize("kind", [F32, Q8_0, Q4_1])
def test_a_converted_model_is_the_model(tmp_path, kind):
    """Exact but for the rounding: bfloat16 always, blocks where the file has them."""
    from transformers import LlamaForCausalLM

    write_tiny(tmp_path / "tiny.gguf", kind)
    convert_llama(tmp_path / "tiny.gguf", tmp_path / "made", say=lambda _: None)
    theirs = tiny_llama()
    made, info = LlamaForCausalLM.from_pretrained(tmp_path / "made", dtype=torch.float32, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert made.config.rope_parameters["rope_theta"] == 5000.0
    for name, tensor in theirs.state_dict().items():
        mine = made.state_dict()[name]
        if kind == F32:
            assert torch.equal(mine, tensor.bfloat16().float())
        else:
            assert (mine - tensor).abs().max() < {Q8_0: 0.01, Q4_1: 0.08}[kind]
    if kind == F32:
        ids = torch.randint(0, 200, (1, 20), generator=torch.Generator().manual_seed(1))
        theirs.load_state_dict({name: tensor.bfloat16() for name, tensor in theirs.state_dict().items()})
        with torch.inference_mode():
            torch.testing.assert_close(made(ids).logits, theirs(ids).logits, atol=1e-4, rtol=1e-4)


def test_a_converted_model_opens_with_its_tokenizer(tmp_path):
    from models.pretrained import load_pretrained

    write_tiny(tmp_path / "tiny.gguf")
    convert_llama(tmp_path / "tiny.gguf", tmp_path / "made", say=lambda _: None)
    model = load_pretrained(tmp_path / "made")
    assert model.encode("the the 12<|im_start|>").tokens == ("the", " the", " ", "1", "2", "<|im_start|>")
    assert model.decode(model.encode("naïve 東京 the").ids) == "naïve 東京 the"
    assert model.shared_heads == 2
    trace = model.trace(model.encode("the the"))
    torch.testing.assert_close(model.read_out(trace.hidden[-1]), trace.logits, rtol=3e-2, atol=0.1)


def refused(path, match, folder=None):
    with pytest.raises(CheckpointError, match=match) as found:
        convert_llama(path, folder or path.parent / "made", say=lambda _: None)
    assert str(found.value).endswith(".")


def test_files_that_are_not_right(tmp_path):
    path = tmp_path / "tiny.gguf"
    write_tiny(path)
    whole = path.read_bytes()
    for length in (0, 10, 3000, len(whole) - 200):
        path.write_bytes(whole[:length])
        refused(path, "cut short")
    path.write_bytes(b"PK\3\4" + whole[4:])
    refused(path, "not GGUF")
    write_tiny(path, **{"general.architecture": "mamba"})
    refused(path, "not a model of the Llama type")
    write_tiny(path, **{"tokenizer.ggml.pre": "other"})
    refused(path, "vocabulary of the kind gpt2/other")
    write_gguf(path, {"general.architecture": "llama"}, {"x.weight": (np.zeros(32, np.float32), F32)})
    refused(path, "not a complete Llama model")
    write_gguf(path, {"a": 1}, {"x": (np.zeros(32, np.float32), F32)})
    body = path.read_bytes().replace(struct.pack("<IQIQ", 1, 32, F32, 0), struct.pack("<IQIQ", 1, 32, 14, 0))
    path.write_bytes(body)
    refused(path, r"a kind that is not read here \(14\)")


def test_a_tensor_comes_out_in_its_shape(tmp_path):
    array = np.arange(128, dtype=np.float32).reshape(2, 64)
    write_gguf(tmp_path / "x.gguf", {"a": [1, 2], "b": ["c", "é"]}, {"w": (array, F32), "v": (array[0], F16)})
    file = read_gguf(tmp_path / "x.gguf")
    assert file.settings == {"a": [1, 2], "b": ["c", "é"]}
    assert np.array_equal(file.tensor("w").numpy(), array)
    assert np.array_equal(file.tensor("v").numpy(), array[0])
