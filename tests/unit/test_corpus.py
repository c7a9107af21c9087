"""The training text: scrubbed, split for ever by whole documents, and clear when a source is missing."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cache import cache_home
from models.training import corpus
from models.training.scrub import clean_line

SAID = ["Hello there my friend", "Write me at ann@example.org", "“Fine”, thanks – and you? 😀", "call 555-123-4567 now"]
NOUN = (
    '  1 licence text\n00000001 03 n 01 cat 0 | a pet; "the cat sat down quietly"; "big cats"\n00000002 x | no example'
)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for both sources: forty conversations of the same messages and one WordNet file of each kind."""
    (tmp_path / "corpus").mkdir()
    raw = {f"talk-{n}": {"messages": [[{"text": f"{s} {n}"}] for s in SAID]} for n in range(40)}
    archive = tmp_path / "corpus" / corpus.ARCHIVE
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr(corpus.MEMBER, json.dumps(raw))
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text(NOUN if part == "noun" else "")
    monkeypatch.setenv("ATTENTION_LAB_HOME", str(tmp_path))
    monkeypatch.setenv("WORDNET_HOME", str(tmp_path))
    monkeypatch.setattr(corpus, "ARCHIVE_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    corpus._documents.cache_clear()
    yield tmp_path
    corpus._documents.cache_clear()


def test_documents_are_scrubbed_and_split_whole(sources: Path) -> None:
    train, heldout = corpus.training_text("train"), corpus.training_text("heldout")
    talks = [text for text in train + heldout if "Hello" in text]
    assert len(talks) == 40
    assert not set(train) & set(heldout)
    for text in talks:
        number = text.split("\n")[0].removeprefix("Hello there my friend ")
        assert text == f'Hello there my friend {number}\n"Fine", thanks - and you? {number}'
        assert (text in heldout) == (corpus.split_of(f"talk-{number}") == "heldout")
    assert "The cat sat down quietly." in train + heldout  # "big cats" is too short to be a sentence
    assert train == corpus.training_text("train")
    with pytest.raises(ValueError, match="split"):
        corpus.training_text("test")


def test_about_three_in_a_hundred_are_held_out() -> None:
    share = sum(corpus.split_of(f"key {n}") == "heldout" for n in range(5000)) / 5000
    assert 0.02 < share < 0.04


def test_a_damaged_archive_and_a_missing_wordnet_say_so(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (sources / "corpus" / corpus.ARCHIVE).write_bytes(b"not it")
    with pytest.raises(corpus.CorpusError, match="damaged"):
        corpus.fetch_chitchat()
    monkeypatch.setenv("WORDNET_HOME", str(sources / "nowhere"))
    with pytest.raises(corpus.CorpusError, match="wordnet-base"):
        corpus.wordnet_folder()


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("I like cats.", "I like cats."),
        ("Noooooooo way", "Noooo way"),
        ("see www.example.org", ""),
        ("mail me: a.b@c.de", ""),
        ("my number is (801) 555-1234", ""),
        ("in 2018 I was 20", "in 2018 I was 20"),
        ("what the SHIT", ""),
        ("a classic assignment in Scunthorpe", "a classic assignment in Scunthorpe"),
    ],
)
def test_scrub_by_hand(line: str, kept: str) -> None:
    assert clean_line(line) == kept


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_plain_is_one_line_of_printable_ascii(text: str) -> None:
    got = corpus.plain(text)
    assert all(" " <= sign <= "~" for sign in got)
    assert corpus.plain(got) == got


def test_cache_home_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTENTION_LAB_HOME", str(tmp_path / "here"))
    assert cache_home() == tmp_path / "here"
    assert not cache_home().exists(), "looking writes nothing"
    monkeypatch.delenv("ATTENTION_LAB_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_home() == tmp_path / "attention-lab"
