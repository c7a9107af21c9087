"""Byte-pair encoding: how a text teaches a vocabulary, with every merge kept.

Gage 1994, "A New Algorithm for Data Compression"; Sennrich, Haddow and Birch 2016, arXiv:1508.07909.

Start from single symbols. Count every pair of neighbours inside the words, glue the most frequent pair into one new
symbol everywhere, from left to right, and do it again. The list of merges, in order, is the tokenizer.

**Ties.** Of several pairs with the same count the one with the smaller left id wins, then the smaller right id. Ids are
given in the order in which symbols appear: first the alphabet, then one per merge, so an older symbol wins. This is the
rule of the ``tokenizers`` library, and so is counting overlaps: "aaa" holds the pair a·a twice, though one merge eats
only two of its letters.

A string is built by one merge only, in the same step everywhere: what happens between two borders that no merge has
crossed yet does not depend on what lies outside them. So one number per symbol, the step in which the border on its
left vanished, replays the whole training (``BPETrace.gone_at``).
"""

import heapq
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from models.bpe_symbols import Alphabet, Split, alphabet_of, split_words, to_symbols

Pair = tuple[int, int]

NEVER = 2**31 - 1  # a border that no merge has crossed


@dataclass(frozen=True)
class BPEConfig:
    """All that defines a training besides its text.

    Raises:
        ValueError: for a negative number of merges, a smallest count below 1, or an unknown alphabet or split.
    """

    n_merges: int = 200
    alphabet: Alphabet = "bytes"  # the first symbols: the 256 bytes, or the characters of the text
    split: Split = "words"  # "none" lets merges run across spaces
    min_count: int = 1  # stop when the best pair is rarer than this

    def __post_init__(self) -> None:
        if self.n_merges < 0 or self.min_count < 1:
            raise ValueError(
                f"n_merges {self.n_merges} must not be negative, min_count {self.min_count} must be 1 or more"
            )
        if self.alphabet not in ("bytes", "characters") or self.split not in ("words", "none"):
            raise ValueError(f"unknown alphabet {self.alphabet!r} or split {self.split!r}")


@dataclass(frozen=True)
class Merge:
    """One step of the training."""

    left: int  # id
    right: int  # id
    new: int  # id of the glued symbol
    count: int  # how often the pair stood in the text before the step, overlaps counted
    replaced: int  # how many of them were glued; below ``count`` only when they overlap
    n_token: int  # tokens in the whole text after the step


@dataclass(frozen=True)
class Candidate:
    """A pair of neighbours and how often it stands in the text."""

    left: int
    right: int
    count: int


@dataclass(frozen=True)
class BPETrace:
    """A finished training. Step 0 is the text in single symbols; step k is the text after k merges."""

    config: BPEConfig
    n_base: int  # symbols before the first merge
    vocab: tuple[bytes, ...]  # id -> the bytes that it stands for; n_base of the alphabet, then one per merge
    merges: tuple[Merge, ...]
    words: tuple[str, ...]  # the distinct words, in order of first appearance
    text: tuple[int, ...]  # the text as indices into ``words``
    symbols: tuple[tuple[int, ...], ...]  # [word][symbol] base ids
    gone_at: tuple[tuple[int, ...], ...]  # [word][symbol] the merge (0-based) that crossed its left border, or NEVER

    @property
    def n_vocab(self) -> int:
        return len(self.vocab)

    @cached_property
    def n_char(self) -> int:
        return sum(len(self.words[word]) for word in self.text)

    @cached_property
    def frequency(self) -> tuple[int, ...]:
        """How often each distinct word stands in the text."""
        counts = Counter(self.text)
        return tuple(counts[word] for word in range(len(self.words)))

    @cached_property
    def ids(self) -> dict[bytes, int]:
        """Bytes -> id. Single bytes that are not in the vocabulary come after it, at n_vocab + byte (byte fallback,
        as in SentencePiece): so a character that the training never saw has ids too."""
        fallback = {bytes([byte]): self.n_vocab + byte for byte in range(256)}
        return fallback | {piece: index for index, piece in enumerate(self.vocab)}

    @cached_property
    def ranks(self) -> dict[Pair, int]:
        """Pair -> the step (0-based) that glues it."""
        return {(merge.left, merge.right): step for step, merge in enumerate(self.merges)}

    def n_token(self, step: int) -> int:
        """Tokens in the whole text after ``step`` merges."""
        if step:
            return self.merges[step - 1].n_token
        return sum(n * len(symbols) for n, symbols in zip(self.frequency, self.symbols, strict=True))

    def word_at(self, word: int, step: int) -> tuple[int, ...]:
        """The ids of one distinct word after ``step`` merges."""
        pieces: list[bytes] = []
        for symbol, gone in zip(self.symbols[word], self.gone_at[word], strict=True):
            if gone < step:
                pieces[-1] += self.vocab[symbol]
            else:
                pieces.append(self.vocab[symbol])
        return tuple(self.ids[piece] for piece in pieces)

    def corpus_at(self, step: int, max_words: int | None = None) -> tuple[tuple[int, ...], ...]:
        """The running text after ``step`` merges, one tuple of ids per word."""
        shown = self.text[:max_words]
        once = {word: self.word_at(word, step) for word in set(shown)}
        return tuple(once[word] for word in shown)

    def touched(self, step: int) -> list[int]:
        """The distinct words (indices into ``words``) that merge ``step`` (0-based) changed, the most frequent first."""
        changed = [word for word, gone in enumerate(self.gone_at) if step in gone]
        return sorted(changed, key=lambda word: -self.frequency[word])

    def candidates(self, step: int) -> list[Candidate]:
        """Every pair in the text after ``step`` merges, the one that the next merge takes first."""
        counts: Counter[Pair] = Counter()
        for word, n in enumerate(self.frequency):
            for pair in pairwise(self.word_at(word, step)):
                counts[pair] += n
        ranked = sorted((-count, *pair) for pair, count in counts.items())
        return [Candidate(left, right, -negative) for negative, left, right in ranked]


