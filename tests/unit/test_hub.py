"""Names to folders, against a small server that answers as the hub does, and against none at all."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import models.hub as hub
from models.errors import CheckpointError

SHA = "a" * 40
FILES = {
    "config.json": b'{"model_type": "gpt2"}',
    "model.safetensors": bytes(1000),
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle, which can run code",
    "modeling_own.py": b"raise SystemExit",
    "onnx/model.safetensors": b"another copy",
}


class Hub(BaseHTTPRequestHandler):
    """The answers a download needs: about a model, its list of files, about a file, the file."""

    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        if "/tree/" in self.path:
            listed = [{"type": "file", "path": name, "size": len(body), "oid": "0"} for name, body in FILES.items()]
            self.answer(json.dumps(listed).encode())
        elif self.path.startswith("/api/models/some/"):
            files = {} if "bare" in self.path else FILES
            listed = [{"rfilename": name, "size": len(body)} for name, body in files.items()]
            self.answer(json.dumps({"id": "some/model", "sha": SHA, "siblings": listed}).encode())
        elif self.path.startswith("/api/models/closed/"):
            self.answer(b"{}", 403, **{"X-Error-Code": "GatedRepo"})
        elif self.path.startswith("/some/"):
            body = FILES[self.path.split(f"{SHA}/")[1]]
            self.answer(body, **{"X-Repo-Commit": SHA, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'})
        else:
            self.answer(b"{}", 404, **{"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint(monkeypatch, tmp_path):
    monkeypatch.setenv("ATTENTION_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = type("Asked", (Hub,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def refused(name, endpoint, match):
    with pytest.raises(CheckpointError, match=match) as found:
        hub.hub_folder(name, endpoint)
    assert str(found.value).endswith(".")


def test_only_settings_vocabulary_and_safetensors_are_fetched(endpoint):
    folder = hub.hub_folder("some/model", endpoint)
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_what_was_fetched_before_serves_without_the_hub(endpoint):
    folder = hub.hub_folder("some/model", endpoint)
    assert hub.hub_folder("some/model", "http://127.0.0.1:9") == folder


def test_no_model_of_that_name(endpoint):
    refused("gone/model", endpoint, "There is no open model named “gone/model” on the hub")


def test_a_closed_model(endpoint):
    refused("closed/model", endpoint, "open only to those its owner admits")


def test_no_safetensors(endpoint):
    refused("some/bare", endpoint, "no safetensors weights")


def test_too_large_before_a_byte_of_it_came(endpoint, monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "memory_left", lambda: 1000)
    refused("some/model", endpoint, "needs about 150 MB of memory, and 0 MB are left")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_no_network(endpoint):
    refused("some/model", "http://127.0.0.1:9", "hub cannot be reached .* whether a model of that name exists")


@pytest.mark.parametrize(
    "name", ["", " ", "../../etc", "/etc/passwd", "a/b/c", "https://x.org/y", "x\ud800", "é", "a" * 200, "-x", "a..b"]
)
def test_what_is_not_a_name_is_asked_nowhere(name):
    refused(name, "http://127.0.0.1:9", "A model's name looks like")
