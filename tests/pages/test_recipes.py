"""The experiment as code: what a visitor downloads computes, on its own, what the page shows."""

import ast
import contextlib
import io
import json
import random
import subprocess
import sys
import time

import numpy as np
import pytest
import streamlit
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.recipe import Export, Recipe, literal, packed, packed_text
from app.recipe_kit import say, show, unpack, unpack_text
from app.source import gather
from tests.pages.opening import SLUGS, fine, open_page
from tests.pages.test_every_page import HOSTILE

MOVES = ("select_slider", "slider", "selectbox", "toggle", "segmented_control", "multiselect")
SURROGATE = 'lone \ud800 and \'quotes\' """ \\ {braces} </script> %s'


class Downloads:
    """What stands behind the download buttons of a page's last run."""

    def __init__(self, monkeypatch):
        self.made = {}
        true_button = streamlit.download_button

        def button(label, data, *args, **more):
            self.made[label] = data
            return true_button(label, data, *args, **more)

        monkeypatch.setattr(streamlit, "download_button", button)

    def __getitem__(self, label):
        data = self.made[label]
        return data() if callable(data) else data


@pytest.fixture
def downloads(monkeypatch):
    return Downloads(monkeypatch)


def take(app, slug):
    """The visitor opens the box."""
    app.session_state[f"{slug.replace('-', '_')}_take"] = True
    return fine(app.run())


def played(script):
    """What a program leaves behind and what it prints, run in a namespace of its own."""
    space = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(script, "script.py", "exec"), space)
    return space, printed.getvalue()


def cells(notebook):
    """The code of a notebook, in order, once its form is what nbformat 4 asks for."""
    found = json.loads(notebook)
    assert found["nbformat"] == 4
    assert isinstance(found["nbformat_minor"], int)
    assert found["metadata"]["kernelspec"]["name"]
    for cell in found["cells"]:
        assert isinstance(cell["metadata"], dict)
        assert all(isinstance(line, str) for line in cell["source"])
        extra = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "metadata", "source"} | extra
    return ["".join(cell["source"]) for cell in found["cells"] if cell["cell_type"] == "code"]


def check(downloads, labels=("Python script", "Notebook")):
    """Both downloads give the tensors of the same page's NPZ; returns what the script printed."""
    assert "Python script" in downloads.made, "the page offers no recipe: lab.recipe(...)"
    page = np.load(io.BytesIO(downloads["NPZ, all figures"]))
    script = downloads["Python script"].decode()
    tree = ast.parse(script)
    results = dict(found_results(ast.get_docstring(tree)))
    assert results
    spaces = []
    if "Python script" in labels:
        space, printed = played(script)
        spaces.append(space)
    if "Notebook" in labels:
        space = {"__name__": "__main__"}
        with contextlib.redirect_stdout(io.StringIO()) as again:
            for cell in cells(downloads["Notebook"]):
                exec(compile(cell, "cell", "exec"), space)
        spaces.append(space)
        printed = again.getvalue()
    for space in spaces:
        for name, kept in results.items():
            same(space[name], page[kept], kept)
    assert len(printed.splitlines()) >= 3
    return printed


def found_results(about):
    """The names in a script's head: (variable, name in the NPZ)."""
    import re

    return re.findall(r"(\w+)\s+\(([\w.]+)\s+in\s+the\s+page's\s+NPZ\)", about)


def same(ours, theirs, name):
    """Equal within 1e-5, and where numbers span many powers of ten, in their logarithm too."""
    ours = np.asarray(ours.numpy() if isinstance(ours, torch.Tensor) else ours, dtype=np.float64)
    theirs = np.asarray(theirs, dtype=np.float64).reshape(ours.shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5, err_msg=name)
    if name.endswith("_norm"):
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(np.log10(ours), np.log10(theirs), atol=1e-3, err_msg=name)


@pytest.mark.parametrize("slug", SLUGS)
def test_at_defaults_in_a_process_of_its_own(slug, downloads, tmp_path):
    take(open_page(slug), slug)
    printed = check(downloads)
    script = downloads["Python script"]
    (tmp_path / "script.py").write_bytes(script)
    packages = {name.split(".")[0] for name in imported(script)}
    assert packages <= {*sys.stdlib_module_names, "torch"}
    run = subprocess.run([sys.executable, "-I", "script.py"], cwd=tmp_path, capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout.decode() == printed


def imported(script):
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("slug", SLUGS)
def test_at_every_experiment(slug, downloads):
    app = take(open_page(slug), slug)
    for key in [b.key for b in app.button if b.key and "_experiment_" in b.key]:
        fine(app.button(key=key).click().run())
        check(downloads, ("Notebook",))


@pytest.mark.parametrize("slug", SLUGS)
def test_at_random_settings(slug, downloads):
    """All controls at once, moved by a seeded hand, over hostile texts."""
    rng = random.Random(slug)
    app = take(open_page(slug), slug)
    for text in rng.sample(list(HOSTILE.values()), 3):
        app.session_state["sentence"] = text
        for widget in [w for kind in MOVES for w in app.get(kind) if w.key and not w.disabled and "_take" not in w.key]:
            if not widget.key.endswith("_model"):
                widget.set_value(somewhere(widget, rng))
        fine(app.run())
        check(downloads, ("Python script",))


def somewhere(widget, rng):
    if widget.type == "toggle":
        return rng.random() < 0.5
    if widget.type == "slider":
        return (
            rng.uniform(widget.min, widget.max)
            if isinstance(widget.min, float)
            else rng.randint(widget.min, widget.max)
        )
    if widget.type == "multiselect":
        return rng.sample(widget.options, min(2, len(widget.options)))
    return rng.choice(widget.options)
