"""Our encoder and the shipped MiniLM against transformers' BertModel and against the original's recorded attention."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from models.bert import BertEncoder, layer_weights, load_minilm, unpack
from models.errors import CheckpointError
from models.multihead import multi_head
from models.training import pack_minilm

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assets" / "weights" / "minilm"
SENTENCE = "The cat sat on the mat because it was tired."


@pytest.fixture(scope="module")
def minilm() -> BertEncoder:
    return load_minilm(FOLDER)


def as_bert(model: BertEncoder):
    """transformers' own model with the same (dequantised) parameters."""
    from transformers import BertConfig, BertModel

    weights = model.weights
    config = BertConfig(
        vocab_size=model.n_vocab,
        hidden_size=model.d_model,
        num_hidden_layers=model.n_layer,
        num_attention_heads=model.n_head,
        intermediate_size=weights.layers[0].w_up.shape[0],
        max_position_embeddings=len(model.positions),
        layer_norm_eps=weights.eps,
        attn_implementation="eager",
    )
    bert = BertModel(config, add_pooling_layer=False).eval()
    state = {
        "embeddings.word_embeddings.weight": weights.words.all_rows(),
        "embeddings.position_embeddings.weight": weights.positions,
        "embeddings.token_type_embeddings.weight": weights.segment.expand(2, -1),
    } | norm_state("embeddings.LayerNorm", weights.embedding_norm)
    for index, layer in enumerate(weights.layers):
        prefix = f"encoder.layer.{index}."
        for part, matrix, bias in zip(
            ("query", "key", "value"), layer.attention.w_qkv.chunk(3), layer.attention.b_qkv.chunk(3), strict=True
        ):
            state |= {
                f"{prefix}attention.self.{part}.weight": matrix,
                f"{prefix}attention.self.{part}.bias": bias,
            }
        state |= {
            f"{prefix}attention.output.dense.weight": layer.attention.w_out,
            f"{prefix}attention.output.dense.bias": layer.attention.b_out,
            f"{prefix}intermediate.dense.weight": layer.w_up,
            f"{prefix}intermediate.dense.bias": layer.b_up,
            f"{prefix}output.dense.weight": layer.w_down,
            f"{prefix}output.dense.bias": layer.b_down,
        }
        state |= norm_state(f"{prefix}attention.output.LayerNorm", layer.attention_norm)
        state |= norm_state(f"{prefix}output.LayerNorm", layer.ffn_norm)
    bert.load_state_dict(state)
    return bert


def norm_state(name, scale_and_shift):
    return {f"{name}.weight": scale_and_shift[0], f"{name}.bias": scale_and_shift[1]}


def assert_same(model: BertEncoder, bert, encoding) -> None:
    with torch.inference_mode():
        theirs = bert(torch.tensor([encoding.ids]), output_attentions=True, output_hidden_states=True)
    ours = model.trace(encoding)
    for layer, weights in zip(ours.layers, theirs.attentions, strict=True):
        torch.testing.assert_close(layer.attention.weights, weights[0], rtol=1e-4, atol=2e-6)
    for mine, hidden in zip(ours.hidden, theirs.hidden_states, strict=True):
        torch.testing.assert_close(mine, hidden[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.final, theirs.last_hidden_state[0], rtol=1e-5, atol=1e-5)


def test_minilm_equals_berts_own_model(minilm):
    bert = as_bert(minilm)
    for sentence in (*pack_minilm.SENTENCES, "", "word " * 300):
        assert_same(minilm, bert, minilm.encode(sentence))


@settings(max_examples=8, deadline=None)
@given(
    n_layer=st.integers(1, 3), n_head=st.sampled_from([1, 2, 4]), n_token=st.integers(1, 12), seed=st.integers(0, 999)
)
def test_a_random_encoder_equals_berts_own_model(n_layer, n_head, n_token, seed):
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=30,
        hidden_size=64,
        num_hidden_layers=n_layer,
        num_attention_heads=n_head,
        intermediate_size=24,
        max_position_embeddings=16,
        initializer_range=0.5,
        layer_norm_eps=1e-6,
    )
    packed = pack_minilm.pack(BertModel(config).state_dict(), n_layer)
    described = {"name": "r", "title": "R", "provenance": "", "n_context": 16, "eps": 1e-6}
    weights = unpack(packed, described | {"n_layer": n_layer, "n_head": n_head})
    model = BertEncoder(weights, None, described)
    ids = tuple(torch.randint(30, (n_token,)).tolist())
    assert_same(model, as_bert(model), pack_minilm_encoding(ids))


def pack_minilm_encoding(ids):
    from models.trace import Encoding

    return Encoding(ids, tuple(map(str, ids)))


def test_no_attention_weight_is_more_than_a_hundredth_from_the_originals(minilm):
    """Against the original's attention as BertModel gave it, kept in 16 bits (which adds at most 0.00025)."""
    recorded = np.load(pack_minilm.REFERENCE)
    largest = 0.0
    for index, sentence in enumerate(recorded["sentences"]):
        ours = pack_minilm.our_attention(minilm, str(sentence))
        theirs = torch.from_numpy(recorded[str(index)]).float()
        assert torch.allclose(theirs.sum(-1), torch.ones(()), atol=5e-3)
        largest = max(largest, (ours - theirs).abs().max().item())
    assert 0 < largest <= 0.01
    assert f"| {largest:.3f}" in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_recorded_attention_is_the_originals(minilm):
    original = pack_minilm.cache_home() / "models" / "all-MiniLM-L6-v2"
    if not (original / "model.safetensors").is_file() or not (original / "config.json").is_file():
        pytest.skip("the full model is not in the cache folder; python -m models.training.pack_minilm fetches it")
    config = json.loads((original / "config.json").read_text(encoding="utf-8"))
    maps = pack_minilm.original_attention(load_file(original / "model.safetensors"), config, minilm)
    recorded = np.load(pack_minilm.REFERENCE)
    for index, theirs in enumerate(maps):
        assert (theirs - torch.from_numpy(recorded[str(index)]).float()).abs().max() < 3e-4


