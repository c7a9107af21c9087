"""Our byte-pair encoding against the ``tokenizers`` library, worked examples and the laws it obeys."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from models.bpe import NEVER, BPEConfig, train
from models.bpe_encode import decode, decode_bytes, encode, encode_word, merge_tree
from models.bpe_reference import merges_of, train_library
from models.bpe_symbols import split_words, to_bytes, to_text

ENOUGH = settings(max_examples=150, deadline=None)
ANY_TEXT = st.text(st.characters(), max_size=80)  # every code point, lone surrogates included
SOUND_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
FEW_LETTERS = st.text("ab", max_size=60) | st.text("aabc ", max_size=120) | st.text("abcdefgh  'é🙂\n", max_size=120)
CONFIGS = st.builds(
    BPEConfig,
    n_merges=st.integers(0, 80),
    alphabet=st.sampled_from(["bytes", "characters"]),
    split=st.sampled_from(["words", "none"]),
    min_count=st.integers(1, 3),
)


@ENOUGH
@given(text=FEW_LETTERS | SOUND_TEXT, config=CONFIGS)
def test_merges_and_vocabulary_equal_the_library(text, config):
    ours = train(text, config)
    library = train_library(text, config, ours.n_vocab)
    assert merges_of(ours) == library.merges
    assert ours.vocab == library.vocab


@ENOUGH
@given(text=FEW_LETTERS, other=FEW_LETTERS, config=CONFIGS)
def test_ids_equal_the_library_on_seen_and_unseen_text(text, other, config):
    ours = train(text, config)
    library = train_library(text, config, ours.n_vocab)
    known = "".join(char for char in other if config.alphabet == "bytes" or char in text)
    assert encode(text, ours) == library.encode(text)
    assert encode(known, ours) == library.encode(known)


@ENOUGH
@given(text=ANY_TEXT, corpus=ANY_TEXT | FEW_LETTERS, config=CONFIGS)
def test_decoding_gives_any_text_back(text, corpus, config):
    trace = train(corpus, config)
    assert decode(encode(text, trace), trace) == text
    assert decode(encode(corpus, trace, 5), trace) == corpus


@ENOUGH
@given(text=FEW_LETTERS | ANY_TEXT, config=CONFIGS)
def test_every_step_can_be_rebuilt(text, config):
    trace = train(text, config)
    for step in range(len(trace.merges) + 1):
        corpus = trace.corpus_at(step)
        assert sum(map(len, corpus)) == trace.n_token(step)
        assert tuple(index for word in corpus for index in word) == encode(text, trace, step)
        ranked = trace.candidates(step)
        if step:
            touched = {word for word in set(trace.text) if trace.word_at(word, step) != trace.word_at(word, step - 1)}
            assert set(trace.touched(step - 1)) == touched
        if step < len(trace.merges):
            merge = trace.merges[step]
            assert (ranked[0].left, ranked[0].right, ranked[0].count) == (merge.left, merge.right, merge.count)
            assert trace.n_token(step + 1) == trace.n_token(step) - merge.replaced
            assert merge.new == trace.n_base + step
        elif ranked and step < config.n_merges:
            assert ranked[0].count < config.min_count


def test_wikipedias_example():
    """https://en.wikipedia.org/wiki/Byte-pair_encoding compresses aaabdaaabac to XdXac with Z=aa, Y=ab, X=ZY.

    After Z=aa the pairs aa·a and a·b stand twice each and Wikipedia takes ab freely; by our rule (the smaller left id
    first) it is a·b too, because a is older than aa.
    """
    trace = train("aaabdaaabac", BPEConfig(n_merges=3, alphabet="characters", split="none"))
    assert trace.vocab == (b"a", b"b", b"c", b"d", b"aa", b"ab", b"aaab")
    assert [(m.left, m.right, m.count, m.replaced, m.n_token) for m in trace.merges] == [
        (0, 0, 4, 2, 9),  # aa stands twice in each aaa, but can be glued there only once
        (0, 1, 2, 2, 7),
        (4, 5, 2, 2, 5),
    ]
    assert trace.corpus_at(3) == ((6, 3, 6, 0, 2),)  # X d X a c
    assert [c.count for c in trace.candidates(0)] == [4, 2, 1, 1, 1, 1]
    assert encode("aab", trace) == (4, 1)  # aa was learned before ab


def test_a_tie_goes_to_the_older_symbols():
    trace = train("ba ab", BPEConfig(n_merges=1, alphabet="characters"))
    assert trace.vocab[-1] == b" a"  # every pair stands once; the space has id 0
    trace = train("yx xy", BPEConfig(n_merges=2, alphabet="characters", split="none"))
    assert trace.vocab[3:] == (
        b" x",
        b"x x",
    )  # space 0, x 1, y 2, " x" 3: then x·" x" (1, 3) comes before " x"·y (3, 2)


def test_the_tree_of_a_word_spells_its_tokens():
    trace = train("low lower lowest " * 3 + "new newer newest", BPEConfig(n_merges=30))
    tree = merge_tree("lowest!", trace)
    assert tuple(node.id for node in tree.tokens) == encode_word("lowest!", trace)
    assert b"".join(node.piece for node in tree.tokens) == b"lowest!"
    for node in tree.nodes:
        if node.step is not None:
            left, right = tree.nodes[node.left], tree.nodes[node.right]
            assert left.piece + right.piece == node.piece
            assert (left.start, left.end, right.end) == (node.start, right.start, node.end)
            assert all(part.step is None or part.step < node.step for part in (left, right))


@ENOUGH
@given(word=FEW_LETTERS | ANY_TEXT, text=FEW_LETTERS)
def test_trees_and_ids_agree(word, text):
    trace = train(text, BPEConfig(n_merges=40, alphabet="characters", split="none"))
    for limit in (None, 0, 7):
        tree = merge_tree(word, trace, limit)
        assert tuple(node.id for node in tree.tokens) == encode_word(word, trace, limit)


@ENOUGH
@given(text=ANY_TEXT)
def test_words_joined_are_the_text(text):
    assert "".join(split_words(text)) == text
    assert "".join(split_words(text, "none")) == text


@ENOUGH
@given(
    text=st.text("ab Z09'sted,.!\n\t-", max_size=60)
    | st.sampled_from(["It's  the dog's, we'll see.", "a1b2  c\n\n d_e"])
)
def test_words_equal_gpt2s(text):
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True).pre_tokenize_str(text)
    assert split_words(text) == [text[start:end] for _, (start, end) in pieces]


def test_an_unseen_character_falls_back_to_its_bytes():
    trace = train("abab", BPEConfig(n_merges=1, alphabet="characters"))
    assert encode("abé", trace) == (2, trace.n_vocab + 0xC3, trace.n_vocab + 0xA9)
    assert decode_bytes([trace.n_vocab + 0xC3], trace) == b"\xc3"
    assert decode([trace.n_vocab + 0xC3], trace) == "\ufffd"
    with pytest.raises(ValueError, match="outside the vocabulary"):
        decode([trace.n_vocab + 256], trace)


def test_surrogates_survive_as_bytes():
    for text in ("\ud83d", "\ud83d\ude00", "a\udfffb"):
        assert to_text(to_bytes(text)) == text


def test_an_empty_text_learns_nothing():
    trace = train("", BPEConfig(n_merges=10))
    assert (trace.merges, trace.n_vocab, trace.n_token(0), trace.corpus_at(0)) == ((), 256, 0, ())
    assert encode("", trace) == ()


def test_a_long_text_and_deep_merges_stay_exact():
    """20 000 characters without a space, and a word whose token is a thousand merges deep."""
    text = re.sub(r"\s", "", "the quick brown fox jumps over the lazy dog; ") * 540
    trace = train(text, BPEConfig(n_merges=1000, split="none"))
    assert decode(encode(text, trace), trace) == text
    chain = "".join(chr(0x4E00 + i) for i in range(1100))
    deep = train(chain, BPEConfig(n_merges=1099, alphabet="characters", split="none"))
    assert deep.vocab[-1] == chain.encode()
    assert merge_tree(chain, deep).roots == (len(chain) + 1099 - 1,)
    assert deep.gone_at[0].count(NEVER) == 1


@pytest.mark.parametrize("wrong", [{"n_merges": -1}, {"min_count": 0}, {"alphabet": "runes"}, {"split": "lines"}])
def test_a_wrong_config_is_refused(wrong):
    with pytest.raises(ValueError, match=r"or more|unknown"):
        BPEConfig(**wrong)
