"""Programs made of the project's own source: nothing is lost, nothing runs that should not."""

import ast
import contextlib
import io
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from app.recipe import LONG_TEXT, Export, Recipe, kept, literal, packed, packed_text
from app.recipe_kit import show, unpack, unpack_text
from app.source import free_names, gather
from models import attention, masks, positional, recurrent
from models.attention import AttentionTrace, attend
from models.one_head import format_of

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
HOSTILE = "\"\"\" ''' \\ \\n \ud800 \u202e <script> $x$ `a` {b} %s # \r\n\x00"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


def run(code):
    space = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "program", "exec"), space)
    return space, printed.getvalue()


@given(VALUES)
def test_a_setting_comes_back_as_it_was(value):
    code = literal(value)
    assert eval(code) == value
    assert code.encode(), "no lone surrogate stands in the file itself"


@given(ANY_TEXT)
def test_a_long_text_comes_back_as_it_was(text):
    long = text * (LONG_TEXT // max(1, len(text)) + 1)
    assert eval(packed_text(long), {"unpack_text": unpack_text}) == long


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_numbers_come_back_to_the_last_bit(numbers):
    values = torch.tensor(numbers)
    assert eval(packed(values), {"unpack": unpack, "torch": torch}).equal(values)
    assert eval(packed(values[None].half().float()), {"unpack": unpack, "torch": torch}).shape == (1, len(numbers))


def test_the_source_is_the_files_own_and_stands_alone():
    source = gather([attend])
    assert [file for file, _ in source.modules] == ["models/attention.py"]
    (code,) = (code for _, code in source.modules)
    whole = Path(attention.__file__).read_text(encoding="utf-8")
    assert all(line in whole for line in code.splitlines())
    assert "def head(" not in code, "a method that nobody calls stays at home"
    assert "def head(" in dict(gather([attend], "attend(q, k, v).head(0)").modules)["models/attention.py"]
    space, _ = run("\n".join([*source.imports, code]))
    q = torch.randn(5, 4)
    assert space["attend"](q, q, q).weights.equal(attend(q, q, q).weights)


def test_modules_stand_in_an_order_that_runs():
    source = gather([masks.mask_with, masks.MaskConfig, recurrent.trace_rnn, positional.encode_positions])
    files = [file for file, _ in source.modules]
    assert files.index("models/attention.py") < files.index("models/masks.py")
    run("\n".join([*source.imports, *(code for _, code in source.modules)]))
    assert {name.split()[1].split(".")[0] for name in source.imports if name} <= {
        "torch", "math", "dataclasses", "typing", "collections",
    }  # fmt: skip


def test_one_name_for_two_things_is_refused(monkeypatch):
    def rows(x):
        return x

    rows.__module__ = "tests.unit.test_recipe"
    monkeypatch.setattr("app.source.OWN", ("app", "models", "tests"))
    with pytest.raises(ValueError, match="two things"):
        gather([positional.rows, clashing])


def clashing(x):
    return sinusoidal(x)


def sinusoidal(x):
    return x


def test_a_recipe_is_of_the_moment_it_was_handed_over():
    page = {"Recipe": Recipe, "n": 1}
    exec("def make():\n    return Recipe({'y': 's.y'}, (), 'y = N', 'print(y)', {'N': n})", page)
    then = kept(page["make"])
    page.clear()
    assert then().settings == {"N": 1}


def test_free_names_are_those_that_nothing_defines():
    assert free_names("a = b + 1\nfor c in range(a):\n    print(c, [d for d in e])") == {"b", "e"}


def test_a_name_that_nobody_defines_is_refused():
    lost = Recipe({"y": "s.y"}, (), "y = unheard_of(1)", "print(y)")
    with pytest.raises(ValueError, match="unheard_of"):
        Export("T", "Q?", "http://here", lambda: lost).script()


@pytest.mark.parametrize("text", [HOSTILE, HOSTILE * 60])
def test_hostile_words_stay_words(text):
    """In a setting, a title, a note and an address: no string ends early, no markup comes alive, nothing is executed."""
    found = Recipe({"n": "s.n"}, (), "n = len(TEXT)", "say(TEXT)", {"TEXT": text}, note=f'{text} """; import os')
    export = Export(text, text, f"http://here/?{text}", lambda: found)
    script = export.script().decode()
    assert {type(node) for node in ast.parse(script).body[:1]} == {ast.Expr}
    space, printed = run(script)
    assert space["TEXT"] == text
    assert printed.splitlines()
    assert "os" not in space
    notebook = json.loads(export.notebook())
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert run("\n".join(code))[0]["TEXT"] == text
    words = "".join(line for cell in notebook["cells"] if cell["cell_type"] == "markdown" for line in cell["source"])
    assert not any(sign in words for sign in ("<script>", "$x$", "`a`", "\u202e", "\ud800"))


def test_tables_print_on_a_terminal_that_knows_ascii_alone(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    show("a [x × y]", torch.tensor([[0.25, 1e-7], [math.inf, -math.nan]]), ("ü\ud800", "\n"), ("猫",))
    text = raw.getvalue().decode()
    assert "0.250" in text
    assert "inf" in text
    assert "nan" in text
    assert "\\n" in text


def test_a_long_tensor_is_cut_and_says_so():
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        show("a", torch.full((20, 17), 1e-7))
        show("b", torch.tensor([-math.inf]))
    assert printed.getvalue().splitlines()[-5:-3] == ["... and 4 more rows", "... and 1 more column"]
    assert printed.getvalue().count("1.0e-07") == 16 * 16
    assert printed.getvalue().splitlines()[-1].split() == ["0", "-inf"]


def test_the_format_of_a_head_is_found_again():
    q, k, v = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    half = attend(q, k, v)
    as_shown = AttentionTrace(half.weights.float(), q.float(), k.float(), v.float())
    assert format_of(as_shown) == torch.bfloat16
    assert format_of(attend(q.float(), k.float(), v.float())) == torch.float32
    assert format_of(AttentionTrace(as_shown.weights.flip(0), q.float(), k.float(), v.float())) is None
    assert format_of(AttentionTrace(as_shown.weights)) is None
