"""The small live picture of each stop on the map, from the reader's own sentence. A stop without one shows words alone.

Each entry: slug -> function(sentence) -> (array [row, column], "probability" or "signed").
"""

from collections.abc import Callable

import numpy as np
import torch

from app import compute
from app.figures import thumbnail
from app.theme import Look
from models import texts
from models.bpe import BPEConfig, train_timed
from models.bpe_encode import encode, piece_of
from models.gates import GatesConfig, open_gates
from models.gradient_race import RaceConfig, race
from models.positional import PositionalConfig, encode_positions

Picture = tuple[np.ndarray, str]
MAX_TOKENS = 16


def _attention(sentence: str) -> Picture:
    layer = compute.trace("minilm", compute.read("minilm", sentence, MAX_TOKENS)).layers[3]
    return layer.attention.weights[1].cpu().numpy(), "probability"  # the head that the page opens on


def _heads(sentence: str) -> Picture:
    layer = compute.trace("minilm", compute.read("minilm", sentence, MAX_TOKENS)).layers[2]
    return thumbnail.tile(layer.attention.weights.cpu().numpy(), 6), "probability"


def _causal(sentence: str) -> Picture:
    weights = compute.trace("small-gpt", compute.read("small-gpt", sentence, MAX_TOKENS)).layers[0].attention.weights[2]
    future = torch.ones_like(weights, dtype=torch.bool).triu(1)
    return weights.masked_fill(future, torch.nan).cpu().numpy(), "probability"


def _explorer(sentence: str) -> Picture:
    layers = compute.trace("minilm", compute.read("minilm", sentence, MAX_TOKENS)).layers
    return thumbnail.tile(torch.cat([layer.attention.weights for layer in layers]).cpu().numpy(), 12), "probability"


def _lens(sentence: str) -> Picture:
    encoding = compute.read("small-gpt", sentence, MAX_TOKENS)
    trace, model = compute.trace("small-gpt", encoding), compute.model("small-gpt")
    best = [model.read_out(state).softmax(-1).amax(-1) for state in trace.hidden]
    return torch.stack(best).detach().cpu().numpy(), "probability"


def _positions(sentence: str) -> Picture:
    """A row of waves for each place that the sentence has."""
    n_token = len(compute.read("minilm", sentence, MAX_TOKENS).ids)
    return encode_positions(PositionalConfig(n_token, 32)).encoding.numpy(), "signed"


def _merges(sentence: str) -> Picture:
    """Merges from top to bottom, the sentence's bytes from left to right: the size of the token that each is in."""
    trace, _ = compute.run(train_timed, texts.read("bpe_paragraph"), BPEConfig(200, min_count=2))
    rows = []
    for step in range(0, len(trace.merges) + 1, 10):
        sizes = [len(piece_of(index, trace)) for index in encode(sentence[:32], trace, step)]
        rows.append([size for size in sizes for _ in range(size)])
    return np.array(rows, dtype=np.float32), "probability"


def _states(sentence: str) -> Picture:
    read = sentence[: 2 * MAX_TOKENS]
    hidden = compute.run(race, RaceConfig(text=read, n_step=len(read), n_hidden=16)).rnn.hidden
    return hidden.T.numpy(), "signed"


def _gates(sentence: str) -> Picture:
    trace = compute.run(open_gates, GatesConfig(sentence[: 2 * MAX_TOKENS])).free
    busy = trace.forget.std(0, unbiased=False).argsort(descending=True)[:16]
    return trace.forget[:, busy].T.numpy(), "probability"


PICTURES: dict[str, Callable[[str], Picture]] = {
    "bpe-merges": _merges,
    "rnn-gradients": _states,
    "lstm-gates": _gates,
    "attention": _attention,
    "multi-head": _heads,
    "causal-mask": _causal,
    "positional-encoding": _positions,
    "head-explorer": _explorer,
    "next-token": _lens,
}


def png(slug: str, sentence: str, look: Look) -> bytes | None:
    """The stop's picture for this sentence and theme, or None where the stop has none."""
    return compute.run(_png, slug, sentence, look) if slug in PICTURES else None


def _png(slug: str, sentence: str, look: Look) -> bytes:
    z, kind = PICTURES[slug](sentence)
    return thumbnail.picture(z, look, kind)
