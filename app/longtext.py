"""A visitor's long text as one short word of an address: compressed, in letters that need no escape.

Whatever an address holds is hostile: a word that is no text of ours, or unpacks to more than it may, is no text at all.
"""

import base64
import zlib
from functools import lru_cache

MAX_WORD = 1200  # characters in the address; share.MAX_LINK leaves the rest to the sentence and the controls


@lru_cache(maxsize=64)
def pack(text: str) -> str | None:
    """The word for a text, None where it would be too long for a link."""
    packed = zlib.compress(text.encode("utf-8", "replace"), 9)
    word = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    return word if len(word) <= MAX_WORD else None


def unpack(word: str, max_chars: int) -> str | None:
    """The text of a word, None where the word is malformed, cut off, or holds more than ``max_chars`` characters."""
    if not word or len(word) > MAX_WORD:
        return None
    try:
        packed = base64.b64decode(word.encode("ascii") + b"=" * (-len(word) % 4), altchars=b"-_", validate=True)
        opener = zlib.decompressobj()
        data = opener.decompress(packed, 4 * max_chars + 1)  # a small word could unpack to a gigabyte
        text = data.decode("utf-8")
    except (ValueError, zlib.error):
        return None
    return text if opener.eof and len(text) <= max_chars else None
