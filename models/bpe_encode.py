"""Byte-pair encoding, used: any text to ids with learned merges, the tree that each token grew from, and back.

Sennrich, Haddow and Birch 2016, algorithm 1. Encoding a word repeats what the training did: of the pairs that stand in
it the earliest learned is glued first (the leftmost, when it stands twice), until no pair is known.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from models.bpe import NEVER, BPETrace
from models.bpe_symbols import split_words, to_symbols, to_text

S = TypeVar("S")  # a symbol: an id, or the bytes themselves


@dataclass(frozen=True)
class TreeNode:
    """A symbol of a word, and the two it was glued from."""

    piece: bytes
    id: int
    start: int  # the base symbols [start, end) of the word that it covers
    end: int
    step: int | None = None  # the merge (0-based) that made it; None for a base symbol
    left: int | None = None  # index of its parts in ``MergeTree.nodes``
    right: int | None = None


@dataclass(frozen=True)
class MergeTree:
    """How one word became tokens: base symbols first, then a node for each merge, in the order of the merges."""

    nodes: tuple[TreeNode, ...]
    roots: tuple[int, ...]  # the tokens, from left to right, as indices into ``nodes``

    @property
    def tokens(self) -> tuple[TreeNode, ...]:
        return tuple(self.nodes[root] for root in self.roots)


def encode(text: str, trace: BPETrace, n_merges: int | None = None) -> tuple[int, ...]:
    """Ids of any text under the first ``n_merges`` merges (None: all). A character that the alphabet lacks becomes
    its bytes, at n_vocab + byte."""
    ids: list[int] = []
    seen: dict[str, tuple[int, ...]] = {}
    for word in split_words(text, trace.config.split):
        if word not in seen:
            seen[word] = encode_word(word, trace, n_merges)
        ids += seen[word]
    return tuple(ids)


def encode_word(word: str, trace: BPETrace, n_merges: int | None = None) -> tuple[int, ...]:
    """Ids of one word, merges running over all of it."""
    symbols = to_symbols(word, trace.config.alphabet, trace.ids)
    gone_at = _glue_ids(symbols, trace, n_merges)
    pieces: list[bytearray] = []
    for symbol, gone in zip(symbols, gone_at, strict=True):
        if gone == NEVER:
            pieces.append(bytearray())
        pieces[-1] += piece_of(symbol, trace)
    return tuple(trace.ids[bytes(piece)] for piece in pieces)


def merge_tree(word: str, trace: BPETrace, n_merges: int | None = None) -> MergeTree:
    """Every merge inside one word, as a tree per token."""
    symbols = to_symbols(word, trace.config.alphabet, trace.ids)
    nodes = [TreeNode(piece_of(symbol, trace), symbol, i, i + 1) for i, symbol in enumerate(symbols)]
    owner = list(range(len(symbols)))  # the node that begins, or ends, at a symbol
    gone_at = _glue_ids(symbols, trace, n_merges)
    for step, border in sorted((step, i) for i, step in enumerate(gone_at) if step != NEVER):
        left, right = owner[border - 1], owner[border]
        start, end = nodes[left].start, nodes[right].end
        owner[start] = owner[end - 1] = len(nodes)
        new = trace.merges[step].new
        nodes.append(TreeNode(trace.vocab[new], new, start, end, step, left, right))
    roots = tuple(owner[i] for i, step in enumerate(gone_at) if step == NEVER)
    return MergeTree(tuple(nodes), roots)


def decode_bytes(ids: Iterable[int], trace: BPETrace) -> bytes:
    """Ids to the bytes they stand for.

    Raises:
        ValueError: for an id outside the vocabulary and its byte fallback.
    """
    return b"".join(piece_of(index, trace) for index in ids)


def decode(ids: Iterable[int], trace: BPETrace) -> str:
    """Ids to text; ``decode(encode(x)) == x`` for every string. Ids that cut a character show U+FFFD in its place."""
    return to_text(decode_bytes(ids, trace))


def piece_of(index: int, trace: BPETrace) -> bytes:
    """The bytes that an id stands for, byte fallback included."""
    if not 0 <= index < trace.n_vocab + 256:
        raise ValueError(f"id {index} is outside the vocabulary of {trace.n_vocab} and its 256 fallback bytes")
    return trace.vocab[index] if index < trace.n_vocab else bytes([index - trace.n_vocab])


def glue(symbols: Sequence[S], known: Callable[[S, S], tuple[int, S] | None], limit: int = NEVER) -> list[int]:
    """For each symbol the merge that crossed the border on its left, or NEVER.

    Args:
        known: what two neighbours become and the step (rank) of that merge; None when no merge knows them.
        limit: merges from this step on are left out.

    A queue of (step, place) instead of a scan after each merge, so that a "word" of 100 000 letters takes a second.
    """
    symbol, gone_at = list(symbols), [NEVER] * len(symbols)
    before, after = [i - 1 for i in range(len(symbol))], [*range(1, len(symbol)), -1]
    queue: list[tuple[int, int]] = []

    def merge_at(place: int) -> tuple[int, S] | None:
        return known(symbol[place], symbol[after[place]]) if place >= 0 and after[place] >= 0 else None

    def offer(place: int) -> None:
        merge = merge_at(place)
        if merge and merge[0] < limit:
            heapq.heappush(queue, (merge[0], place))

    for place in range(len(symbol)):
        offer(place)
    while queue:
        step, place = heapq.heappop(queue)
        merge = merge_at(place) if gone_at[place] == NEVER else None
        if merge is None or merge[0] != step:
            continue  # the pair has changed since it was queued
        other = after[place]
        symbol[place], gone_at[other] = merge[1], step
        after[place] = after[other]
        if after[other] >= 0:
            before[after[other]] = place
        offer(before[place])
        offer(place)
    return gone_at


def _glue_ids(symbols: Sequence[int], trace: BPETrace, n_merges: int | None) -> list[int]:
    def known(left: int, right: int) -> tuple[int, int] | None:
        step = trace.ranks.get((left, right))
        return None if step is None else (step, trace.merges[step].new)

    return glue(symbols, known, len(trace.merges) if n_merges is None else n_merges)
