"""What the BPE page draws is what the training found."""

import json

import numpy as np

from models import texts
from models.bpe import BPEConfig, train
from models.bpe_encode import encode, merge_tree
from models.tokenizers_zoo import load
from tests.pages.opening import array, charts, fine, open_page, set_sentence, words

PAGE = "bpe-merges"
DEFAULT = train(texts.read("bpe_paragraph"), BPEConfig(200, min_count=2))
TREE, SCRIPTS = 0, 1


def _html(app):
    return [element.proto.body for element in app.get("html")]


def _counts(app):
    """The bars of the chart beside the text, as the browser gets them: pair, count and state of each."""
    spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    rows = spec["layer"][0]["data"]["values"]
    return {name: [row[name] for row in rows] for name in ("pair", "count", "state")}


def test_opens_on_under_stand_ing():
    app = fine(open_page(PAGE))
    assert [node.piece for node in merge_tree("understanding", DEFAULT, 40).tokens] == [b"under", b"stand", b"ing"]
    figure = charts(app)[TREE]
    bold = [note["text"] for note in figure["layout"]["annotations"] if note["text"].startswith("<b>")]
    assert sorted(bold) == ["<b>ing</b>", "<b>stand</b>", "<b>under</b>"]


def test_the_bars_are_the_counts_that_decided_the_merge():
    for step in (1, 40, 151):
        drawn = _counts(fine(open_page(PAGE, bpe_merges_step=str(step))))
        expected = DEFAULT.candidates(step - 1)[: len(drawn["count"])]
        assert drawn["count"] == [c.count for c in expected]
        assert drawn["state"][0] == "chosen"
        assert drawn["count"][0] == DEFAULT.merges[step - 1].count


def test_the_strip_holds_the_tokens_in_order():
    app = fine(open_page(PAGE, bpe_merges_corpus="Wikipedia's example", bpe_merges_alphabet="characters", bpe_merges_split="none"))  # fmt: skip
    strip = next(body for body in _html(app) if "The training text" in body)
    assert [part.split("</span>")[0].split(">")[1] for part in strip.split('<span class="t ')[1:]] == ["aaab", "d", "aaab", "a", "c"]  # fmt: skip


def test_the_scripts_are_counted_with_the_real_tokenizers():
    z = array(charts(fine(open_page(PAGE)))[SCRIPTS]["data"][0]["z"])
    sentences = list(texts.human_rights().values())
    gpt2 = np.array([len(load("gpt2").tokenize(sentence).tokens) for sentence in sentences])
    np.testing.assert_allclose(z[:, 1], gpt2 / gpt2[0], rtol=1e-6)
    assert np.isnan(z[7, 0])  # BERT cannot write Hindi


def test_the_sentence_is_encoded_by_this_pages_merges_and_the_real_ones():
    app = fine(set_sentence(open_page(PAGE), "naïve 北京"))
    shown = words(app)
    assert f"**This page: {len(encode('naïve 北京', DEFAULT, 40))} tokens" in shown
    assert f"**GPT-2: {len(load('gpt2').tokenize('naïve 北京').tokens)} tokens" in shown


def test_the_prediction_knows_the_next_merge():
    app = fine(open_page(PAGE, bpe_merges_step="0"))
    radio = next(r for r in app.radio if r.key.startswith("predict_"))
    app = fine(radio.set_value("`n` + `d`").run())
    assert app.success[0].value.startswith("Right. It stands 35 times; the runner-up stands 33 times.")


def test_a_text_of_ones_own_is_trained_on():
    app = open_page(PAGE, bpe_merges_corpus="A text of your own")
    app = fine(app.text_area(key="bpe_merges_own").set_value("xyxyxyxy zq").run())
    assert _counts(app)["count"][0] == train("xyxyxyxy zq", BPEConfig(200, min_count=2)).merges[-1].count
    app = fine(app.text_area(key="bpe_merges_own").set_value("🤝 <b>x</b> $ " * 30_000).run())
    assert "NOT equal" not in words(app)


def test_every_experiment_is_exact():
    app = open_page(PAGE)
    for number in range(7):
        app = fine(app.button(key=f"bpe_merges_experiment_{number}").click().run())
        assert words(app).count("**equal**") == 3