class _Corpus:
    """The distinct words as one chain of symbols, with the pair counts kept up to date while symbols are glued.

    Counting again after each merge would cost the whole text every time; here a merge costs its own occurrences.
    """

    def __init__(self, words: Sequence[Sequence[int]], frequency: Sequence[int]):
        self.symbol = [symbol for word in words for symbol in word]
        self.weight = [n for word, n in zip(words, frequency, strict=True) for _ in word]
        self.gone_at = [NEVER] * len(self.symbol)
        self.counts: dict[Pair, int] = {}
        self.places: dict[Pair, set[int]] = {}  # where the left symbol of a pair stands; may name places long gone
        self.before = [-1] * len(self.symbol)  # the neighbours inside the word, -1 at its ends
        self.after = [-1] * len(self.symbol)
        start = 0
        for word in words:
            for place in range(start, start + len(word) - 1):
                self.before[place + 1], self.after[place] = place, place + 1
                self._add(place)
            start += len(word)
        self.queue = [(-count, *pair) for pair, count in self.counts.items()]
        heapq.heapify(self.queue)

    def best(self) -> Candidate | None:
        """The most frequent pair; of equals the one with the smaller ids. None when no pair is left."""
        while self.queue:
            negative, left, right = heapq.heappop(self.queue)
            now = self.counts.get((left, right), 0)
            if now == -negative:
                return Candidate(left, right, now)
            if now:  # the count fell since it was queued
                heapq.heappush(self.queue, (-now, left, right))
        return None

    def glue(self, left: int, right: int, new: int, step: int) -> int:
        """Glue the pair wherever it stands, from left to right; how often that happened."""
        replaced, born = 0, set()
        for place in sorted(self.places.pop((left, right))):
            other = self.after[place]
            if self.gone_at[place] != NEVER or other < 0 or (self.symbol[place], self.symbol[other]) != (left, right):
                continue
            neighbours = [spot for spot in (self.before[place], other) if spot >= 0 and self.after[spot] >= 0]
            for spot in neighbours:
                self.counts[self._pair(spot)] -= self.weight[spot]
            self._join(place, other, new, step)
            replaced += self.weight[place]
            for spot in (self.before[place], place):
                if spot >= 0 and self.after[spot] >= 0:
                    born.add(self._add(spot))
        self.counts.pop((left, right))
        for pair in born & self.counts.keys():
            if self.counts[pair]:
                heapq.heappush(self.queue, (-self.counts[pair], *pair))
        return replaced

    def _join(self, place: int, other: int, new: int, step: int) -> None:
        self.symbol[place] = new
        self.gone_at[other] = step
        self.after[place] = self.after[other]
        if self.after[other] >= 0:
            self.before[self.after[other]] = place

    def _pair(self, place: int) -> Pair:
        return self.symbol[place], self.symbol[self.after[place]]

    def _add(self, place: int) -> Pair:
        pair = self._pair(place)
        self.counts[pair] = self.counts.get(pair, 0) + self.weight[place]
        self.places.setdefault(pair, set()).add(place)
        return pair


def train_timed(text: str, config: BPEConfig) -> tuple[BPETrace, float]:
    """``train`` and the seconds it took."""
    start = time.perf_counter()
    return train(text, config), time.perf_counter() - start


def train(text: str, config: BPEConfig | None = None) -> BPETrace:
    """Learn up to ``config.n_merges`` merges from any text; fewer when no pair is left that stands often enough."""
    config = config or BPEConfig()
    stream = split_words(text, config.split)
    frequency = Counter(stream)
    words = tuple(frequency)
    index = {word: i for i, word in enumerate(words)}
    vocab = list(alphabet_of(text, config.alphabet))
    known = {piece: i for i, piece in enumerate(vocab)}
    symbols = tuple(tuple(to_symbols(word, config.alphabet, known)) for word in words)
    corpus = _Corpus(symbols, tuple(frequency.values()))
    n_token = sum(n * len(word) for n, word in zip(frequency.values(), symbols, strict=True))
    n_base, merges = len(vocab), []
    for step in range(config.n_merges):
        best = corpus.best()
        if best is None or best.count < config.min_count:
            break
        replaced = corpus.glue(best.left, best.right, len(vocab), step)
        n_token -= replaced
        merges.append(Merge(best.left, best.right, len(vocab), best.count, replaced, n_token))
        vocab.append(vocab[best.left] + vocab[best.right])
    gone = iter(corpus.gone_at)
    gone_at = tuple(tuple(next(gone) for _ in word) for word in symbols)
    return BPETrace(
        config, n_base, tuple(vocab), tuple(merges), words, tuple(index[word] for word in stream), symbols, gone_at
    )
