"""What the pages on trained models ask of a model again and again, computed once for all visitors."""

from app import compute
from models import heads
from models.heads import HeadTable
from models.trace import Encoding, Head

SPECIAL = ("[CLS]", "[SEP]", "<s>", "</s>", "<|endoftext|>")


def special(name: str, encoding: Encoding) -> tuple[bool, ...]:
    """Which tokens are no words to look at: markers, and a causal model's first token, where attention rests."""
    causal = compute.model(name).kind == "causal"
    return tuple(token in SPECIAL or (causal and at == 0) for at, token in enumerate(encoding.tokens))


def table(name: str, encoding: Encoding) -> HeadTable:
    """Every measure of every head on this sentence."""
    return compute.run(_table, name, encoding)


def _table(name: str, encoding: Encoding) -> HeadTable:
    return heads.measure_heads(compute.trace(name, encoding), compute.model(name).kind != "encoder")


def telling(name: str, encoding: Encoding) -> Head:
    """The head with the strongest link between two words that do not stand side by side."""
    return compute.run(_telling, name, encoding)


def _telling(name: str, encoding: Encoding) -> Head:
    return heads.telling_head(compute.trace(name, encoding), special(name, encoding))
