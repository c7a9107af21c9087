"""What the pages on trained attention and positions draw is the tensor, computed here anew and without the pages."""

import json

import numpy as np
import torch
from torch.nn import functional as F

from app import compute
from models import checkpoints
from tests.pages.opening import array, open_page

SENTENCE = "The cat sat on the mat because it was tired."


def figures(app):
    """Every Plotly figure by the key of its stage."""
    return {chart.proto.id.split("-")[-1]: json.loads(chart.proto.spec)["data"] for chart in app.get("plotly_chart")}


def layers(name):
    model = checkpoints.load(name)
    with torch.no_grad():
        return model, model.trace(model.encode(SENTENCE))


def levels(weights):
    """Weights as the tiled picture holds them: 1 to 255 in one byte."""
    return 1 + np.clip(weights.numpy() * 254, 0, 254).astype(np.uint8)


def tile(sheet, number, across, size, gap=1):
    """One map out of a tiled sheet, whose rows stand ``gap`` cells apart."""
    y, x = number // across * (size + gap), number % across * (size + 1)
    return sheet[y : y + size, x : x + size]


def close(drawn, tensor, atol=1e-5):
    np.testing.assert_allclose(array(drawn), np.asarray(tensor), atol=atol)


def test_multi_head_draws_the_slices_and_every_map():
    _, trace = layers("minilm")
    attention, data = trace.layers[0].attention, figures(open_page("multi-head"))
    close(data["multi_head_opened"][0]["z"], attention.weights[2])
    sheet = array(data["multi_head_maps"][0]["z"])
    n = attention.weights.shape[-1]
    for head in range(12):
        maps = tile(sheet, head, 4, n, gap=(len(sheet) - 3 * n) // 2).astype(int) - levels(attention.weights[head])
        assert np.abs(maps).max() <= 1, f"head {head}"
    joined = torch.cat(list(attention.q), dim=-1)
    drawn = array(data["multi_head_split"][0]["z"]).astype(float)
    limit = next(m for m in (1, 2, 5, 10, 20) if np.abs(drawn / 127 * m - joined.clamp(-m, m).numpy()).max() < m / 100)
    assert np.corrcoef(drawn.ravel(), joined.clamp(-limit, limit).numpy().ravel())[0, 1] > 0.999


def test_causal_mask_draws_scores_masked_and_weights():
    _, trace = layers("small-gpt")
    head, data = trace.layers[0].attention.head(2), figures(open_page("causal-mask"))
    maps = [
        array(t["z"]) for t in data["causal_mask_main"] if t["type"] == "heatmap" and array(t["z"]).shape == (11, 11)
    ]
    future = torch.ones(11, 11, dtype=torch.bool).triu(1).numpy()
    np.testing.assert_allclose(maps[0], head.scaled.numpy(), atol=1e-4)
    weights = next(z for z in maps[2:] if np.nanmax(z) <= 1 and np.nanmin(z) < 1)
    np.testing.assert_allclose(weights[~future], head.weights.numpy()[~future], atol=1e-5)
    assert not np.nan_to_num(weights[future]).any()


def test_positional_encoding_draws_the_formula():
    drawn = array(figures(open_page("positional-encoding"))["positional_encoding_table"][0]["z"])
    position, pair = np.arange(32)[:, None], np.arange(16)
    angle = position / 10000 ** (2 * pair / 32)
    np.testing.assert_allclose(drawn[:, 0::2], np.sin(angle), atol=1e-6)
    np.testing.assert_allclose(drawn[:, 1::2], np.cos(angle), atol=1e-6)


def test_head_explorer_draws_every_head_and_the_open_one():
    _, trace = layers("minilm")
    data = figures(open_page("head-explorer"))
    close(data["head_explorer_map"][0]["z"], trace.layers[5].attention.weights[11])
    sheet, n = array(data["head_explorer_atlas"][0]["z"]), len(trace.encoding.ids)
    for layer in range(6):
        for head in range(12):
            drawn = tile(sheet, head * 6 + layer, 6, n).astype(int)
            assert np.abs(drawn - levels(trace.layers[layer].attention.weights[head])).max() <= 1, (layer, head)


def test_next_token_draws_the_models_own_probabilities():
    model, _ = layers("small-gpt")
    data = figures(open_page("next-token"))
    lens = array(data["next_token_lens"][0]["z"])
    encoding = compute.read("small-gpt", SENTENCE, 64)
    drawn_logits = array(data["next_token_choice"][0]["x"])
    ids = torch.tensor(encoding.ids[: lens.shape[1]])
    with torch.no_grad():
        logits = model.model(ids[None])[0]
    best = logits.softmax(-1).amax(-1)
    np.testing.assert_allclose(lens[-1] if abs(lens[-1, 0] - best[0]) < 1e-3 else lens[0], best, atol=1e-4)
    top = logits[-1].topk(len(drawn_logits)).values
    np.testing.assert_allclose(np.sort(drawn_logits)[::-1], top, atol=1e-3)
    assert F.softmax(logits[-1] / 0.8, -1).max() < 1
