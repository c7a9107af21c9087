"""How the small GPT was made, and how to make it again.

    python -m models.training.small_gpt --minutes 90 --seed 0     trains (resumes when interrupted), then exports
    python -m models.training.small_gpt --steps 20000 --seed 0    the same with a length that no clock decides
    python -m models.training.small_gpt --export                  evaluates and exports the latest checkpoint

A run that was interrupted goes on with the length and seed it began with; ``--restart`` begins anew.
The learning rate follows one cosine over the whole budget, so a run that is cut short is not a finished run.
"""

import argparse
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.cache import cache_home
from models.training.corpus import training_text
from models.training.tokenizer import token_stream, train_tokenizer
from models.transformer import GPT, GPTConfig, init_weights


@dataclass(frozen=True)
class TrainConfig:
    """All that defines a run: its length (minutes of training time, or steps), its seed and the optimiser."""

    minutes: float | None = 90.0
    steps: int | None = None
    seed: int = 0
    batch: int = 8
    peak_lr: float = 1.5e-3
    last_lr: float = 5e-5
    warmup: float = 0.02  # share of the run
    weight_decay: float = 0.1
    clip: float = 1.0
    save_minutes: float = 4.0

    def progress(self, step: int, seconds: float) -> float:
        """The share of the run that is done, from 0 to 1 and beyond."""
        return step / self.steps if self.steps else seconds / (60 * (self.minutes or 90.0))

    def learning_rate(self, progress: float) -> float:
        """Linear warm-up, then half a cosine from the peak down to the last."""
        if progress < self.warmup:
            return self.peak_lr * progress / self.warmup
        angle = math.pi * min(1.0, (progress - self.warmup) / (1 - self.warmup))
        return self.last_lr + (self.peak_lr - self.last_lr) * (1 + math.cos(angle)) / 2


@dataclass
class Run:
    """A training run in progress: what a checkpoint holds."""

    model: GPT
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0  # spent training, over all sittings
    history: list[tuple[int, float, float]] | None = None  # step, seconds, held-out nats per token


def run_folder() -> Path:
    """Where the tokenizer and the unfinished run live."""
    folder = cache_home() / "training" / "small-gpt"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def load_tokenizer() -> Tokenizer:
    """The run's tokenizer, learned from the train split on first use."""
    path = run_folder() / "tokenizer.json"
    if not path.exists():
        train_tokenizer(training_text("train")).save(str(path))
    return Tokenizer.from_file(str(path))


def draw_batch(stream: Tensor, n_context: int, batch: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Random windows of the stream: inputs and the tokens that follow them, both [batch, n_context].

    Drawn from seed and step alone, so a resumed run sees the batches that an unbroken one would have seen.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    starts = torch.randint(len(stream) - n_context - 1, (batch, 1), generator=generator)
    windows = stream[starts + torch.arange(n_context + 1)]
    return windows[:, :-1], windows[:, 1:]


@contextmanager
def fast_kernels(device: torch.device) -> Iterator[None]:
    """On a CPU the plain bf16 attention trains a third faster than the fused one, whose backward is slow for d_k 32."""
    if device.type != "cpu":
        yield
        return
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # named for CUDA, read on the CPU too
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(before)


def train_step(run: Run, inputs: Tensor, targets: Tensor, learning_rate: float, clip: float) -> float:
    """One AdamW step with bf16 matrix products and fp32 weights and loss; returns the loss in nats per token."""
    for group in run.optimiser.param_groups:
        group["lr"] = learning_rate
    with torch.autocast(inputs.device.type, torch.bfloat16):
        logits = run.model(inputs)
    loss = F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), clip)
    run.optimiser.step()
    run.optimiser.zero_grad(set_to_none=True)
    return loss.item()


