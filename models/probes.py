"""What a language model knows, asked in its own terms: how likely is the right continuation, and how likely the wrong?

Agreement pairs after Linzen, Dupoux and Goldberg 2016, "Assessing the Ability of LSTMs to Learn Syntax-Sensitive
Dependencies": the verb must agree with its subject, not with the noun that stands nearer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

NextLogits = Callable[[Sequence[int]], Tensor]  # ids -> logits [token, n_vocab]


@dataclass(frozen=True)
class Pair:
    """A beginning, the form that agrees with its subject, and the one that does not."""

    prefix: str
    right: str
    wrong: str
    attractor: bool = False  # a noun of the other number stands between

    @property
    def short(self) -> str:
        """For a label: the nouns and the right form."""
        words = [word for word in self.prefix.split() if word.lower() not in ("the", "my", "to", "in", "near")]
        return f"{' … '.join(words)}{self.right}"


@dataclass(frozen=True)
class Fact:
    prefix: str
    answer: str


PAIRS = (
    Pair("She", " is", " are"),
    Pair("They", " are", " is"),
    Pair("My friend", " has", " have"),
    Pair("My friends", " have", " has"),
    Pair("The dogs", " are", " is"),
    Pair("The keys to the cabinet", " are", " is", True),
    Pair("The key to the cabinets", " is", " are", True),
    Pair("The children in the room", " were", " was", True),
    Pair("The child in the rooms", " was", " were", True),
    Pair("The dog near the cats", " is", " are", True),
)
FACTS = (
    Fact("Paris is the capital of", " France"),
    Fact("The Eiffel Tower is in the city of", " Paris"),
    Fact("Monday, Tuesday,", " Wednesday"),
    Fact("The opposite of hot is", " cold"),
    Fact("The colour of the sky is", " blue"),
    Fact("Two plus two is", " four"),
)


@dataclass(frozen=True)
class FactResult:
    """How a model stands to one fact: the first piece of the answer after the beginning."""

    fact: Fact
    probability: float
    rank: int  # 1 is the likeliest
    best: int  # the token it finds likeliest


def log_probability(next_logits: NextLogits, ids: Sequence[int], continuation: Sequence[int]) -> float:
    """log p(continuation | ids) in nats, summed over the tokens of the continuation.

    Raises:
        ValueError: if either is empty.
    """
    if not ids or not continuation:
        raise ValueError("both the beginning and its continuation need a token")
    logits = next_logits([*ids, *continuation])[len(ids) - 1 : -1].log_softmax(-1)
    return float(sum(row[token] for row, token in zip(logits, continuation, strict=True)))


def preference(next_logits: NextLogits, encode: Callable[[str], Sequence[int]], pair: Pair) -> tuple[float, float]:
    """log p of the right and of the wrong form, nats."""
    ids, words = encode(pair.prefix), [encode(word) for word in (pair.right, pair.wrong)]
    if all(len(word) == 1 for word in words):  # one pass answers both
        chances = next_logits(ids)[-1].log_softmax(-1)
        return float(chances[words[0][0]]), float(chances[words[1][0]])
    right, wrong = (log_probability(next_logits, ids, word) for word in words)
    return right, wrong


def ask(next_logits: NextLogits, encode: Callable[[str], Sequence[int]], fact: Fact) -> FactResult:
    """Probability and rank of the answer's first piece."""
    chances = next_logits(encode(fact.prefix))[-1].softmax(-1)
    own = chances[encode(fact.answer)[0]]
    return FactResult(fact, float(own), int((chances > own).sum()) + 1, int(chances.argmax()))
