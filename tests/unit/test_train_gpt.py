"""The small GPT's training: seeded, resumable, and its card says what was measured."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from models.training.export_gpt import Figures, HeadFigures
from models.training.gpt_card import card
from models.training.small_gpt import (
    Run,
    TrainConfig,
    draw_batch,
    heldout_nats,
    load_run,
    new_run,
    save_run,
    train_step,
)
from models.training.tokenizer import END_OF_TEXT, train_tokenizer
from models.transformer import GPTConfig

CPU = torch.device("cpu")
SHAPE = GPTConfig(n_vocab=11, n_context=8, n_layer=1, n_head=2, d_model=16, d_ff=32)
STREAM = torch.arange(400) % 11  # each token tells the next
CONFIG = TrainConfig(minutes=None, steps=60, batch=4, peak_lr=1e-2)


def _advance(run: Run, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        inputs, targets = draw_batch(STREAM, SHAPE.n_context, CONFIG.batch, CONFIG.seed, run.step)
        losses.append(train_step(run, inputs, targets, CONFIG.learning_rate(CONFIG.progress(run.step, 0)), CONFIG.clip))
        run.step += 1
    return losses


def test_learns_and_resumes_to_the_same_losses(tmp_path: Path) -> None:
    unbroken = new_run(CONFIG, CPU, SHAPE)
    before = heldout_nats(unbroken.model, STREAM)
    losses = _advance(unbroken, 60)
    assert heldout_nats(unbroken.model, STREAM) < before / 3
    first = new_run(CONFIG, CPU, SHAPE)
    start = _advance(first, 20)
    save_run(first, CONFIG, tmp_path / "state.pt")
    second, config = load_run(tmp_path / "state.pt", CPU)
    assert config == CONFIG
    assert (start + _advance(second, 40)) == losses
    assert [path.name for path in tmp_path.iterdir()] == ["state.pt"]


def test_batches_are_windows_and_their_next_tokens() -> None:
    inputs, targets = draw_batch(STREAM, 8, 5, seed=1, step=3)
    assert torch.equal((inputs + 1) % 11, targets)
    again, _ = draw_batch(STREAM, 8, 5, seed=1, step=3)
    assert torch.equal(inputs, again)
    assert not torch.equal(inputs, draw_batch(STREAM, 8, 5, seed=1, step=4)[0])


def test_heldout_is_the_mean_over_whole_windows() -> None:
    model = new_run(CONFIG, CPU, SHAPE).model
    windows, nexts = STREAM[:392].view(-1, 8), STREAM[1:393]
    with torch.no_grad():
        expected = F.cross_entropy(model(windows).flatten(0, 1), nexts).item()
    assert heldout_nats(model, STREAM) == pytest.approx(expected, rel=1e-5)


def test_learning_rate_rises_then_falls() -> None:
    rates = [CONFIG.learning_rate(progress / 100) for progress in range(101)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(CONFIG.peak_lr)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(CONFIG.last_lr)
    assert TrainConfig(minutes=2).progress(step=999, seconds=60) == 0.5


def test_tokenizer_is_byte_level() -> None:
    tokenizer = train_tokenizer(["the cat and the hat"] * 4, n_vocab=270)
    assert tokenizer.token_to_id(END_OF_TEXT) is not None
    for text in ("the cat", "über 😀\n\ttabs", "\x00"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert len(tokenizer.encode("the cat").ids) < len("the cat")


def test_card_says_the_figures() -> None:
    table = [[0.1, 0.93], [0.25, 0.3]]
    uniform = dict.fromkeys(("previous_token", "first_token", "same_token", "duplicate_token"), 0.07)
    heads = HeadFigures(table, table, table, table, table, table, uniform)
    figures = Figures(1234, 3.21, 1.23, 100, 350, 9, 90, 9000, heads, {"How": ["How are you\nfine"]})
    settings = {
        "provenance": "P.",
        "licence": "MIT",
        "shape": asdict(SHAPE),
        "precision": "float16",
        "sha256": "ab12",
        "command": "python -m it",
        "training": asdict(CONFIG),
        "steps": 60,
        "minutes": 0.1,
        "finished": False,
        "history": [[n, n * 6.0, 4.0 - n / 100] for n in range(1, 61)],
    }
    text = card(settings, figures)
    for said in ("1,234", "3.210", "1.230", "3.50", "layer 0 head 1 (0.93)", "ab12", "python -m it", "3.400"):
        assert said in text, said
    assert "early checkpoint" in text
    assert "early checkpoint" not in card(settings | {"finished": True}, figures)
