"""The character models: any text to ids, a written checkpoint equals the net it came from, damage is one sentence."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.alphabet import SYMBOLS, UNKNOWN, decode_characters, encode_characters
from models.charmodel import NAMES, load_char, read_lstm, read_rnn
from models.errors import CheckpointError
from models.training.char_card import export, states_over
from models.training.char_models import CharNet, Plan, bits_per_character, reading_text

PLAN = Plan(n_hidden=12, n_update=1, n_stream=1, n_step=1)
TEXT = 'He said "I will be back" and left.\nThe end.'


@pytest.fixture(scope="module", params=["rnn", "lstm"])
def written(request, tmp_path_factory):
    """A small untrained net, exported: (kind, net, folder)."""
    torch.manual_seed(0)
    net = CharNet(request.param, PLAN.n_hidden)
    heldout = torch.tensor(encode_characters(TEXT * 20), dtype=torch.uint8)
    return request.param, net, export(request.param, net, PLAN, [(1, 6.6)], heldout, tmp_path_factory.mktemp("weights"))


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec=None), max_size=60))
def test_any_text_has_one_id_a_code_point(text):
    ids = encode_characters(text)
    assert len(ids) == len(text)
    assert all(0 <= index < len(SYMBOLS) for index in ids)
    plain = "".join(character for character in text if character in SYMBOLS[:-1])
    assert decode_characters(encode_characters(plain)) == plain


def test_accents_fall_off_and_strangers_are_unknown():
    assert decode_characters(encode_characters("é“x”\ud800北")) == f'e"x"{UNKNOWN}{UNKNOWN}'


def test_a_written_model_equals_its_net(written):
    kind, net, folder = written
    model = load_char(f"char-{kind}", folder)
    text = TEXT[:30]
    logits, _ = net(torch.tensor(encode_characters(text))[None])
    hidden = read_rnn(model, text + "x").hidden if kind == "rnn" else read_lstm(model, text).hidden
    torch.testing.assert_close(model.logits(hidden), logits[0].detach(), rtol=1e-4, atol=2e-3)
    torch.testing.assert_close(states_over(model, text)["hidden"], hidden, rtol=1e-4, atol=1e-5)
    ids = torch.tensor(encode_characters(TEXT * 20))
    assert model.bits_per_character == pytest.approx(bits_per_character(net, ids), abs=1e-3)


def test_the_surprise_is_the_cross_entropy_of_the_last_character(written):
    kind, _, folder = written
    model = load_char(f"char-{kind}", folder)
    last = torch.randn(PLAN.n_hidden)
    target = torch.tensor([encode_characters("e")[0]])
    expected = torch.nn.functional.cross_entropy(model.logits(last)[None], target)
    torch.testing.assert_close(model.surprise("e")(last), expected)


def test_quotations_are_drawn_from_the_seed_and_always_closed():
    documents = ['One two "three" four.\nFive six.'] * 60
    text = reading_text(documents, 3)
    assert text == reading_text(documents, 3) != reading_text(documents, 4)
    assert all(line.count('"') % 2 == 0 for line in text.splitlines())
    assert text.replace('"', "") == "\n\n".join(documents).replace('"', "'")
    assert 60 * 6 / 32 < text.count('"') / 2 < 60 * 6 / 8


def damage(folder, target, change):
    """A copy of a checkpoint folder with something done to it."""
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    change(target)
    return target


def edit(**changes):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9]),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").unlink(),
        edit(symbols="abc"),
        edit(n_hidden=13),
        edit(kind="gru"),
        edit(units=[{"unit": 3}]),
        edit(sha256="0" * 64),
    ],
    ids=["no weights", "cut short", "not json", "no config", "alphabet", "size", "kind", "units", "hash"],
)
def test_a_damaged_folder_is_one_sentence(written, tmp_path, change):
    kind, _, folder = written
    with pytest.raises(CheckpointError, match=r"\.$"):
        load_char(f"char-{kind}", damage(folder, tmp_path / "copy", change))


def test_an_unknown_name_and_a_missing_folder_are_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="no character model"):
        load_char("../etc")
    with pytest.raises(CheckpointError, match="missing"):
        load_char(NAMES[0], tmp_path / "nowhere")
