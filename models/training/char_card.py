"""Writing a trained character model into its folder: weights, settings with measured figures, and the card."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.alphabet import SYMBOLS, decode_characters
from models.charmodel import CharModel, load_char
from models.lstm import LSTMWeights
from models.recurrent import RNNWeights
from models.training.char_models import CharNet, Kind, Plan, bits_per_character
from models.units import TrackingUnit, find_units
from models.weights_file import sha256_of

TITLES = {"rnn": "Character RNN", "lstm": "Character LSTM"}
PROVENANCE = (
    "A {n_hidden}-unit {kind} trained here on {million:.0f} million characters of chit-chat (MIT) and WordNet examples "
    "(WordNet 3.0 licence): {bits:.2f} bits per character on held-out text."
)


def export(kind: Kind, net: CharNet, plan: Plan, log: list[tuple[int, float]], heldout: Tensor, root: Path) -> Path:
    """Round the net to 16 bits, measure *those* weights on held-out ids, and write assets/weights/char-<kind>."""
    folder = root / f"char-{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(parameter.half().float())
    bits = bits_per_character(net, heldout)
    layer = dict(net.layer.named_parameters())
    tensors = {
        "w_xh": layer["weight_ih_l0"], "w_hh": layer["weight_hh_l0"], "b": layer["bias_ih_l0"] + layer["bias_hh_l0"],
        "w_hy": net.readout.weight, "b_y": net.readout.bias,
    }  # fmt: skip
    save_file({key: value.detach().half().contiguous() for key, value in tensors.items()}, folder / "model.safetensors")
    million = plan.n_update * plan.n_stream * plan.n_step / 1e6
    config = {
        "name": f"char-{kind}",
        "title": TITLES[kind],
        "provenance": PROVENANCE.format(n_hidden=plan.n_hidden, kind=kind.upper(), million=million, bits=bits),
        "licence": "MIT",
        "kind": kind,
        "n_hidden": plan.n_hidden,
        "symbols": SYMBOLS,
        "bits_per_character": round(bits, 4),
        "heldout_characters": len(heldout),
        "units": [],
        "plan": asdict(plan),
        "log": [[update, round(value, 4)] for update, value in log],
    }
    _write(folder, config)
    config["units"] = [asdict(unit) for unit in tracking(load_char(f"char-{kind}", folder), heldout)]
    _write(folder, config)
    (folder / "README.md").write_text(card(config, sum(value.numel() for value in tensors.values())), encoding="utf-8")
    return folder


def _write(folder: Path, config: dict) -> None:
    weights = folder / "model.safetensors"
    config |= {"bytes": weights.stat().st_size, "sha256": sha256_of(weights)}
    (folder / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


def tracking(model: CharModel, heldout: Tensor, n_character: int = 60_000) -> tuple[TrackingUnit, ...]:
    """The units that follow something, on the first characters of the held-out ids."""
    ids = heldout[:n_character].long()
    text = decode_characters(ids.tolist())
    return find_units(text, states_over(model, text))


@torch.no_grad()
def states_over(model: CharModel, text: str) -> dict[str, Tensor]:
    """Every state [step, hidden] over a long text, by name; the plain recurrence, no other stage kept."""
    weights = model.weights
    out: dict[str, list[Tensor]] = {"hidden": [], "cell": []}
    hidden = cell = torch.zeros(model.n_hidden)
    for from_input in model.inputs(text) @ weights.w_xh.T:
        if isinstance(weights, RNNWeights):
            hidden = torch.tanh(weights.w_hh @ hidden + from_input + weights.b_h)
        else:
            assert isinstance(weights, LSTMWeights)
            i, f, g, o = (weights.w_hh @ hidden + from_input + weights.b).chunk(4)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            out["cell"].append(cell)
        out["hidden"].append(hidden)
    return {name: torch.stack(states) for name, states in out.items() if states}


def card(config: dict, n_parameter: int) -> str:
    """The model card, all figures from the settings that were just measured."""
    plan, units = config["plan"], config["units"]
    rows = "\n".join(f"| {u['feature']} | {u['state']} {u['unit']} | {u['correlation']:+.2f} |" for u in units)
    curve = ", ".join(
        f"{value:.2f} after {update:,}" for update, value in config["log"][:: max(1, len(config["log"]) // 5)]
    )
    other = "char-lstm" if config["kind"] == "rnn" else "char-rnn"
    return f"""# {config["title"]}

One recurrent layer of {config["n_hidden"]} units over {len(SYMBOLS)} characters (printable ASCII, the newline, one sign
for the rest) and a linear readout: it predicts the next character. Equal in hidden size to `{other}`, and trained on
the same text in the same order with the same number of updates; an LSTM has four times the recurrent weights of an RNN
of its size.

| | |
|---|---|
| parameters | {n_parameter:,}, stored in 16 bits ({config["bytes"] / 1e6:.2f} MB) |
| data | chit-chat-dataset 0.9.0 (MIT) and the example sentences of WordNet 3.0 (its own licence, notice in the repository), scrubbed by `models/training/corpus.py`; runs of words put into quotation marks, drawn from the seed |
| licence | MIT |
| command | `python -m models.training.char_models` |
| seed | {plan["seed"]} |
| training | {plan["n_update"]:,} updates of {plan["n_stream"]} streams × {plan["n_step"]} characters, AdamW at {plan["learning_rate"]:g} with a cosine, gradient clipped at {plan["max_norm"]:g}, bfloat16 autocast on the CPU |

## Figures, measured by that command on the stored weights

**{config["bits_per_character"]:.3f} bits per character** on {config["heldout_characters"]:,} held-out characters (whole
documents that training never saw). Knowing nothing would be log₂ {len(SYMBOLS)} = {math.log2(len(SYMBOLS)):.2f}. On the way:
{curve} updates (first 60,000 held-out characters).

Units that follow something nameable. Each was chosen on 30,000 held-out characters and its correlation (Pearson's r)
measured on the next 30,000:

| what | unit | r |
|---|---|---|
{rows}

## Known weaknesses

English chat and dictionary sentences in ASCII only; other letters are one unknown sign. It spells words and short
phrases and holds no topic. The quotation marks are put in by a rule that knows nothing of sense. What people say in chats about people, it has learned with its prejudices.
"""
