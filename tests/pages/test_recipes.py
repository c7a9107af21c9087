"""The experiment as code: what a visitor downloads computes, on its own, what the page shows."""

import ast
import contextlib
import io
import json
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import streamlit
import torch

from app import recipe
from tests.conftest import ROOT
from tests.pages.opening import SLUGS, fine, open_page
from tests.pages.test_every_page import HOSTILE

MOVES = ("select_slider", "slider", "selectbox", "toggle", "segmented_control", "multiselect")
SCRIPT, NOTEBOOK, NPZ = "Python script", "Notebook", "NPZ, all figures"
NEXT = "\n@@@ next script @@@\n"
RUN_ALL = (
    f"import runpy, sys\nfor path in sys.argv[1:]:\n    runpy.run_path(path, run_name='__main__')\n    print({NEXT!r})"
)


class Downloads:
    """What stands behind the download buttons of a page's last run, made when asked for as at a click."""

    def __init__(self, monkeypatch):
        self.offered = {}
        true_button = streamlit.download_button

        def button(label, data, *args, **more):
            self.offered[label] = data
            return true_button(label, data, *args, **more)

        monkeypatch.setattr(streamlit, "download_button", button)

    def __getitem__(self, label):
        assert label in self.offered, f"the box offers no {label}; a page hands its recipe over with lab.recipe(...)"
        data = self.offered[label]
        return data() if callable(data) else data


@pytest.fixture
def downloads(monkeypatch):
    return Downloads(monkeypatch)


def take(app, slug):
    """The visitor opens the box."""
    app.session_state[f"{slug.replace('-', '_')}_take"] = True
    return fine(app.run())


def played(*cells):
    """What cells leave behind and print, run one after the other in a namespace of their own."""
    space = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for cell in cells:
            exec(compile(cell, "cell", "exec"), space)
    return space, printed.getvalue()


def notebook_cells(raw):
    """The code of a notebook, in order, once its form is what nbformat 4 asks for."""
    found = json.loads(raw)
    assert found["nbformat"] == 4
    assert isinstance(found["nbformat_minor"], int)
    assert found["metadata"]["kernelspec"]["name"]
    for cell in found["cells"]:
        assert isinstance(cell["metadata"], dict)
        assert all(isinstance(line, str) for line in cell["source"])
        extra = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "metadata", "source"} | extra
    return ["".join(cell["source"]) for cell in found["cells"] if cell["cell_type"] == "code"]


def check(downloads, notebook=False):
    """The script, or the notebook, gives the tensors of the same page's NPZ; returns the script and what was printed."""
    page = np.load(io.BytesIO(downloads[NPZ]))
    script = downloads[SCRIPT].decode()
    head = re.sub(r"\s+", " ", ast.get_docstring(ast.parse(script)))
    names, kept = re.search(r"the same settings: ([\w, ]+) \(in the page's NPZ: ([^()]+)\)", head).groups()
    results = list(zip(names.split(", "), kept.split(", "), strict=True))
    space, printed = played(*(notebook_cells(downloads[NOTEBOOK]) if notebook else [script]))
    for name, kept in results:
        same(space[name], page[kept], kept)
    assert len(printed.splitlines()) >= 3
    return script, printed


def same(ours, theirs, name):
    """Equal within 1e-5; norms, which span many powers of ten, in their logarithm too."""
    ours = np.asarray(ours, dtype=np.float64)
    theirs = np.asarray(theirs, dtype=np.float64).reshape(ours.shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5, err_msg=name)
    if name.endswith("_norm"):
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(np.log10(ours), np.log10(theirs), atol=1e-3, err_msg=name)


def imported(script):
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_every_script_runs_alone(downloads, tmp_path):
    """As downloaded at defaults, by an isolated interpreter in a folder that holds nothing else."""
    printed = []
    for slug in SLUGS:
        take(open_page(slug), slug)
        script, prints = check(downloads)
        assert check(downloads, notebook=True) == (script, prints)
        printed.append(prints)
        (tmp_path / f"{slug}.py").write_text(script, encoding="utf-8")
        packages = {name.split(".")[0] for name in imported(script)}
        assert packages <= {*sys.stdlib_module_names, "torch"}, slug
        assert slug != "bpe-merges" or "torch" not in packages
    scripts = [f"{slug}.py" for slug in SLUGS]
    run = subprocess.run(
        [sys.executable, "-I", "-c", RUN_ALL, *scripts], cwd=tmp_path, capture_output=True, timeout=200
    )
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout.decode().split(f"{NEXT}\n") == [*printed, ""]


@pytest.mark.parametrize("slug", SLUGS)
def test_scripts_follow_experiments_and_random_settings(slug, downloads):
    """Each experiment; then all controls at once, moved by a seeded hand, over hostile texts."""
    rng = random.Random(slug)
    app = take(open_page(slug), slug)
    scripts = {check(downloads)[0]}
    for key in [b.key for b in app.button if b.key and "_experiment_" in b.key]:
        fine(app.button(key=key).click().run())
        scripts.add(check(downloads, notebook=True)[0])
    assert len(scripts) > 2, "an experiment changes the program"
    for text in rng.sample(list(HOSTILE.values()), 2):
        app.session_state["sentence"] = text
        for widget in [w for kind in MOVES for w in app.get(kind) if w.key and not w.disabled]:
            if not widget.key.endswith(("_model", "_take_figure")):
                widget.set_value(somewhere(widget, rng))
        fine(app.run())
        check(downloads)


def somewhere(widget, rng):
    """A value that this control can take."""
    if widget.type == "toggle":
        return rng.random() < 0.5
    if widget.type == "slider":
        whole = isinstance(widget.min, int)
        return rng.randint(widget.min, widget.max) if whole else rng.uniform(widget.min, widget.max)
    if widget.type == "multiselect":
        return rng.sample(widget.options, min(2, len(widget.options)))
    return rng.choice(widget.options)


def test_nothing_is_made_before_the_click(downloads, monkeypatch):
    made = []
    monkeypatch.setattr(recipe, "gather", lambda *args: made.append(args) or true_gather(*args))
    app = open_page("attention")
    assert SCRIPT not in downloads.offered, "a closed box offers nothing"
    take(app, "attention")
    assert not made
    assert downloads[SCRIPT]
    assert made


true_gather = recipe.gather


@pytest.mark.parametrize("place", ["script", "notebook"])
def test_no_weights_are_lost_on_the_way(place):
    """A tensor of any kind of numbers comes back to the last bit."""
    for values in (torch.randn(3, 4), torch.randn(2, 3).half().float(), torch.tensor([float("-inf"), 0.0, 1e38])):
        found = recipe.Recipe({"y": "x.y"}, (), "y = x", 'show("y", y)', inputs={"x": values})
        export = recipe.Export("T", "Q?", "http://here", lambda found=found: found)
        cells = [export.script().decode()] if place == "script" else notebook_cells(export.notebook())
        assert played(*cells)[0]["y"].equal(values)


def test_the_readme_shows_a_script_as_it_leaves_the_page_and_what_it_prints(downloads):
    take(open_page("positional-encoding"), "positional-encoding")
    script = downloads[SCRIPT].decode().replace("stood: /", "stood: http://localhost:8501/")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme[readme.index("## Take it with you") :]
    code, output = (re.search(rf"```{kind}\n(.*?)```", shown, re.S).group(1) for kind in ("python", "text"))
    assert code == script
    assert output == played(code)[1]
