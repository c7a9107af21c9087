"""Tokenizers of real models on the same text: which pieces, which ids, what a character costs.

The files lie in ``assets/tokenizers`` (sources and licences in its README). They are of three kinds:

- byte-level BPE (GPT-2 and its followers): merges over the 256 bytes; nothing is ever unknown;
- SentencePiece BPE (Mistral 7B v0.1, as Llama 1 and 2): merges over characters, spaces written as ▁, a character
  outside the vocabulary falls back to its bytes;
- WordPiece (BERT): lower-cased words, the longest known piece first; a word it cannot build is [UNK].
"""

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.pre_tokenizers import Split

from models.bpe import NEVER
from models.bpe_encode import glue
from models.bpe_symbols import BYTE_OF_LETTER, sound
from models.ranks import Ranks

FOLDER = Path(__file__).parent.parent / "assets" / "tokenizers"

# tiktoken's published patterns (tiktoken_ext/openai_public.py): what merges may not cross.
_SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LEAD = r"[^\r\n\p{L}\p{N}]?"
_PATTERNS = {
    "gpt2": r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": _SUFFIX + rf"|{_LEAD}\p{{L}}+" + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": rf"{_LEAD}{_UPPER}*{_LOWER}+{_SUFFIX}?|{_LEAD}{_UPPER}+{_LOWER}*{_SUFFIX}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


@dataclass(frozen=True)
class ZooToken:
    """One token of a real tokenizer."""

    id: int
    piece: str  # as the vocabulary writes it: Ġworld, ▁world, ##ing, <0xF0>
    raw: bytes  # the bytes it stands for; broken UTF-8 where a token is a part of a character


@dataclass(frozen=True)
class Tokenization:
    """A text under one tokenizer."""

    tokens: tuple[ZooToken, ...]
    text: str  # as the tokenizer was given it: lone surrogates replaced by U+FFFD
    lossless: bool  # whether the tokens spell the text again, byte by byte
    n_unknown: int  # tokens that stand for something the vocabulary cannot write

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(token.id for token in self.tokens)

    @property
    def tokens_per_character(self) -> float:
        """0 for the empty text."""
        return len(self.tokens) / len(self.text) if self.text else 0.0

    @cached_property
    def bytes_per_token(self) -> float:
        """0 for the empty text."""
        return len(self.text.encode()) / len(self.tokens) if self.tokens else 0.0


@dataclass(frozen=True)
class ZooEntry:
    """What is known of a tokenizer before its file is read."""

    name: str
    title: str
    used_by: str
    kind: str
    n_vocab: int  # as the model sees it, special tokens included
    year: int
    file: str


ZOO = (
    ZooEntry("bert", "BERT", "BERT, MiniLM", "WordPiece", 30522, 2018, "bert-base-uncased.json.gz"),
    ZooEntry("gpt2", "GPT-2", "GPT-2, GPT-3", "byte-level BPE", 50257, 2019, "gpt2.json.gz"),
    ZooEntry("cl100k", "cl100k", "GPT-3.5, GPT-4", "byte-level BPE", 100277, 2022, "cl100k_base.tiktoken.gz"),
    ZooEntry("mistral", "Mistral", "Mistral 7B", "SentencePiece BPE", 32000, 2023, "mistral-v1.json.gz"),
    ZooEntry("o200k", "o200k", "GPT-4o", "byte-level BPE", 200019, 2024, "o200k_base.tiktoken.gz"),
)


@dataclass(frozen=True)
class RealTokenizer:
    """A loaded tokenizer; read only, shared by all visitors."""

    entry: ZooEntry
    pieces: Callable[[str], list[ZooToken]]  # a sound text to its tokens

    def tokenize(self, text: str) -> Tokenization:
        """Tokens of any string, without the special tokens that a model adds around it; a special token's name typed
        into the text is plain text."""
        text = sound(text)
        tokens = tuple(self.pieces(text)) if text else ()
        spelt = b"".join(token.raw for token in tokens)
        if self.entry.kind == "SentencePiece BPE":
            spelt = spelt.removeprefix(b" ")  # the space that SentencePiece puts before every text
        unknown = sum(token.piece in ("[UNK]", "<unk>") for token in tokens)
        return Tokenization(tokens, text, spelt == text.encode() and not unknown, unknown)


@lru_cache(maxsize=len(ZOO))
def load(name: str) -> RealTokenizer:
    """Read a tokenizer once.

    Raises:
        KeyError: for a name that is not in ``ZOO``.
    """
    entry = {entry.name: entry for entry in ZOO}[name]
    packed = gzip.decompress((FOLDER / entry.file).read_bytes())
    if entry.kind == "byte-level BPE":
        entries = _tiktoken(packed) if entry.file.endswith(".tiktoken.gz") else _merged(packed)
        return RealTokenizer(entry, _byte_level(Ranks(entries), _PATTERNS[name]))
    return RealTokenizer(entry, _library(Tokenizer.from_buffer(packed), entry.kind))


def tokenize_all(text: str) -> tuple[Tokenization, ...]:
    """One text under every tokenizer of ``ZOO``, in that order."""
    return tuple(load(entry.name).tokenize(text) for entry in ZOO)


def _library(tokenizer: Tokenizer, kind: str) -> Callable[[str], list[ZooToken]]:
    """A tokenizer that the ``tokenizers`` library runs by itself."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True  # "<s>" in a visitor's text is text
    raw = {"byte-level BPE": _raw_byte_level, "SentencePiece BPE": _raw_sentencepiece, "WordPiece": _raw_wordpiece}[
        kind
    ]

    def pieces(text: str) -> list[ZooToken]:
        found = tokenizer.encode(text, add_special_tokens=False)
        return [ZooToken(i, piece, raw(piece)) for i, piece in zip(found.ids, found.tokens, strict=True)]

    return pieces


def _tiktoken(packed: bytes) -> Iterator[tuple[bytes, int]]:
    """A tiktoken file: bytes and their rank, a line each."""
    for line in packed.splitlines():
        token, rank = line.split()
        yield base64.b64decode(token), int(rank)


def _merged(packed: bytes) -> Iterator[tuple[bytes, int]]:
    """GPT-2's file says the same in other words: the ids of its merges rise in the order they were learned. Its one
    special token is left out: nothing is glued into it."""
    for piece, rank in json.loads(packed)["model"]["vocab"].items():
        if piece != "<|endoftext|>":
            yield _raw_byte_level(piece), rank


def _byte_level(ranks: Ranks, pattern: str) -> Callable[[str], list[ZooToken]]:
    """The rank is the id and also the order of the merges: two neighbours may be glued when their joined bytes have a
    rank, the lowest first. (The ``tokenizers`` library would take 50 MB for the three vocabularies that are run here.)"""
    letter = {byte: char for char, byte in BYTE_OF_LETTER.items()}
    words = Split(Regex(pattern), "isolated")

    def known(left: bytes, right: bytes) -> tuple[int, bytes] | None:
        rank = ranks.get(left + right)
        return None if rank is None else (rank, left + right)

    def id_of(raw: bytes) -> int:
        rank = ranks.get(raw)
        assert rank is not None, "a token is glued from tokens, and every byte is one"
        return rank

    @lru_cache(maxsize=2048)
    def encode_word(word: str) -> tuple[ZooToken, ...]:
        symbols = [bytes([byte]) for byte in word.encode()]
        whole = b"".join(symbols)
        if ranks.get(whole) is not None:
            spelt = [whole]
        else:
            borders = [i for i, gone in enumerate(glue(symbols, known)) if gone == NEVER]
            spelt = [whole[a:b] for a, b in zip(borders, [*borders[1:], len(whole)], strict=True)]
        return tuple(ZooToken(id_of(raw), "".join(letter[byte] for byte in raw), raw) for raw in spelt)

    def pieces(text: str) -> list[ZooToken]:
        return [token for word, _ in words.pre_tokenize_str(text) for token in encode_word(word)]

    return pieces


def _raw_byte_level(piece: str) -> bytes:
    return bytes(BYTE_OF_LETTER[char] for char in piece)


def _raw_sentencepiece(piece: str) -> bytes:
    byte = re.fullmatch(r"<0x([0-9A-F]{2})>", piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace("▁", " ").encode()


def _raw_wordpiece(piece: str) -> bytes:
    return piece.removeprefix("##").encode()


_RAW = {"byte-level BPE": _raw_byte_level, "SentencePiece BPE": _raw_sentencepiece, "WordPiece": _raw_wordpiece}
