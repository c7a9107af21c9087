"""Foreign models behind our trace types, against what transformers itself reports about tiny random checkpoints."""

import dataclasses
import json
import shutil
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import models.hub as hub
import models.pretrained as pretrained
from models.attention import attend
from models.errors import CheckpointError
from models.pretrained import PretrainedModel, load_pretrained

TEXT = "the cat sat on the mat because it was tired. the dog bit the man, and the man bit the dog!"
KINDS = ("gpt2", "llama", "bert", "bert-base", "t5")
MINILM = Path(__file__).resolve().parents[2] / "assets" / "weights" / "minilm"


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<|end|>"])
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


def wordpiece() -> Tokenizer:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator([TEXT], trainers.WordPieceTrainer(vocab_size=120, special_tokens=special))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=40)  # some shipped files have this baked in
    tokenizer.enable_truncation(12)
    return tokenizer


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        [TEXT], trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="<unk>")
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def tiny(kind: str):
    """A randomly initialised model of an architecture, and a tokenizer for it."""
    import transformers as hf

    torch.manual_seed(7)
    if kind == "gpt2":
        config = hf.GPT2Config(
            vocab_size=300, n_positions=48, n_embd=32, n_layer=3, n_head=4, bos_token_id=0, eos_token_id=0
        )
        return hf.GPT2LMHeadModel(config), byte_level(), {"eos_token": "<|end|>"}
    if kind == "llama":
        config = hf.LlamaConfig(
            vocab_size=300,
            hidden_size=48,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=64,
            initializer_range=0.3,
            bos_token_id=0,
            eos_token_id=0,
        )
        return hf.LlamaForCausalLM(config), byte_level(), {"eos_token": "<|end|>"}
    if kind in ("bert", "bert-base"):
        config = hf.BertConfig(
            vocab_size=120,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=40,
            max_position_embeddings=40,
            initializer_range=0.3,
        )
        made = hf.BertForMaskedLM(config) if kind == "bert" else hf.BertModel(config, add_pooling_layer=False)
        return made, wordpiece(), {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    config = hf.T5Config(
        vocab_size=90,
        d_model=32,
        d_kv=8,
        d_ff=40,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=4,
        decoder_start_token_id=0,
        initializer_factor=3.0,
    )
    return hf.T5ForConditionalGeneration(config), unigram(), {"eos_token": "</s>", "pad_token": "<pad>"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    from transformers import PreTrainedTokenizerFast

    found = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind) / f"tiny-{kind}"
        model, tokenizer, special = tiny(kind)
        model.save_pretrained(folder)
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
        found[kind] = folder
    return found


@pytest.fixture(scope="module")
def loaded(folders) -> dict[str, PretrainedModel]:
    return {kind: load_pretrained(folder) for kind, folder in folders.items()}


def reference(folder: Path, kind: str, **inputs):
    """The library's own eager outputs, by a second copy of the model that knows nothing of us."""
    import transformers as hf

    classes = {
        "gpt2": hf.GPT2LMHeadModel,
        "llama": hf.LlamaForCausalLM,
        "bert": hf.BertForMaskedLM,
        "bert-base": hf.BertModel,
        "t5": hf.T5ForConditionalGeneration,
    }
    model = classes[kind].from_pretrained(folder, attn_implementation="eager").eval()
    with torch.inference_mode():
        return model(**{name: torch.tensor([ids]) for name, ids in inputs.items()}, **ALL)


ALL = {"output_attentions": True, "output_hidden_states": True}
ALONE = ("gpt2", "llama", "bert", "bert-base")


@pytest.mark.parametrize("kind", ALONE)
def test_weights_states_and_logits_are_the_librarys_own(loaded, folders, kind):
    model = loaded[kind]
    encoding = model.encode(TEXT)
    ours, theirs = model.trace(encoding), reference(folders[kind], kind, input_ids=encoding.ids)
    assert model.n_layer == len(theirs.attentions) == len(ours.layers)
    for layer, weights in zip(ours.layers, theirs.attentions, strict=True):
        assert torch.equal(layer.attention.weights, weights[0])
    assert len(ours.hidden) == model.n_layer + 1
    for mine, hidden in zip(ours.hidden[:-1], theirs.hidden_states[:-1], strict=True):
        assert torch.equal(mine, hidden[0])
    assert torch.equal(ours.final, theirs.hidden_states[-1][0])
    if kind == "bert-base":
        assert ours.logits is None
    else:
        assert torch.equal(ours.logits, theirs.logits[0])


@pytest.mark.parametrize("kind", ALONE)
def test_the_stages_give_the_same_weights_again(loaded, kind):
    model = loaded[kind]
    for layer in model.trace(model.encode(TEXT)).layers:
        stages = layer.attention
        assert stages.q.shape[0] == stages.k.shape[0] == stages.v.shape[0] == model.n_head
        again = attend(stages.q, stages.k, stages.v, stages.masked > -torch.inf)
        torch.testing.assert_close(again.weights, stages.weights, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(stages.masked.softmax(-1), stages.weights, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(stages.weights.sum(-1), torch.ones(stages.weights.shape[:2]))
        future = torch.ones_like(stages.masked, dtype=torch.bool).triu(1)
        assert (stages.masked[future] == -torch.inf).all() == (model.kind == "causal")


def test_t5_shows_cross_attention(loaded, folders):
    model = loaded["t5"]
    source, target = model.encode("the cat sat"), model.encode("the dog bit the man")
    ours = model.trace(source, target=target)
    read = ours.encoding
    assert read.ids == (0, *target.ids[:-1])
    assert len(read.tokens) == len(read.ids)
    theirs = reference(folders["t5"], "t5", input_ids=source.ids, decoder_input_ids=read.ids)
    assert (model.n_layer, len(ours.layers), model.kind) == (3, 3, "encoder-decoder")
    for layer, own, cross in zip(ours.layers, theirs.decoder_attentions, theirs.cross_attentions, strict=True):
        assert torch.equal(layer.attention.weights, own[0])
        assert torch.equal(layer.cross.weights, cross[0])
        assert layer.cross.weights.shape == (4, len(read.ids), len(source.ids))
        for stages in (layer.attention, layer.cross):
            torch.testing.assert_close(stages.masked.softmax(-1), stages.weights, atol=1e-5, rtol=1e-4)
    assert torch.equal(ours.logits, theirs.logits[0])
    assert torch.equal(ours.hidden[1], theirs.decoder_hidden_states[1][0])
    encoder = model.trace_encoder(source)
    for layer, weights in zip(encoder.layers, theirs.encoder_attentions, strict=True):
        assert torch.equal(layer.attention.weights, weights[0])
    assert torch.equal(encoder.final, theirs.encoder_last_hidden_state[0])


def test_t5_predicts_its_own_text_unless_told_otherwise(loaded):
    model = loaded["t5"]
    encoding = model.encode("the cat sat")
    assert model.trace(encoding).encoding == model.decoder_encoding(encoding)
    with pytest.raises(ValueError, match="no encoder of its own"):
        loaded["gpt2"].trace_encoder(loaded["gpt2"].encode("a"))


def test_grouped_heads_are_repeated_and_said(loaded):
    model = loaded["llama"]
    assert (model.n_head, model.shared_heads) == (6, 3)
    assert "2 key-value heads, each shared by 3 query heads" in model.provenance
    keys = model.trace(model.encode(TEXT)).layers[1].attention.k
    assert torch.equal(keys[0], keys[2])
    assert not torch.equal(keys[2], keys[3])
    assert "key-value heads" not in loaded["gpt2"].provenance


def test_llamas_queries_are_rotated(loaded):
    """The same token at two places has one query before the rotation and two after."""
    model = loaded["llama"]
    queries = model.trace(dataclasses.replace(model.encode("aaa"), ids=(5, 5, 5))).layers[0].attention.q
    assert not torch.allclose(queries[:, 0], queries[:, 2], atol=1e-3)
    torch.testing.assert_close(queries[:, 0].norm(dim=-1), queries[:, 2].norm(dim=-1))


@pytest.mark.parametrize("kind", ["gpt2", "llama", "bert", "t5"])
def test_reading_out_the_last_state_gives_the_logits(loaded, kind):
    model = loaded[kind]
    trace = model.trace(model.encode(TEXT))
    torch.testing.assert_close(model.read_out(trace.hidden[-1]), trace.logits, rtol=1e-4, atol=1e-4)
    assert model.read_out(trace.hidden[0]).shape == trace.logits.shape
    assert not torch.allclose(model.read_out(trace.hidden[0]), trace.logits, atol=1e-2)


def test_a_bare_encoder_reads_no_logits(loaded):
    model = loaded["bert-base"]
    with pytest.raises(ValueError, match="no language-model head"):
        model.read_out(torch.zeros(model.d_model))


def test_a_head_switched_off_adds_zeros(loaded, folders):
    """Against the library with the columns of the output projection that read this head set to zero."""
    import transformers as hf

    model = loaded["gpt2"]
    encoding = model.encode(TEXT)
    cut = hf.GPT2LMHeadModel.from_pretrained(folders["gpt2"], attn_implementation="eager").eval()
    with torch.inference_mode():
        for layer, head in ((0, 3), (2, 1)):
            cut.transformer.h[layer].attn.c_proj.weight[head * 8 : head * 8 + 8] = 0  # Conv1D: [in, out]
        theirs = cut(torch.tensor([encoding.ids])).logits[0]
    plain = model.trace(encoding)
    torch.testing.assert_close(model.trace(encoding, {(0, 3), (2, 1)}).logits, theirs, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(plain.logits, theirs, atol=1e-3)
    assert torch.equal(model.trace(encoding).logits, plain.logits)


def test_a_head_of_t5s_decoder_switched_off(loaded):
    model = loaded["t5"]
    encoding = model.encode(TEXT)
    plain, cut = model.trace(encoding), model.trace(encoding, [(1, 2)])
    assert torch.equal(plain.hidden[1], cut.hidden[1])
    assert not torch.equal(plain.hidden[2], cut.hidden[2])


def test_visitors_at_the_same_time_do_not_meet(loaded):
    """Eight threads with different heads off, over and over: each always sees its own numbers."""
    model = loaded["llama"]
    encoding = model.encode(TEXT)
    wishes = [[], [(0, 0)], [(1, 5)], [(2, 3), (0, 1)]] * 2
    alone = [model.trace(encoding, wish).logits for wish in wishes]
    wrong = []

    def visit(wish, expected):
        for _ in range(15):
            trace = model.trace(encoding, wish)
            if not torch.equal(trace.logits, expected) or len(trace.layers) != 3:
                wrong.append(wish)

    threads = [threading.Thread(target=visit, args=pair) for pair in zip(wishes, alone, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    with torch.inference_mode():
        plain = model.model(torch.tensor([encoding.ids])).logits[0]
    torch.testing.assert_close(plain, alone[0])


def test_an_architecture_that_reports_its_weights_alone(tmp_path):
    """GPT-Neo computes attention in a function of its own: weights and states, no stages, no switching."""
    import transformers as hf

    torch.manual_seed(3)
    config = hf.GPTNeoConfig(
        vocab_size=300, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]]
    )
    hf.GPTNeoForCausalLM(config).save_pretrained(tmp_path)
    hf.PreTrainedTokenizerFast(tokenizer_object=byte_level()).save_pretrained(tmp_path)
    model = load_pretrained(tmp_path)
    encoding = model.encode(TEXT)
    trace = model.trace(encoding)
    plain = hf.GPTNeoForCausalLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    with torch.inference_mode():
        theirs = plain(torch.tensor([encoding.ids]), output_attentions=True)
    for layer, weights in zip(trace.layers, theirs.attentions, strict=True):
        assert torch.equal(layer.attention.weights, weights[0])
        assert layer.attention.q is None
    assert torch.equal(trace.logits, theirs.logits[0])
    torch.testing.assert_close(model.read_out(trace.hidden[-1]), trace.logits, rtol=1e-4, atol=1e-4)
    assert "weights alone" in model.provenance
    with pytest.raises(ValueError, match="does not let single heads be switched off"):
        model.trace(encoding, [(0, 0)])


def test_scores_that_are_bent_before_the_softmax_are_not_shown(tmp_path):
    """Gemma 2 squeezes its scores through tanh, which the stages do not have."""
    import transformers as hf

    torch.manual_seed(3)
    config = hf.Gemma2Config(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=40,
        attn_logit_softcapping=0.5,
        initializer_range=0.3,
    )
    hf.Gemma2ForCausalLM(config).save_pretrained(tmp_path)
    hf.PreTrainedTokenizerFast(tokenizer_object=byte_level(), eos_token="<|end|>").save_pretrained(tmp_path)
    model = load_pretrained(tmp_path)
    stages = model.trace(model.encode(TEXT)).layers[0].attention
    assert stages.masked is None
    assert stages.q is not None
    torch.testing.assert_close(stages.output, stages.weights @ stages.v)
    assert "more than scaling and a mask" in model.provenance


def test_the_shipped_minilm_in_transformers_form(tmp_path):
    """MiniLM saved as a BertModel and read back equals our own encoder of the same weights."""
    from transformers import BertTokenizer

    from models.bert import load_minilm
    from tests.unit.test_bert import as_bert

    own = load_minilm(MINILM)
    as_bert(own).save_pretrained(tmp_path)
    BertTokenizer.from_pretrained(MINILM).save_pretrained(tmp_path)
    foreign = load_pretrained(tmp_path)
    encoding = foreign.encode("The cat sat on the mat because it was tired.")
    assert encoding == own.encode("The cat sat on the mat because it was tired.")
    for mine, theirs in zip(own.trace(encoding).layers, foreign.trace(encoding).layers, strict=True):
        torch.testing.assert_close(mine.attention.weights, theirs.attention.weights, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(mine.attention.scaled, theirs.attention.scaled, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(mine.residual_out, theirs.residual_out, rtol=1e-4, atol=1e-4)


def test_half_precision_weights(folders, tmp_path):
    model = load_pretrained(folders["llama"], dtype=torch.bfloat16)
    trace = model.trace(model.encode(TEXT))
    assert trace.logits.dtype == trace.layers[0].attention.weights.dtype == torch.float32
    weights = trace.layers[0].attention.weights
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]), atol=2e-2, rtol=0)
    torch.testing.assert_close(model.read_out(trace.hidden[-1]), trace.logits, rtol=3e-2, atol=0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_beyond_the_context_is_cut_and_counted(loaded, kind):
    model = loaded[kind]
    assert model.n_context == {"gpt2": 48, "llama": 64, "bert": 40, "bert-base": 40, "t5": 128}[kind]
    encoding = model.encode(TEXT * 20)
    whole = len(model.tokenizer.backend.encode(TEXT * 20).ids)
    assert len(encoding.ids) == len(encoding.tokens) == model.n_context
    assert encoding.truncated == whole - model.n_context > 0
    if kind in ("bert", "t5"):
        assert encoding.ids[-1] == model.encode("the").ids[-1]
    model.trace(encoding)
    with pytest.raises(ValueError, match="do not fit"):
        model.trace(dataclasses.replace(encoding, ids=encoding.ids * 2))


def test_pieces_are_readable(loaded):
    assert "".join(loaded["gpt2"].encode(" the cat—é").tokens).startswith(" the cat")
    assert loaded["gpt2"].encode("é").tokens == ("�", "�")
    assert loaded["bert"].encode("The").tokens[0] == "[CLS]"
    assert loaded["t5"].encode("the cat").tokens[-1] == "</s>"
    assert "".join(loaded["t5"].encode("the cat").tokens[:-1]).strip() == "the cat"
    assert loaded["gpt2"].decode(loaded["gpt2"].encode(TEXT).ids) == TEXT


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, deadline=None)
@given(text=st.text(st.characters(), max_size=30))
def test_no_text_raises(loaded, kind, text):
    for visited in (text, text + "\udc00", "\ud83d" + text):
        encoding = loaded[kind].encode(visited)
        assert 0 < len(encoding.ids) == len(encoding.tokens) <= loaded[kind].n_context
        loaded[kind].decode(encoding.ids)


def test_an_empty_and_a_huge_text(loaded):
    for model in loaded.values():
        assert torch.isfinite(model.trace(model.encode("")).final).all()
        assert model.encode("the cat " * 12_500).truncated > 1000


# What can go wrong: one sentence each, nothing half-loaded.


@pytest.fixture
def copy(folders, tmp_path) -> Path:
    return Path(shutil.copytree(folders["gpt2"], tmp_path / "copy"))


def refused(source, match):
    with pytest.raises(CheckpointError, match=match) as found:
        load_pretrained(source)
    sentence = str(found.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_folder_that_is_not_a_model(tmp_path, copy):
    refused(tmp_path / "nowhere", r"not a model: it has no config\.json")
    refused(tmp_path, r"not a model: it has no config\.json")
    (copy / "model.safetensors").unlink()
    refused(copy, r"not a model with safetensors: model\.safetensors is missing")


def test_a_config_of_no_known_kind(copy):
    (copy / "config.json").write_text('{"model_type": "abacus"}', encoding="utf-8")
    refused(copy, "cannot|can be loaded")


def test_a_model_that_wants_its_own_code_run(copy):
    marker = copy / "ran"
    (copy / "configuration_x.py").write_text(f"open({str(marker)!r}, 'w')", encoding="utf-8")
    config = {"model_type": "x", "auto_map": {"AutoConfig": "configuration_x.X", "AutoModelForCausalLM": "m.X"}}
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    refused(copy, "without its own code")
    assert not marker.exists()


def test_a_weight_file_that_is_cut_short_or_is_something_else(copy):
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    for part, match in ((whole[:-100], "cut short"), (whole[:50], "cut short"), (b"", "cut short")):
        weights.write_bytes(part)
        refused(copy, match)
    weights.write_bytes((16).to_bytes(8, "little") + b"{not json at all" + whole)
    refused(copy, "header is damaged")


def test_a_model_that_lacks_tensors(copy):
    tensors = load_file(copy / "model.safetensors")
    del tensors["transformer.h.1.mlp.c_fc.weight"]
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    refused(copy, "incomplete: 1 of its tensors")


def test_a_part_that_is_missing(copy):
    (copy / "model.safetensors").rename(copy / "model-00001-of-00002.safetensors")
    parts = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    index = copy / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": parts}), encoding="utf-8")
    refused(copy, r"model-00002-of-00002\.safetensors is missing")
    index.write_text("[]", encoding="utf-8")
    refused(copy, "list of weight files .* is damaged")


def test_a_noted_hash_that_differs(copy):
    noted = {"sha256": pretrained.sha256_of(copy / "model.safetensors"), "title": "Named", "name": "n"}
    (copy / pretrained.FETCHED).write_text(json.dumps(noted), encoding="utf-8")
    assert load_pretrained(copy).title == "Named"
    (copy / pretrained.FETCHED).write_text(json.dumps(noted | {"sha256": "0" * 64}), encoding="utf-8")
    refused(copy, "hash differs")


def test_no_tokenizer(copy):
    (copy / "tokenizer.json").unlink()
    refused(copy, "no tokenizer that can be used")


def test_a_model_too_large_for_the_memory_left(copy, monkeypatch):
    monkeypatch.setattr(hub, "memory_left", lambda: 100_000_000)
    refused(copy, r"The model “copy” needs about 150 MB of memory, and 100 MB are left")
    monkeypatch.setattr(hub, "memory_left", lambda: None)
    load_pretrained(copy)