def test_it_looks_at_the_cat(minilm):
    encoding = minilm.encode(SENTENCE)
    weights = minilm.trace(encoding).layers[5].attention.weights[11]
    assert weights[encoding.tokens.index("it"), encoding.tokens.index("cat")] == pytest.approx(0.71, abs=0.01)


def test_laws_of_a_trace(minilm):
    trace = minilm.trace(minilm.encode(SENTENCE))
    for index, layer in enumerate(trace.layers):
        torch.testing.assert_close(layer.attention.weights.sum(-1), torch.ones(12, len(trace.encoding.ids)))
        assert torch.equal(layer.residual_in, trace.hidden[index])
        assert torch.equal(layer.residual_out, trace.hidden[index + 1])
        again = multi_head(layer.normed_in, layer_weights(minilm, index))
        assert torch.equal(again.attention.weights, layer.attention.weights)


def test_all_heads_off_leave_the_bias_alone(minilm):
    encoding = minilm.encode("hello world")
    layer = minilm.trace(encoding, [(2, head) for head in range(12)]).layers[2]
    assert torch.allclose(layer.attn_out, layer_weights(minilm, 2).b_out.expand_as(layer.attn_out))
    plain, cut = minilm.trace(encoding), minilm.trace(encoding, [(2, 0)])
    assert torch.equal(plain.hidden[2], cut.hidden[2])
    assert not torch.equal(plain.hidden[3], cut.hidden[3])


def test_encode_as_transformers_does(minilm):
    from transformers import BertTokenizer

    theirs = BertTokenizer.from_pretrained(FOLDER)
    for text in (
        *pack_minilm.SENTENCES,
        "Ünïcödé ﬁ 東京 naïve [MASK] [SEP]x",
        "a\u200bb\ttab\n",
        "x" * 101,
        "",
        "don't",
    ):
        assert list(minilm.encode(text).ids) == theirs(text)["input_ids"]
    assert minilm.encode("Understanding tokenization").tokens == (
        "[CLS]",
        "understanding",
        "token",
        "##ization",
        "[SEP]",
    )


def test_a_text_beyond_the_context_is_cut_and_counted(minilm):
    encoding = minilm.encode("cat " * 500)
    assert len(encoding.ids) == len(encoding.tokens) == minilm.n_context
    assert encoding.truncated == 502 - minilm.n_context
    assert encoding.tokens[0] == "[CLS]"
    assert encoding.tokens[-1] == "[SEP]"


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(), max_size=60))
@pytest.mark.parametrize("extra", ["", "\ud800", "\udfff\ud83d\ude00 \x00"])
def test_no_text_raises(minilm, extra, text):
    encoding = minilm.encode(text + extra)
    assert len(encoding.ids) == len(encoding.tokens) <= minilm.n_context
    minilm.decode(encoding.ids)


def test_a_hundred_thousand_characters(minilm):
    assert len(minilm.encode("a" * 100_000).ids) == 3
    assert minilm.encode("é1 " * 33_000).truncated > 60_000


def test_embeddings_and_positions_are_reachable(minilm):
    assert minilm.positions.shape == (512, 384)
    ids = minilm.encode("king queen").ids
    assert torch.equal(minilm.embedding(ids), minilm.weights.words.all_rows()[list(ids)])


def test_an_encoder_reads_no_logits(minilm):
    trace = minilm.trace(minilm.encode("hi"))
    assert trace.logits is None
    with pytest.raises(ValueError, match="no language-model head"):
        minilm.read_out(trace.final)
    with pytest.raises(ValueError, match="do not fit"):
        minilm.trace(dataclasses.replace(trace.encoding, ids=()))


def test_loading_needs_no_transformers():
    """The import costs a visitor two seconds, so the shipped encoder must do without."""
    code = (
        "import sys, pathlib, models.bert as b; b.load_minilm(pathlib.Path(sys.argv[1]));"
        "assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(FOLDER)], check=True, cwd=ROOT)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(CheckpointError, match=r"no readable config\.json"):
        load_minilm(tmp_path / "nowhere")
    shutil.copy(FOLDER / "config.json", tmp_path)
    with pytest.raises(CheckpointError, match=r"no model\.safetensors"):
        load_minilm(tmp_path)
    shutil.copy(FOLDER / "model.safetensors", tmp_path)
    with pytest.raises(CheckpointError, match=r"vocabulary vocab\.txt .* cannot be read"):
        load_minilm(tmp_path)


def test_a_file_that_is_cut_short_or_changed(tmp_path):
    folder = shutil.copytree(FOLDER, tmp_path / "minilm")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1_000_000])
    with pytest.raises(CheckpointError, match="cut short: 1,000,000 of"):
        load_minilm(folder)
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="hash differs"):
        load_minilm(folder)
    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match="not JSON"):
        load_minilm(folder)


def test_a_tensor_or_setting_that_is_missing(tmp_path):
    folder = shutil.copytree(FOLDER, tmp_path / "minilm")
    tensors = load_file(folder / "model.safetensors")
    del tensors["layers.3.w_up"]
    save_file(tensors, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"sha256": pack_minilm.sha256_of(folder / "model.safetensors"), "bytes": 0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"lacks the entry 'layers\.3\.w_up'"):
        load_minilm(folder)
