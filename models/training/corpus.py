"""The text our own models learn from: chit-chat conversations and WordNet's example sentences, one plain register.

    python -m models.training.corpus        fetches, scrubs and counts

A document is one conversation (its messages on lines of their own) or the examples of one WordNet synset. A document
belongs to one split for ever, by the hash of its source key, so that no conversation is half seen in training.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import unicodedata
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Literal

from models.cache import cache_home
from models.training.scrub import clean_line

Split = Literal["train", "heldout"]

PACKAGE = "chitchat-dataset==0.9.0"  # MIT; from PyPI
ARCHIVE = "chitchat_dataset-0.9.0-py3-none-any.whl"
ARCHIVE_SHA256 = "7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e"
MEMBER = "chitchat_dataset/dataset.json"
WORDNET_FOLDERS = ("/usr/share/wordnet", "/usr/share/wordnet-3.0/dict", "/usr/local/WordNet-3.0/dict")
HELDOUT_PERCENT = 3


class CorpusError(Exception):
    """The text could not be had; the message is one sentence that says what to do."""


def training_text(split: Split) -> list[str]:
    """The scrubbed documents of one split in a fixed shuffled order, printable ASCII with newlines.

    Fetches the chit-chat package into the cache folder on first use.

    Raises:
        CorpusError: when a source is missing and cannot be fetched.
        ValueError: for another split name.
    """
    if split not in ("train", "heldout"):
        raise ValueError(f"split is 'train' or 'heldout', not {split!r}")
    wanted = [(key, text) for key, text in _documents() if split_of(key) == split]
    # Ordered by hash: the two sources are mixed, and the order needs no random generator.
    return [text for _, text in sorted(wanted, key=lambda pair: _hash(pair[0]))]


def split_of(key: str) -> Split:
    """The split of a document, from its source key alone: 3 in 100 are held out."""
    return "heldout" if _hash(key) % 100 < HELDOUT_PERCENT else "train"


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")


@lru_cache(maxsize=1)
def _documents() -> tuple[tuple[str, str], ...]:
    """All (key, scrubbed text), conversations first; texts that the scrub leaves under two lines or words are gone."""
    found = [*_conversations(fetch_chitchat()), *_wordnet_examples(wordnet_folder())]
    return tuple((key, text) for key, text in found if len(text.split()) > 3)


def fetch_chitchat() -> Path:
    """The package archive in the cache folder, downloaded by pip when missing; opened as a zip, never installed."""
    folder = cache_home() / "corpus"
    archive = folder / ARCHIVE
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # --only-binary: a wheel is only copied; a source archive would run its build code to learn its name.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        done = subprocess.run([*command, "--dest", str(folder), PACKAGE], capture_output=True, text=True, check=False)
        if done.returncode or not archive.exists():
            raise CorpusError(f"The package {PACKAGE} could not be downloaded with pip; is the network up?")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != ARCHIVE_SHA256:
        raise CorpusError(f"{archive} is damaged (wrong sha256); delete it and run the command again.")
    return archive


def _conversations(archive: Path) -> Iterator[tuple[str, str]]:
    """(key, text) of each conversation: one message a line, turns in order."""
    with zipfile.ZipFile(archive) as packed:
        raw = json.loads(packed.read(MEMBER))
    for key, conversation in raw.items():
        messages = (message["text"] for turn in conversation["messages"] for message in turn)
        lines = (clean_line(plain(message)) for message in messages)
        kept = [line for line in lines if line]
        if len(kept) > 1:
            yield key, "\n".join(kept)


def wordnet_folder() -> Path:
    """The folder with WordNet's data files: WORDNET_HOME, or where Debian and Princeton put it."""
    named = os.environ.get("WORDNET_HOME")
    for folder in map(Path, [named] if named else WORDNET_FOLDERS):
        if (folder / "data.noun").exists():
            return folder
    raise CorpusError(
        "WordNet 3.0 is missing: install Debian's wordnet-base, or set WORDNET_HOME to its folder with data.noun."
    )


def _wordnet_examples(folder: Path) -> Iterator[tuple[str, str]]:
    """(key, text) of each synset that has example sentences; each made a sentence of its own, one a line."""
    for part in ("noun", "verb", "adj", "adv"):
        for row in (folder / f"data.{part}").read_text(encoding="utf-8", errors="replace").splitlines():
            if row.startswith(" ") or " | " not in row:
                continue  # the licence at the head of each file
            gloss = row.split(" | ", 1)[1]
            examples = [clean_line(_sentence(plain(found))) for found in re.findall(r'"([^"]+)"', gloss)]
            kept = [line for line in examples if len(line.split()) > 3]
            if kept:
                yield f"wordnet/{part}/{row[:8]}", "\n".join(kept)


def _sentence(text: str) -> str:
    """An example with a capital and a full stop: WordNet writes most without."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?" else ".")


def plain(text: str) -> str:
    """Text as one line of printable ASCII: typographic signs replaced, accents and emoji dropped, spaces single."""
    for fancy, simple in (("‘’´`", "'"), ("“”", '"'), ("–—", "-"), ("…", "...")):
        for sign in fancy:
            text = text.replace(sign, simple)
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return " ".join("".join(sign for sign in ascii_text if sign.isprintable() or sign.isspace()).split())


def main() -> None:
    splits: tuple[Split, ...] = ("train", "heldout")
    for split in splits:
        documents = training_text(split)
        digest = hashlib.sha256("\0".join(documents).encode()).hexdigest()[:16]
        print(f"{split}: {len(documents):,} documents, {sum(map(len, documents)):,} characters, sha256 {digest}")


if __name__ == "__main__":
    main()