@torch.no_grad()
def heldout_nats(model: GPT, stream: Tensor, windows: int | None = None) -> float:
    """Mean nats per token over the stream cut into whole contexts (all of them, or the first ``windows``)."""
    n_context = model.config.n_context
    device = model.token.weight.device
    count = min(windows or len(stream), (len(stream) - 1) // n_context)
    total = 0.0
    for at in range(0, count * n_context, 16 * n_context):
        stop = min(at + 16 * n_context, count * n_context)
        inputs = stream[at:stop].view(-1, n_context).to(device)
        targets = stream[at + 1 : stop + 1].to(device)
        total += F.cross_entropy(model(inputs).flatten(0, 1), targets, reduction="sum").item()
    return total / (count * n_context)


def new_run(config: TrainConfig, device: torch.device, shape: GPTConfig) -> Run:
    """Seeded weights and a fresh AdamW; norms, biases and positions are not decayed."""
    model = GPT(shape)
    init_weights(model, config.seed)
    model.to(device)
    matrices = [p for n, p in model.named_parameters() if p.dim() > 1 and not n.startswith("position")]
    others = [p for n, p in model.named_parameters() if p.dim() < 2 or n.startswith("position")]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return Run(model, torch.optim.AdamW(groups, lr=config.peak_lr, betas=(0.9, 0.99), fused=True), history=[])


def save_run(run: Run, config: TrainConfig, path: Path) -> None:
    """The whole run in one file; written beside and moved, so that an interrupted write harms nothing."""
    state = {
        "model": run.model.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "shape": asdict(run.model.config),
        "config": asdict(config),
        "step": run.step,
        "seconds": run.seconds,
        "history": run.history,
    }
    torch.save(state, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def load_run(path: Path, device: torch.device) -> tuple[Run, TrainConfig]:
    """A saved run and the config it was started with."""
    state = torch.load(path, map_location=device, weights_only=True)
    config = TrainConfig(**state["config"])
    run = new_run(config, device, GPTConfig(**state["shape"]))
    run.model.load_state_dict(state["model"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.step, run.seconds, run.history = state["step"], state["seconds"], state["history"]
    return run, config


def train(run: Run, config: TrainConfig, tokenizer: Tokenizer, path: Path) -> None:
    """Steps until the budget is spent; says the loss, and saves with the held-out figure every few minutes."""
    stream, heldout = token_stream(tokenizer, "train"), token_stream(tokenizer, "heldout")
    device = run.model.token.weight.device
    losses: list[float] = []
    saved = last = time.monotonic()
    while (progress := config.progress(run.step, run.seconds)) < 1.0:
        inputs, targets = draw_batch(stream, run.model.config.n_context, config.batch, config.seed, run.step)
        with fast_kernels(device):
            loss = train_step(run, inputs.to(device), targets.to(device), config.learning_rate(progress), config.clip)
        losses.append(loss)
        run.step += 1
        now = time.monotonic()
        run.seconds += now - last
        last = now
        if now - saved > 60 * config.save_minutes:
            _report(run, config, path, losses, heldout)
            saved = last = time.monotonic()  # the time of the evaluation is not training time
            losses = []
    _report(run, config, path, losses, heldout)


def _report(run: Run, config: TrainConfig, path: Path, losses: list[float], heldout: Tensor) -> None:
    nats = heldout_nats(run.model, heldout, windows=128)
    assert run.history is not None
    run.history.append((run.step, round(run.seconds, 1), nats))
    save_run(run, config, path)
    mean = sum(losses) / max(1, len(losses))
    rate = run.step * config.batch * run.model.config.n_context / max(run.seconds, 1e-9)
    print(
        f"step {run.step:6d}  {run.seconds / 60:5.1f} min  train {mean:.3f}  held-out {nats:.3f} nats/token  "
        f"{rate:,.0f} tokens/s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=90.0, help="minutes of training time")
    parser.add_argument("--steps", type=int, help="train this many steps instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--restart", action="store_true", help="forget an unfinished run")
    parser.add_argument("--export", action="store_true", help="do not train: evaluate and export the checkpoint")
    asked = parser.parse_args()
    device, path, tokenizer = torch.device(asked.device), run_folder() / "state.pt", load_tokenizer()
    if path.exists() and not asked.restart:
        run, config = load_run(path, device)
        print(f"going on from step {run.step} of {path}: {config}", flush=True)
    else:
        config = TrainConfig(minutes=None if asked.steps else asked.minutes, steps=asked.steps, seed=asked.seed)
        run = new_run(config, device, GPTConfig())
    if not asked.export:
        train(run, config, tokenizer, path)
    from models.training.export_gpt import export  # imported here so that a long run needs nothing of it at its start

    export(run, config, tokenizer)


if __name__ == "__main__":
    main()
