"""What a visitor sees when something is missing."""

import shutil

import pytest
import streamlit as st

from models import checkpoints
from tests.pages.opening import SLUGS, open_page, words


@pytest.fixture
def weights(monkeypatch, tmp_path):
    """A copy of the weights folder that a test may damage."""
    folder = tmp_path / "weights"
    shutil.copytree(checkpoints.weights_dir(), folder)
    monkeypatch.setenv("ATTENTION_LAB_WEIGHTS", str(folder))
    st.cache_resource.clear()
    yield folder
    st.cache_resource.clear()


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
