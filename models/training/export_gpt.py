"""A trained small GPT -> assets/weights/small-gpt: fp16 weights, settings, tokenizer, and a card of measured figures."""

import json
import math
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from models import measures
from models.checkpoints import weights_dir
from models.sampling import SamplingConfig, generate
from models.small_gpt import SmallGPT, load_small_gpt
from models.trace import Encoding
from models.training.corpus import training_text
from models.training.gpt_card import card
from models.training.tokenizer import token_stream
from models.transformer import GPT
from models.weights_file import sha256_of

if TYPE_CHECKING:
    from models.training.small_gpt import Run, TrainConfig

PROMPTS = ("I like to play", "How are you", "My favorite food is", "What do you want to do when you")
SENTENCES = 40  # held-out texts that the heads are measured on
PROVENANCE = (
    "A GPT of {parameters:.1f} million parameters trained here from nothing on chit-chat conversations (MIT) and "
    "WordNet 3.0 example sentences; our own weights, MIT."
)


@dataclass(frozen=True)
class HeadFigures:
    """Mean measures over held-out text, each [layer][head], and what a head that looks everywhere alike would show."""

    previous_token: list[list[float]]
    first_token: list[list[float]]
    same_token: list[list[float]]
    duplicate_token: list[list[float]]
    distance: list[list[float]]
    entropy: list[list[float]]
    uniform: dict[str, float]


@dataclass(frozen=True)
class Figures:
    """Everything that the card says in numbers."""

    parameters: int
    nats_per_token: float
    bits_per_byte: float
    heldout_tokens: int
    heldout_bytes: int
    heldout_documents: int
    train_documents: int
    train_tokens: int
    heads: HeadFigures
    samples: dict[str, list[str]]


def export(run: "Run", config: "TrainConfig", tokenizer: Tokenizer) -> Path:
    """Write the folder, load it again as a visitor would, measure that, and write the card."""
    folder = weights_dir() / "small-gpt"
    settings = pack(folder, run.model, tokenizer, _training(run, config))
    figures = evaluate(load_small_gpt(folder))
    _write_json(folder / "config.json", settings | {"measured": asdict(figures)})
    (folder / "README.md").write_text(card(settings, figures), encoding="utf-8")
    print(f"{folder}: {figures.nats_per_token:.3f} nats per token, {figures.bits_per_byte:.3f} bits per byte held out")
    return folder


def pack(folder: Path, model: GPT, tokenizer: Tokenizer, training: dict[str, Any]) -> dict[str, Any]:
    """Weights in fp16 (half the file, and logits move by less than a hundredth), tokenizer, and settings with the
    hashes that a loader checks; returns the settings."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / "model.safetensors"
    save_file({name: t.to("cpu", torch.float16).contiguous() for name, t in model.state_dict().items()}, weights)
    weights.chmod(0o644)
    tokenizer.save(str(folder / "tokenizer.json"))
    parameters = sum(p.numel() for p in model.parameters())
    settings = {
        "name": "small-gpt",
        "title": "Small GPT",
        "provenance": PROVENANCE.format(parameters=parameters / 1e6),
        "licence": "MIT",
        "shape": asdict(model.config),
        "precision": "float16 on disk, float32 when loaded",
        "bytes": weights.stat().st_size,
        "sha256": sha256_of(weights),
        "tokenizer_sha256": sha256_of(folder / "tokenizer.json"),
    } | training
    _write_json(folder / "config.json", settings)
    return settings


def _training(run: "Run", config: "TrainConfig") -> dict[str, Any]:
    return {
        "command": _command(config),
        "training": asdict(config),
        "steps": run.step,
        "minutes": round(run.seconds / 60, 1),
        "finished": config.progress(run.step, run.seconds) >= 1,
        "history": run.history,
    }


def _command(config: "TrainConfig") -> str:
    length = f"--steps {config.steps}" if config.steps else f"--minutes {config.minutes:g}"
    return f"python -m models.training.small_gpt {length} --seed {config.seed}"


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def evaluate(model: SmallGPT) -> Figures:
    """All figures of the card, on the exported weights."""
    from models.training.small_gpt import heldout_nats

    heldout, stream = training_text("heldout"), token_stream(model.tokenizer, "heldout")
    nats = heldout_nats(model.model, stream)
    size = sum(len(document.encode()) for document in heldout)
    return Figures(
        parameters=sum(p.numel() for p in model.model.parameters()),
        nats_per_token=nats,
        bits_per_byte=nats * len(stream) / size / math.log(2),
        heldout_tokens=len(stream),
        heldout_bytes=size,
        heldout_documents=len(heldout),
        train_documents=len(training_text("train")),
        train_tokens=len(token_stream(model.tokenizer, "train")),
        heads=head_figures(model, heldout),
        samples={prompt: [sample(model, prompt, seed) for seed in (0, 1)] for prompt in PROMPTS},
    )


def sample(model: SmallGPT, prompt: str, seed: int, n_token: int = 32) -> str:
    """The prompt and its continuation at temperature 0.8, top-p 0.95."""
    ids = list(model.encode(prompt).ids)
    drawn = generate(lambda row: model.logits(row)[-1], ids, SamplingConfig(0.8, 0, 0.95, seed), n_token)
    tokens = [one.token for one in drawn]
    if model.end_of_text in tokens:
        tokens = tokens[: tokens.index(model.end_of_text)]
    return model.decode(ids + tokens)


def head_figures(model: SmallGPT, documents: list[str]) -> HeadFigures:
    """Head measures averaged over the first 64 tokens of held-out texts that are at least so long."""
    encodings = (model.encode(document) for document in documents)
    long = [Encoding(e.ids[:64], e.tokens[:64]) for e in encodings if len(e.ids) >= 64][:SENTENCES]
    found = [[measures.measure(layer.attention.weights, e.ids) for layer in model.trace(e).layers] for e in long]
    alike = measures.uniform_weights(64, causal=True)
    flat = [measures.measure(alike, e.ids) for e in long]

    def mean(name: str) -> list[list[float]]:
        rows = [torch.stack([getattr(layer, name) for layer in one]) for one in found]
        return _rounded(torch.stack(rows).nanmean(0))

    names = ("previous_token", "first_token", "same_token", "duplicate_token", "distance", "entropy")
    baseline = {name: round(statistics.fmean(getattr(one, name).item() for one in flat), 4) for name in names}
    return HeadFigures(**{name: mean(name) for name in names}, uniform=baseline)


def _rounded(table: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in table.tolist()]
