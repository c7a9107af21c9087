"""What the pages ask of a model that predicts the next token: its logits, texts that continue, cached for all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st
import torch
from torch import Tensor

from app import compute
from models import probes, sampling
from models.foreign_tokenizer import ForeignTokenizer
from models.lens import LensTrace, logit_lens
from models.probes import FACTS, PAIRS, FactResult
from models.sampling import SamplingConfig
from models.small_gpt import SmallGPT
from models.trace import Encoding


def logits(name: str, ids: Sequence[int]) -> Tensor:
    """Logits [token, n_vocab] of a plain forward pass, on the CPU."""
    model = compute.model(name)
    with torch.no_grad():
        if isinstance(model, SmallGPT):
            return model.logits(ids).cpu()
        found = model.trace(Encoding(tuple(ids), ("",) * len(ids))).logits
    assert found is not None
    return found.cpu()


def piece(name: str, token: int) -> str:
    """One token as it stands in the text."""
    model = compute.model(name)
    if isinstance(model, SmallGPT):
        return model.piece(token)
    if isinstance(own := getattr(model, "tokenizer", None), ForeignTokenizer):
        return own.piece(token)
    return model.decode([token])


def lens(name: str, encoding: Encoding, start: int, end: int) -> LensTrace:
    """The logit lens over the tokens ``start`` to ``end`` (left out)."""
    return compute.run(_lens, name, encoding, start, end)


def _lens(name: str, encoding: Encoding, start: int, end: int) -> LensTrace:
    return logit_lens(compute.model(name), compute.trace(name, encoding), start, end)


def open_end(tokens: Sequence[str]) -> int:
    """How many tokens to read before asking: all of a text that stops in the middle; of a finished sentence all but
    its last word, for what follows a full stop is no question."""
    if not tokens or not tokens[-1].rstrip().endswith((".", "!", "?")):
        return len(tokens)
    starts = [at for at, token in enumerate(tokens) if at and token[:1].isspace() and any(map(str.isalnum, token))]
    return starts[-1] if starts else len(tokens)


def agreement(name: str) -> tuple[tuple[float, float], ...]:
    """For each of ``probes.PAIRS`` the log-probability of the right and the wrong form."""
    return compute.run(_agreement, name)


def _agreement(name: str) -> tuple[tuple[float, float], ...]:
    ask, read = _asking(name)
    return tuple(probes.preference(ask, read, pair) for pair in PAIRS)


def facts(name: str) -> tuple[FactResult, ...]:
    """How the model stands to each of ``probes.FACTS``."""
    return compute.run(_facts, name)


def _facts(name: str) -> tuple[FactResult, ...]:
    ask, read = _asking(name)
    return tuple(probes.ask(ask, read, fact) for fact in FACTS)


def _asking(name: str) -> tuple[probes.NextLogits, Callable[[str], Sequence[int]]]:
    model = compute.model(name)
    return (lambda ids: logits(name, ids)), (lambda text: model.encode(text).ids)


@dataclass(frozen=True)
class Step:
    """One drawn token, the number in [0, 1) that decided, and the chance it had."""

    token: int
    uniform: float
    chance: float


def continued(name: str, ids: tuple[int, ...], config: SamplingConfig, count: int) -> list[Step]:
    """The first ``count`` tokens drawn after ``ids``: what this visitor has drawn already is kept and gone on from."""
    key = (name, ids, config)
    kept_key, drawn = st.session_state.get("language_drawn", (None, []))
    if kept_key != key:
        drawn = []
    row = [*ids, *(one.token for one in drawn)]
    while len(drawn) < count:
        chances = sampling.sampling_stages(logits(name, row)[-1], config).probabilities
        uniform = sampling.uniform_number(config.seed, len(drawn))
        token = sampling.draw(chances, uniform)
        drawn = [*drawn, Step(token, uniform, float(chances[token]))]
        row.append(token)
    st.session_state["language_drawn"] = (key, drawn)
    return drawn[:count]
