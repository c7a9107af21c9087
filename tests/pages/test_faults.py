"""What a visitor sees when something is missing."""

import shutil

import pytest

from app import compute
from models import checkpoints
from tests.pages.opening import HOME, SLUGS, fine, open_page, words

# Who needs which checkpoint to open, and with what in its address.
NEEDED_BY = {
    "minilm": {"attention": {}, "multi-head": {}, "causal-mask": {}, "positional-encoding": {}, "head-explorer": {}},
    "small-gpt": {"next-token": {}, "causal-mask": {}, "head-explorer": {"head_explorer_model": "Small GPT"}},
    "char-lstm": {"lstm-gates": {}, "rnn-gradients": {"rnn_gradients_source": "trained"}},
    "char-rnn": {"lstm-gates": {}, "rnn-gradients": {"rnn_gradients_source": "trained"}},
}


def without_its_weights(folder):
    (folder / "model.safetensors").unlink()


def cut_short(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def one_bit_turned(folder):
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def a_pickle_instead(folder):
    (folder / "model.safetensors").write_bytes(b"\x80\x04cposix\nsystem\nX\x04\x00\x00\x00true\x85R.")


def settings_damaged(folder):
    file = folder / "config.json"
    file.write_bytes(file.read_bytes()[:-2])


DAMAGES = (without_its_weights, cut_short, one_bit_turned, a_pickle_instead, settings_damaged)


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """A copy of the weights folder that a test may damage."""
    folder = tmp_path / "weights"
    shutil.copytree(checkpoints.weights_dir(), folder)
    monkeypatch.setenv("ATTENTION_LAB_WEIGHTS", str(folder))
    compute.forget()
    yield folder
    compute.forget()


def test_a_missing_model_is_one_sentence_and_the_page_goes_on(weights):
    shutil.rmtree(weights / "minilm")
    app = open_page("attention")
    assert not app.exception
    assert [e.value for e in app.error], "the page says what is missing"
    assert "minilm" in app.error[0].value
    assert "Traceback" not in app.error[0].value
    other = next(b for b in app.button if b.label == "Never look ahead")
    other.click().run()
    assert not app.error, "the same page works with the model that is there"
    assert "equal**" in words(app)


def test_a_damaged_model_is_one_sentence(weights):
    file = weights / "minilm" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    app = open_page("attention")
    assert not app.exception
    assert len(app.error) == 1


def test_every_page_survives_without_any_weights(weights):
    for folder in list(weights.iterdir()):
        shutil.rmtree(folder)
    for slug in SLUGS:
        app = open_page(slug)
        assert not app.exception, slug
        assert len(app.error) <= 1, slug


def sentences(app):
    """What the page says is wrong."""
    return [element.value for element in (*app.error, *app.warning)]


def one_sentence_about(name, app):
    assert not app.exception, name
    assert len(sentences(app)) == 1, sentences(app)
    said = sentences(app)[0]
    assert name in said
    assert not {"Traceback", "Error", "/"} & set(said.split()), said


@pytest.mark.parametrize("name", NEEDED_BY)
def test_a_checkpoint_that_is_gone_stops_those_who_need_it_alone(weights, name):
    assert {folder.name for folder in weights.iterdir()} == NEEDED_BY.keys(), "every shipped checkpoint is tried"
    shutil.rmtree(weights / name)
    for slug in (HOME, *SLUGS):
        if slug in NEEDED_BY[name]:
            one_sentence_about(name, open_page(slug, **NEEDED_BY[name][slug]))
        else:
            app = fine(open_page(slug))
            assert not app.warning, slug


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", NEEDED_BY)
def test_a_checkpoint_that_is_damaged_is_one_sentence(weights, name, damage):
    damage(weights / name)
    slug, query = list(NEEDED_BY[name].items())[DAMAGES.index(damage) % len(NEEDED_BY[name])]
    one_sentence_about(name, open_page(slug, **query))


def test_a_page_opens_by_itself_once_its_checkpoint_is_back(weights):
    (weights / "small-gpt").rename(weights / "elsewhere")
    app = open_page("next-token")
    one_sentence_about("small-gpt", app)
    (weights / "elsewhere").rename(weights / "small-gpt")
    fine(app.run())
    assert "equal**" in words(app)
