"""What the attention page draws is the trace's tensor."""

import numpy as np
import torch
from torch.nn import functional as F

from app import compute
from tests.pages.opening import array, charts, fine, open_page, words

GRID, Q, K, V, OUTPUT = range(5)


def _trace(layer=3, head=1):
    encoding = compute.read("minilm", "The cat sat on the mat because it was tired.", 24)
    return encoding, compute.trace("minilm", encoding).layers[layer].attention.head(head)


def test_figures_are_the_tensors():
    figure = charts(open_page("attention"))[0]
    _, head = _trace()
    drawn = [array(trace["z"]) for trace in figure["data"][:5]]
    for z, tensor in zip(drawn, (head.weights, head.q, head.k.T, head.v, head.output), strict=True):
        np.testing.assert_allclose(z, tensor.numpy(), atol=1e-6)
    frames = [array(frame["data"][0]["z"]) for frame in figure["frames"]]
    for z, tensor in zip(frames, (head.scores, head.scaled, head.weights), strict=True):
        np.testing.assert_allclose(z, tensor.numpy(), atol=1e-4)


def test_default_opens_a_word_that_finds_its_noun():
    encoding, head = _trace()
    it, cat = encoding.tokens.index("it"), encoding.tokens.index("cat")
    share = float(head.weights[it, cat])
    assert share > 0.4, "the default head has learned what the default sentence asks"
    assert f"**{share:.2f}**" in words(open_page("attention", attention_query=f"{it} it"))


def test_unscaled_and_tempered_states_draw_what_pytorch_computes():
    app = open_page("attention")
    _, head = _trace()
    fine(app.toggle(key="attention_scaling").set_value(False).run())
    fine(app.slider(key="attention_temperature").set_value(2.0).run())
    expected = F.scaled_dot_product_attention(head.q[None], head.k[None], head.v[None], scale=0.5)[0]
    np.testing.assert_allclose(array(charts(app)[0]["data"][OUTPUT]["z"]), expected.numpy(), atol=1e-4)


def test_cell_pickers_open_the_cell_they_name():
    app = fine(open_page("attention", attention_query="2 cat", attention_key="3 sat"))
    _, head = _trace()
    assert f"= {head.scores[2, 3]:.3f}" in words(app)
    assert f"= {head.weights[2, 3]:.4f}" in words(app)


def test_seed_draws_the_same_and_another_seed_another_picture():
    def z(seed):
        app = open_page("attention", attention_source="Random", attention_seed=str(seed))
        return array(charts(app)[0]["data"][Q]["z"])

    assert np.array_equal(z(3), z(3))
    assert not np.array_equal(z(3), z(4))


def test_sentence_is_read_from_the_address():
    app = open_page("attention", sentence="Dogs bark.")
    assert torch.tensor(array(charts(app)[0]["data"][GRID]["z"])).shape == (5, 5)  # [CLS] dogs bark . [SEP]
