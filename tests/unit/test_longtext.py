"""A long text travels in an address, and nothing an address holds can harm."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import longtext

ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def word(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@given(st.text(max_size=300))
def test_there_and_back(text):
    packed = longtext.pack(text)
    assert packed is None or set(packed) <= ALPHABET
    if packed:
        assert longtext.unpack(packed, 300) == text.encode("utf-8", "replace").decode()


@given(st.text(max_size=80) | st.binary(max_size=80).map(word) | st.binary(max_size=80).map(zlib.compress).map(word))
def test_whatever_stands_in_an_address_is_a_text_or_none(written):
    found = longtext.unpack(written, 50)
    assert found is None or len(found) <= 50


@pytest.mark.parametrize("bad", [
    "", "=", "!!!!", "北京", "A" * (longtext.MAX_WORD + 1), word(b"no deflate"), word(zlib.compress(b"\xff\xfe")),
    word(zlib.compress(b"cut off" * 9)[:-6]), word(zlib.compress(b"a" * 10**6)), word(zlib.compress(b"x" * 101)),
])  # fmt: skip
def test_malformed_cut_off_or_too_large_is_none(bad):
    assert longtext.unpack(bad, 100) is None


def test_a_text_too_long_for_a_link_has_no_word():
    import random

    rng = random.Random(0)
    assert longtext.pack("".join(chr(rng.randrange(0x4E00, 0x9FFF)) for _ in range(2000))) is None
    assert len(longtext.pack("a" * 20_000)) < 100
