"""The choice of a trained model: the shipped ones, what was fetched, and any of the hub where the host allows it."""

import streamlit as st

from app import compute
from app.controls import Controls
from models.errors import CheckpointError
from models.trace import Kind, TracedModel

TITLES = {"minilm": "MiniLM-L6", "small-gpt": "Small GPT", "smollm2": "SmolLM2-135M", "hub": "From the hub"}
FETCHED = "smollm2"
EXAMPLE = "openai-community/gpt2"


def pick(c: Controls, kinds: tuple[Kind, ...], shipped: tuple[str, ...]) -> tuple[str, TracedModel]:
    """The model the reader chose and the name it goes by in ``compute``.

    What cannot be opened says so in one sentence, and the first of the ``shipped`` that opens stands in for it.

    Raises:
        CheckpointError: if none of the shipped ones opens either.
    """
    extra = compute.offered(FETCHED)
    names = [*shipped, *([FETCHED] if extra.offered else []), "hub"]
    chosen = c.choice("model", "Model", names, shipped[0], show=TITLES.__getitem__)
    allowed = compute.hub_allowed()
    wanted = ""
    if allowed:  # a host who does not allow it spares its visitors the box
        wanted = c.text("hub", "Its name on the hub", EXAMPLE, 200, live=False, disabled=chosen != "hub")
    if not extra.offered:
        c.say(extra.note)
    try:
        if chosen == "hub" and not allowed:
            raise CheckpointError(compute.HUB_IS_OFF)
        name = wanted.strip() if chosen == "hub" else chosen
        if compute.is_open(name):
            return _open(name, kinds)
        c.aloud()
        with st.spinner("Loading the model …"):
            return _open(name, kinds)
    except CheckpointError as problem:
        for name in shipped:
            try:
                model = _open(name, kinds)[1]
            except CheckpointError:
                continue
            c.say(f"{problem} The page shows {model.title} instead.", loud=True)
            return name, model
        raise


def _open(name: str, kinds: tuple[Kind, ...]) -> tuple[str, TracedModel]:
    model = compute.model(name)
    if model.kind not in kinds:
        raise CheckpointError(f"{model.title} is of another kind ({model.kind}) than this page can show.")
    return name, model
