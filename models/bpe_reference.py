"""The same training and encoding by the ``tokenizers`` library, for comparison; nothing here is used to compute."""

import json
from dataclasses import dataclass

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from models.bpe import BPEConfig, BPETrace
from models.bpe_symbols import BYTE_OF_LETTER, sound, split_words


@dataclass(frozen=True)
class LibraryBPE:
    """What the library learned: merges as pairs of bytes, and the vocabulary."""

    tokenizer: Tokenizer
    config: BPEConfig
    merges: tuple[tuple[bytes, bytes], ...]
    vocab: tuple[bytes, ...]

    def encode(self, text: str) -> tuple[int, ...]:
        words = split_words(sound(text), self.config.split)
        return tuple(self.tokenizer.encode(words, is_pretokenized=True).ids) if words else ()


def train_library(text: str, config: BPEConfig, n_vocab: int) -> LibraryBPE:
    """Train the library on the same words up to ``n_vocab`` symbols."""
    tokenizer = Tokenizer(models.BPE())
    alphabet: list[str] = []
    if config.alphabet == "bytes":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab, min_frequency=config.min_count, show_progress=False, initial_alphabet=alphabet
    )
    tokenizer.train_from_iterator(split_words(sound(text), config.split), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    merges = tuple((_raw(left, config), _raw(right, config)) for left, right in model["merges"])
    return LibraryBPE(tokenizer, config, merges, tuple(_raw(piece, config) for piece in pieces))


def merges_of(trace: BPETrace) -> tuple[tuple[bytes, bytes], ...]:
    """Our merges in the form of ``LibraryBPE.merges``."""
    return tuple((trace.vocab[merge.left], trace.vocab[merge.right]) for merge in trace.merges)


def _raw(piece: str, config: BPEConfig) -> bytes:
    """A piece as the library writes it to the bytes it stands for; at byte level each byte is one printable letter."""
    return bytes(BYTE_OF_LETTER[char] for char in piece) if config.alphabet == "bytes" else piece.encode()
