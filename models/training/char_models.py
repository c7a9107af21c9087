"""How the shipped character RNN and character LSTM were made: same text, same order, same number of characters.

    python -m models.training.char_models      trains both, measures them, writes assets/weights/char-*

Truncated backpropagation through time (Williams and Peng 1990): the text runs as 32 parallel streams, the gradient
reaches 100 characters back, the state is carried on, so that a unit may learn to count over a whole line.
"""

import argparse
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.alphabet import SYMBOLS, encode_characters
from models.training.corpus import training_text

Kind = Literal["rnn", "lstm"]
WEIGHTS = Path(__file__).resolve().parents[2] / "assets" / "weights"


@dataclass(frozen=True)
class Plan:
    """All that defines one training run."""

    n_hidden: int = 128
    n_stream: int = 32
    n_step: int = 100  # characters of one truncated backward pass
    n_update: int = 6000
    learning_rate: float = 8e-3
    warmup: int = 200
    max_norm: float = 1.0
    seed: int = 0


PLANS: dict[Kind, Plan] = {"rnn": Plan(learning_rate=2e-3), "lstm": Plan()}


class CharNet(nn.Module):
    """One recurrent layer of PyTorch's own over one-hot characters, and the readout y_t = W_hy h_t + b_y."""

    def __init__(self, kind: Kind, n_hidden: int) -> None:
        super().__init__()
        layer = nn.RNN if kind == "rnn" else nn.LSTM
        self.layer = layer(len(SYMBOLS), n_hidden, batch_first=True)
        self.readout = nn.Linear(n_hidden, len(SYMBOLS))
        own = dict(self.layer.named_parameters())
        with torch.no_grad():
            # A column of W_xh is a character's embedding; at PyTorch's ±1/√hidden a third of the run goes to growing it.
            own["weight_ih_l0"].uniform_(-1, 1)
            if kind == "lstm":  # a forget gate that starts open: Jozefowicz et al. 2015
                own["bias_ih_l0"][n_hidden : 2 * n_hidden] += 1.0

    def forward(self, ids: Tensor, state=None):
        hidden, state = self.layer(F.one_hot(ids, len(SYMBOLS)).float(), state)
        return self.readout(hidden), state


def reading_text(documents: list[str], seed: int) -> str:
    """The documents as one text in which runs of words stand in quotation marks, drawn from the seed.

    Before one word in sixteen a quotation opens; inside it, one word in five is the last, and so is the last of a
    line. Whether a word may close a quotation was decided some words ago: a thing worth remembering. Quotation marks
    of the source become apostrophes. Documents are parted by an empty line.
    """
    draw = random.Random(seed)

    def line(text: str) -> str:
        words, inside = text.replace('"', "'").split(), False
        for at, word in enumerate(words):
            if not inside and draw.random() < 1 / 16:
                word, inside = '"' + word, True
            if inside and (at == len(words) - 1 or draw.random() < 1 / 5):
                word, inside = word + '"', False
            words[at] = word
        return " ".join(words)

    return "\n\n".join("\n".join(map(line, document.splitlines())) for document in documents)


def text_ids(split: Literal["train", "heldout"], seed: int) -> Tensor:
    """The ids [character] of one split."""
    return torch.tensor(encode_characters(reading_text(training_text(split), seed)), dtype=torch.uint8)


def train(kind: Kind, plan: Plan, ids: Tensor, heldout: Tensor) -> tuple[CharNet, list[tuple[int, float]]]:
    """The trained net and its (update, held-out bits per character) along the way."""
    torch.manual_seed(plan.seed)
    net = CharNet(kind, plan.n_hidden)
    optimiser = torch.optim.AdamW(net.parameters(), lr=plan.learning_rate, betas=(0.9, 0.98), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda update: _rate(update, plan))
    streams = ids[: len(ids) // plan.n_stream * plan.n_stream].view(plan.n_stream, -1)
    begun, state, at, log = time.monotonic(), None, 0, []
    for update in range(1, plan.n_update + 1):
        if at + plan.n_step + 1 > streams.shape[1]:
            at, state = 0, None
        part = streams[:, at : at + plan.n_step + 1].long()
        with torch.autocast("cpu", torch.bfloat16):
            logits, state = net(part[:, :-1], state)
        loss = F.cross_entropy(logits.float().flatten(0, 1), part[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), plan.max_norm)
        optimiser.step()
        schedule.step()
        state = tuple(part.detach() for part in state) if kind == "lstm" else state.detach()
        at += plan.n_step
        if update % 500 == 0 or update == plan.n_update:
            log.append((update, bits_per_character(net, heldout[:60_000])))
            print(f"{kind} {update}/{plan.n_update} {log[-1][1]:.3f} bits {time.monotonic() - begun:.0f} s", flush=True)
    return net, log


def _rate(update: int, plan: Plan) -> float:
    """Linear warm-up, then a cosine down to a fiftieth."""
    if update < plan.warmup:
        return (update + 1) / plan.warmup
    along = (update - plan.warmup) / max(1, plan.n_update - plan.warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * along))


@torch.no_grad()
def bits_per_character(net: CharNet, ids: Tensor, n_chunk: int = 2000) -> float:
    """Mean −log₂ p(next character) over ids [character], read in one stream with the state carried."""
    total, state = 0.0, None
    for at in range(0, len(ids) - 1, n_chunk):
        part = ids[at : at + n_chunk + 1].long()
        logits, state = net(part[None, :-1], state)
        total += float(F.cross_entropy(logits[0].float(), part[1:], reduction="sum"))
    return total / math.log(2) / (len(ids) - 1)


def main() -> None:
    from models.training.char_card import export  # it imports this module

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="the folder that gets char-rnn and char-lstm")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    ids, heldout = text_ids("train", seed=0), text_ids("heldout", seed=1)
    for kind, plan in PLANS.items():
        net, log = train(kind, plan, ids, heldout)
        print(f"{kind}: written to {export(kind, net, plan, log, heldout, out)}")


if __name__ == "__main__":
    main()
