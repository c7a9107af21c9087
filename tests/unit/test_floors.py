"""Who may import whom: pages → app → models, and never back."""

import ast

import pytest

from tests.conftest import ROOT

LIBRARIES = {"streamlit", "plotly", "altair", "pandas", "torch", "transformers", "tokenizers"}
FORBIDDEN = {
    "models": {"streamlit", "plotly", "altair", "pandas", "app", "pages"},
    "app/figures": {"streamlit", "torch", "transformers", "tokenizers", "models", "pages"},
    "app": {"pages", "plotly", "transformers", "tokenizers"},
    "pages": {"plotly", "altair", "pandas", "transformers", "tokenizers", "pages"},
}
MAY_LOAD_TRANSFORMERS = {"models/pretrained.py", "models/recording.py", "models/architectures.py", "models/fetch.py", "models/hub.py",
                         "models/foreign_tokenizer.py", "models/training/pack_minilm.py"}  # fmt: skip


def imports(path):
    """(top-level module, whole name) of every import in a file, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0], node.module


def files(folder):
    found = sorted((ROOT / folder).rglob("*.py"))
    return [p for p in found if folder != "app" or "figures" not in p.parts]


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_floor(folder):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(folder)
        for top, name in imports(path)
        if top in FORBIDDEN[folder]
    ]
    assert files(folder)
    assert not wrong, wrong


def test_transformers_stays_in_its_adapters():
    wrong = [
        str(path.relative_to(ROOT))
        for path in files("models")
        for top, _ in imports(path)
        if top == "transformers" and str(path.relative_to(ROOT)) not in MAY_LOAD_TRANSFORMERS
    ]
    assert not wrong, wrong


def test_only_the_entry_touches_the_path_and_only_compute_caches():
    for folder in ("app", "pages", "models"):
        for path in (ROOT / folder).rglob("*.py"):
            source, name = path.read_text(), str(path.relative_to(ROOT))
            assert ("sys.path" in source) <= (name == "app/main.py"), name
            assert ("st.cache_" in source) <= (name == "app/compute.py"), name


def test_colours_stand_in_the_theme_alone():
    import re

    for folder in ("app", "pages"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "theme.py":
                assert not re.search(r"#[0-9A-Fa-f]{6}\b", path.read_text()), path


def test_default_app_never_imports_transformers():
    """In a process of its own: what the entry and the caches pull in."""
    import subprocess
    import sys

    code = "import sys; sys.path.insert(0, '.'); from app import compute, frame; print('transformers' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip().endswith("False")
