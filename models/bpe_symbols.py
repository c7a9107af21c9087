"""What byte-pair encoding starts from: a text as words, and a word as bytes or characters.

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2: over the 256 bytes every text
can be written, so that no symbol is ever unknown.
"""

import re
from typing import Literal

Alphabet = Literal["bytes", "characters"]
Split = Literal["words", "none"]

# GPT-2's order of the 256 bytes: those that print come first. The order decides ties, so it has to be the same.
BYTE_ORDER = (*range(33, 127), *range(161, 173), *range(174, 256), *range(0, 33), *range(127, 161), 173)

# GPT-2 writes a byte that prints as itself and the n-th other byte as the letter U+0100 + n: a space shows as Ġ.
BYTE_OF_LETTER = {chr(byte if i < 188 else 256 + i - 188): byte for i, byte in enumerate(BYTE_ORDER)}

# GPT-2's rule for words (contractions, letters, digits, the rest; each takes one space before it), in the classes of
# Python's own re. A merge never crosses a word's border.
_WORDS = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")


def split_words(text: str, split: Split = "words") -> list[str]:
    """The pieces that merges may not cross; joined they are the text again."""
    if split == "none":
        return [text] if text else []
    return _WORDS.findall(text)


def to_bytes(text: str) -> bytes:
    """UTF-8. A lone surrogate, which UTF-8 proper forbids, becomes three bytes that ``decode`` turns back."""
    return text.encode("utf-8", "surrogatepass")


def to_text(raw: bytes) -> str:
    """Bytes to text, the inverse of ``to_bytes``; broken UTF-8 shows as U+FFFD."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace")


def sound(text: str) -> str:
    """The text with surrogate pairs joined, and with U+FFFD for each lone surrogate, which the libraries refuse."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def alphabet_of(text: str, alphabet: Alphabet) -> tuple[bytes, ...]:
    """The symbols before the first merge, in the order that gives them their ids."""
    if alphabet == "bytes":
        return tuple(bytes([byte]) for byte in BYTE_ORDER)
    return tuple(to_bytes(char) for char in sorted(set(text)))


def to_symbols(word: str, alphabet: Alphabet, known: dict[bytes, int]) -> list[int]:
    """A word as ids of single bytes or characters; an unknown character as its bytes."""
    if alphabet == "bytes":
        return [known[bytes([byte])] for byte in to_bytes(word)]
    symbols: list[int] = []
    for char in map(to_bytes, word):
        symbols += [known[char]] if char in known else [known[bytes([byte])] for byte in char]
    return symbols
