"""The characters that the character models read: printable ASCII, the newline, and one sign for all the rest."""

import unicodedata
from collections.abc import Iterable

UNKNOWN = "\ufffd"  # the replacement character stands for everything outside the alphabet
SYMBOLS = "\n" + "".join(map(chr, range(32, 127))) + UNKNOWN

_INDEX = {symbol: index for index, symbol in enumerate(SYMBOLS)}
_SIMPLE = str.maketrans("‘’´“”„–—\t\r\u00a0", "'''\"\"\"--   ")


def encode_characters(text: str) -> tuple[int, ...]:
    """One id per code point of any string: accents dropped, typographic quotes made plain, the rest unknown."""
    return tuple(_id_of(character) for character in text.translate(_SIMPLE))


def decode_characters(ids: Iterable[int]) -> str:
    """Ids back to characters; the inverse of ``encode_characters`` on printable ASCII and newlines."""
    return "".join(SYMBOLS[index] for index in ids)


def _id_of(character: str) -> int:
    if character not in _INDEX:
        character = unicodedata.normalize("NFKD", character)[:1]  # é is e and a combining accent
    return _INDEX.get(character, _INDEX[UNKNOWN])
