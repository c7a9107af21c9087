"""The small GPT's model card, put together from measured values alone."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.training.export_gpt import Figures, HeadFigures

WORDS = {
    "previous_token": "the token just before",
    "first_token": "the first token (the sink)",
    "same_token": "itself",
    "duplicate_token": "other places of the same token",
}


def card(settings: dict[str, Any], figures: "Figures") -> str:
    """Markdown: what it is, data, training, held-out figures, heads, samples, weaknesses."""
    return "\n\n".join(
        [
            _head(settings, figures),
            _data(figures),
            _training(settings),
            _heldout(figures),
            _heads(figures.heads),
            _samples(figures.samples),
            _weaknesses(settings, figures),
        ]
    )


def _head(settings: dict[str, Any], figures: "Figures") -> str:
    shape = settings["shape"]
    return f"""# Small GPT

{settings["provenance"]} Written by `models/training/export_gpt.py` from measured values; do not edit.

| | |
|---|---|
| licence | {settings["licence"]} (weights, tokenizer and code) |
| parameters | {figures.parameters:,} |
| shape | {shape["n_layer"]} layers, {shape["n_head"]} heads, d_model {shape["d_model"]}, d_ff {shape["d_ff"]}, context {shape["n_context"]}, vocabulary {shape["n_vocab"]} |
| design | pre-norm, learned positions, GELU, output head tied to the token embedding |
| tokenizer | byte-level BPE of our own, learned from the train split |
| precision | {settings["precision"]} |
| sha256 | `{settings["sha256"]}` |"""


def _data(figures: "Figures") -> str:
    return f"""## Data

- Chit-chat conversations: `chitchat-dataset` 0.9.0 from PyPI (BYU Perception, Control & Cognition lab), MIT.
- Example sentences of WordNet 3.0 (Princeton University), under the WordNet licence.

Messages with swear words, e-mail or web addresses or telephone-like numbers were left out, and everything was brought to printable ASCII. {figures.train_documents:,} documents ({figures.train_tokens:,} tokens) to train on; {figures.heldout_documents:,} documents held out by the hash of their key, whole conversations at a time."""


def _training(settings: dict[str, Any]) -> str:
    config = settings["training"]
    state = "" if settings["finished"] else "\n\n**An early checkpoint: the run had not ended when this was exported.**"
    rows = "\n".join(
        f"| {step:,} | {seconds / 60:.1f} | {nats:.3f} |" for step, seconds, nats in _thinned(settings["history"])
    )
    return f"""## Training

    {settings["command"]}

{settings["steps"]:,} steps of {config["batch"]} × {settings["shape"]["n_context"]} tokens in {settings["minutes"]} minutes of one CPU thread or one device. AdamW (β 0.9, 0.99; weight decay {config["weight_decay"]}), {config["warmup"]:.0%} linear warm-up to {config["peak_lr"]:g}, then a cosine down to {config["last_lr"]:g}; gradients clipped to norm {config["clip"]:g}; matrix products in bf16. Seed {config["seed"]} draws the weights and every batch. A run by minutes is as long as the machine is fast; `--steps {settings["steps"]}` makes one of this length that no clock decides.{state}

| step | minutes | held-out nats per token (a part of the held-out text) |
|---:|---:|---:|
{rows}"""


def _thinned(history: list[Any], most: int = 12) -> list[Any]:
    """At most about a dozen rows, the last always among them."""
    every = max(1, -(-len(history) // most))
    return history[::-1][::every][::-1]


def _heldout(figures: "Figures") -> str:
    return f"""## Held-out figures

| measure | value |
|---|---:|
| nats per token | {figures.nats_per_token:.3f} |
| bits per byte | {figures.bits_per_byte:.3f} |
| bytes per token | {figures.heldout_bytes / figures.heldout_tokens:.2f} |

Over all {figures.heldout_tokens:,} held-out tokens in windows of the whole context, each read without what came before its window; the weights as they lie on disk."""


def _heads(heads: "HeadFigures") -> str:
    lines = []
    for name, words in WORDS.items():
        table = getattr(heads, name)
        ranked = sorted(((v, la, h) for la, row in enumerate(table) for h, v in enumerate(row)), reverse=True)[:3]
        best = ", ".join(f"layer {la} head {h} ({v:.2f})" for v, la, h in ranked)
        lines.append(f"| {words} | {best} | {heads.uniform[name]:.3f} |")
    rows = "\n".join(
        f"| {la} | {h} | "
        + " | ".join(f"{getattr(heads, name)[la][h]:.2f}" for name in (*WORDS, "distance", "entropy"))
        + " |"
        for la, row in enumerate(heads.entropy)
        for h in range(len(row))
    )
    return f"""## What the heads look at

Mean weight on held-out text of 64 tokens; layers and heads count from 0. The last column is what a head that looks everywhere alike would show.

| looks at | strongest heads | everywhere alike |
|---|---|---:|
{chr(10).join(lines)}

| layer | head | previous | first | itself | same token elsewhere | distance (tokens) | entropy (nats) |
|---:|---:|---:|---:|---:|---:|---:|---:|
{rows}"""


def _samples(samples: dict[str, list[str]]) -> str:
    blocks = []
    for texts in samples.values():
        blocks += ["    " + text.replace("\n", "\n    ") for text in texts]
    return (
        "## Samples\n\nTemperature 0.8, top-p 0.95, seeds 0 and 1; the line's beginning was given.\n\n"
        + "\n\n    ---\n\n".join(blocks)
    )


def _weaknesses(settings: dict[str, Any], figures: "Figures") -> str:
    most = max(max(row) for row in figures.heads.duplicate_token)
    return f"""## Known weaknesses

- It knows small talk, not facts: asked for a capital or a date it makes something up.
- It reads {settings["shape"]["n_context"]} tokens and no more, and loses the thread of a conversation well before that.
- It learned from English in one register, mostly of American students: other languages, code and long prose come out as noise, and the opinions and habits of those who chatted come out too. Swear words were taken out of the text by a list; a list is never complete.
- It completes and does not obey: an instruction is continued like any other line.
- Its head with the most weight on other places of the same token puts {most:.2f} there: do not look for textbook induction in a model this small; the induction toy shows one."""
