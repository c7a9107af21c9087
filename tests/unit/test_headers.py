"""The layers around the app: what they add to an answer and what they let through to it."""

import asyncio
import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from app import gate, headers


def ask(layer, scope, arriving=()):
    """Run one request through a layer around an app that answers 200 with a header of its own, or notes its messages."""
    heard, sent, queue = [], [], [*arriving, {"type": "websocket.disconnect"}]

    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-content-type-options", b"own")]})
            await send({"type": "http.response.body", "body": b"hello"})
            return
        while (message := await receive())["type"] != "websocket.disconnect":
            heard.append(message)

    async def receive():
        return queue.pop(0)

    async def send(message):
        sent.append(message)

    with ThreadPoolExecutor(1) as pool:  # Playwright, where it shares the process, holds a loop on this thread
        pool.submit(lambda: asyncio.run(layer(app)(scope, receive, send))).result()
    return heard, sent


def message(**parts):
    wish = BackMsg()
    for name, value in parts.items():
        setattr(wish, name, value)
    return wish


def test_every_answer_carries_the_headers_and_keeps_its_own():
    _, (start, body) = ask(headers.SecurityHeaders, {"type": "http", "path": "/"})
    held = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    assert body["body"] == b"hello"
    assert held["x-content-type-options"] == "own"
    assert held["referrer-policy"] == "same-origin"
    assert held["content-security-policy"] == headers.policy()
    assert len(start["headers"]) == len(headers.headers())


def test_no_script_runs_that_the_server_did_not_send():
    parts = dict(part.split(" ", 1) for part in headers.policy().split("; "))
    assert parts["default-src"] == "'none'"
    assert "unsafe" not in parts["script-src"]
    assert "*" not in headers.policy()
    assert "http" not in headers.policy(), "nothing comes from anywhere else"
    inline = headers.INLINE.findall(headers.INDEX.read_text("utf-8"))
    assert len(inline) == len(parts["script-src"].split()) - 2  # beside them stand this server and blobs
    for script in inline:
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in parts["script-src"]


def test_a_host_may_name_who_frames_the_app_and_nothing_else(monkeypatch):
    monkeypatch.setenv("ATTENTION_LAB_FRAMES", "https://course.example.edu https://*.example.org:8443")
    assert headers.policy().endswith("frame-ancestors 'self' https://course.example.edu https://*.example.org:8443")
    for wrong in ("course.example.edu; script-src *", "javascript:x", "https://a.b/c", "*"):
        monkeypatch.setenv("ATTENTION_LAB_FRAMES", wrong)
        with pytest.raises(ValueError, match="no origin"):
            headers.policy()


def test_the_gate_passes_what_pages_need_and_drops_the_rest():
    rerun, clear, git, nothing = BackMsg(), message(clear_cache=True), message(load_git_info=True), BackMsg()
    rerun.rerun_script.page_name = "attention"
    chunk, skills, upload = BackMsg(), BackMsg(), BackMsg()
    chunk.backend_operation_request.dataframe_chunk.source_id = "x"
    skills.backend_operation_request.install_skills.SetInParent()
    upload.file_urls_request.file_names.append("x")
    passed = [rerun, message(stop_script=True), message(app_heartbeat=True), chunk]
    wishes = [clear, *passed[:2], git, skills, upload, nothing, *passed[2:]]
    heard, _ = ask(
        gate.Gate,
        {"type": "websocket", "path": "/_stcore/stream"},
        [{"type": "websocket.receive", "bytes": wish.SerializeToString()} for wish in wishes],
    )
    assert [BackMsg.FromString(m["bytes"]) for m in heard] == passed


def test_what_is_no_message_is_left_to_streamlit_which_closes():
    garbage = [{"type": "websocket.receive", "bytes": b"\xff\xff\xff"}, {"type": "websocket.receive", "text": "hello"}]
    heard, _ = ask(gate.Gate, {"type": "websocket", "path": "/_stcore/stream"}, garbage)
    assert heard == garbage


@pytest.mark.parametrize(
    "path", ["/_stcore/upload_file/a/b", "/lab/_stcore/upload_file/a/b", "/_stcore/agent/interact"]
)
def test_uploads_are_closed(path):
    _, (start, _) = ask(gate.Gate, {"type": "http", "path": path, "method": "PUT"})
    assert start["status"] == 403
    _, (start, _) = ask(gate.Gate, {"type": "http", "path": "/_stcore/health", "method": "GET"})
    assert start["status"] == 200
