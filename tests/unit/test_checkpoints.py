"""Shipped weights: they load, take any text, and each way of being broken is one clear sentence."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import checkpoints
from models.checkpoints import CheckpointError
from models.small_gpt import SmallGPT, load_small_gpt
from models.trace import Encoding
from models.training.export_gpt import pack
from models.training.tokenizer import train_tokenizer
from models.transformer import GPT, GPTConfig, init_weights

TEXT = ["How are you doing today?", "I like to play outside.", "What do you like to do?"] * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny GPT with a tokenizer of its own, written as the shipped one is."""
    tokenizer = train_tokenizer(TEXT, n_vocab=290)
    model = GPT(GPTConfig(tokenizer.get_vocab_size(), 16, 2, 2, 8, 16))
    init_weights(model, 0)
    made = tmp_path_factory.mktemp("weights") / "small-gpt"
    pack(made, model, tokenizer, {})
    return made


@pytest.fixture(scope="module")
def tiny(folder: Path) -> SmallGPT:
    return load_small_gpt(folder)


@pytest.fixture
def broken(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to break, found by ``checkpoints.load``."""
    monkeypatch.setenv("ATTENTION_LAB_WEIGHTS", str(tmp_path))
    return Path(shutil.copytree(folder, tmp_path / "small-gpt"))


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates too


@given(ANY_TEXT)
@settings(max_examples=80, deadline=None)
def test_any_text_round_trips(tiny: SmallGPT, text: str) -> None:
    encoding = tiny.encode(text)
    assert len(encoding.ids) == len(encoding.tokens) >= 1
    assert len(encoding.ids) <= tiny.n_context
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    ids = tiny.tokenizer.encode(whole).ids
    assert tiny.decode(ids) == whole
    assert encoding.truncated == max(0, len(ids) - tiny.n_context)
    if whole.isascii() and whole:
        assert "".join(encoding.tokens) == tiny.decode(encoding.ids)
        assert whole.startswith("".join(encoding.tokens))


def test_hostile_texts(tiny: SmallGPT) -> None:
    assert tiny.encode("").ids == (tiny.end_of_text,)
    assert tiny.end_of_text not in tiny.encode("<|endoftext|>").ids
    assert tiny.encode("a" * 100_000).truncated > 1000
    assert tiny.encode("\ud800 x").tokens[-2:] == (" ", "x") or "x" in "".join(tiny.encode("\ud800 x").tokens)
    assert "\ufffd" in tiny.encode("😀").tokens  # one token is a part of a character
    assert tiny.decode(tiny.encode("😀").ids) == "😀"


def test_trace_equals_the_plain_and_the_cached_pass(tiny: SmallGPT) -> None:
    encoding = tiny.encode("How are you?")
    traced = tiny.trace(encoding)
    assert traced.logits is not None
    torch.testing.assert_close(traced.logits, tiny.logits(encoding.ids))
    first, cache = tiny.step(encoding.ids[:3])
    rest, _ = tiny.step(encoding.ids[3:], cache)
    torch.testing.assert_close(torch.cat([first, rest]), traced.logits)
    torch.testing.assert_close(tiny.read_out(traced.hidden[-1]), traced.logits)
    assert not traced.logits.requires_grad
    long = list(range(tiny.n_context + 3))
    torch.testing.assert_close(tiny.next_logits(long), tiny.logits(long[3:])[-1])
    with pytest.raises(ValueError, match="no token"):
        tiny.trace(Encoding((), ()))


def test_exported_weights_are_the_models_in_half_precision(folder: Path, tiny: SmallGPT) -> None:
    model = GPT(tiny.model.config)
    init_weights(model, 0)
    for name, tensor in tiny.model.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name].half().float()), name


def test_a_whole_folder_loads(broken: Path) -> None:
    assert checkpoints.load("small-gpt").n_layer == 2


def _cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _flip(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _reshape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["shape"]["d_ff"] += 1
    (folder / "config.json").write_text(json.dumps(config))


def _no_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["shape"]
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (shutil.rmtree, "missing"),
        (lambda folder: (folder / "model.safetensors").unlink(), "missing"),
        (lambda folder: (folder / "config.json").unlink(), "no readable config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
        (_cut, "cut short"),
        (_flip, "hash differs"),
        (_reshape, "do not fit the shape"),
        (_no_shape, "lacks the entry 'shape'"),
    ],
)
def test_every_damage_is_one_sentence(broken: Path, damage, said: str) -> None:
    damage(broken)
    with pytest.raises(CheckpointError) as caught:
        checkpoints.load("small-gpt")
    sentence = str(caught.value)
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert str(broken.parent) not in sentence


@pytest.mark.parametrize("name", ["", "gpt-17", "../small-gpt", "x" * 10_000, "\ud800"])
def test_unknown_names_are_one_sentence(name: str) -> None:
    with pytest.raises(CheckpointError, match="no shipped model") as caught:
        checkpoints.load(name)
    assert len(str(caught.value)) < 300
    str(caught.value).encode()


def test_names_come_with_the_default_first() -> None:
    assert checkpoints.names()[0] == "small-gpt"
    assert "minilm" in checkpoints.names()
