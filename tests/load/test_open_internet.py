"""What docs/security.md promises of the app as served: to other sites, to uploads, to paths, to wishes of a visitor."""

import asyncio
import http.client
import re
from urllib.parse import urlsplit

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app import headers
from benchmarks.visitor import Visitor
from tests.conftest import apart

pytestmark = pytest.mark.xdist_group("browser")
EVIL = {"Origin": "https://evil.example"}


def ask(address, path, method="GET", body=None, more=None):
    """(status, headers, the body's text). The path goes out as it stands, dots and all."""
    where = urlsplit(address)
    wire = http.client.HTTPConnection(where.hostname, where.port, timeout=60)
    try:
        wire.request(method, path, body, more or {})
        answer = wire.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode(errors="replace")
    finally:
        wire.close()


@pytest.mark.parametrize("path", ["/", "/attention", "/_stcore/health", "/favicon.png", "/nowhere/at/all"])
def test_every_answer_carries_the_security_headers(address, path):
    _, held, _ = ask(address, path)
    for name, value in headers.headers().items():
        assert held[name.lower()] == value


def test_another_site_may_neither_connect_nor_read(address):
    async def knock(origin):
        stream = address.replace("http", "ws") + "/_stcore/stream"
        async with connect(stream, origin=origin, subprotocols=["streamlit"], proxy=None, compression=None):
            return True

    assert apart(knock(address)), "the app's own pages may"
    for origin in (
        "https://evil.example",
        address.replace("http", "https").replace("127.0.0.1", "127.0.0.1.evil.example"),
    ):
        with pytest.raises(InvalidStatus):
            apart(knock(origin))
    for path in ("/", "/_stcore/health", "/_stcore/host-config"):
        _, held, _ = ask(address, path, more=EVIL)
        assert held.get("access-control-allow-origin") not in ("*", EVIL["Origin"]), path


def test_the_token_against_forged_requests_is_set(address):
    _, held, _ = ask(address, "/_stcore/health")
    assert held["set-cookie"].startswith("_streamlit_xsrf=")
    assert "samesite=lax" in held["set-cookie"].lower()


def test_nothing_is_uploaded_and_no_agent_is_served(address):
    for path, method in (("/_stcore/upload_file/session/file", "PUT"), ("/_stcore/upload_file/session/file", "DELETE"),
                         ("/_stcore/agent/interact", "POST"), ("/_stcore/agent/openapi.json", "GET")):  # fmt: skip
        status, _, said = ask(address, path, method, b"x" * 1000)
        assert status == 403, path
        assert "Traceback" not in said


@pytest.mark.parametrize("path", [
    "/../../../../etc/passwd", "/..%2f..%2f..%2fetc%2fpasswd", "/static/../../../../../etc/passwd", "/app/static/../main.py",
    "/component/../../etc/passwd", "/media/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/.streamlit/config.toml",
    "/app/main.py", "/requirements.txt", "/assets/weights/minilm/config.json", "/.git/config",
])  # fmt: skip
def test_no_file_is_served_by_its_path(address, path):
    _, _, said = ask(address, path)
    assert not re.search(r"root:.*:0:0|enableXsrfProtection|set_page_config|streamlit==|sha256\"|\[core\]", said)


async def quiet(visitor):
    """All messages until none has come for two seconds."""
    heard = []
    while True:
        try:
            heard.append(ForwardMsg.FromString(await asyncio.wait_for(visitor._socket.recv(), 2)))
        except TimeoutError:
            return heard


def test_a_visitor_cannot_empty_the_caches_of_all(server):
    """Streamlit would do it at once for any websocket that asks, whatever the menu shows."""

    async def wish():
        async with Visitor(server.address, "attention") as visitor:
            await visitor.open()
            for message in (BackMsg(clear_cache=True), BackMsg(set_run_on_save=True), BackMsg(load_git_info=True)):
                await visitor._socket.send(message.SerializeToString())
            heard = await quiet(visitor)
            await visitor.open()  # and the session goes on
            return heard

    for message in apart(wish()):
        assert not message.session_status_changed.run_on_save
        assert message.WhichOneof("type") not in ("git_info_changed", "session_event")
    for kind in ("clear_cache", "set_run_on_save", "load_git_info"):
        assert f"a visitor asked for {kind}" in server.log().replace("\n", " ")


def test_a_message_far_larger_than_any_page_sends_ends_the_connection(address):
    async def flood(size):
        async with Visitor(address) as visitor:
            await visitor.open()
            await visitor._socket.send(b"\x00" * size)
            while True:
                await visitor._socket.recv()

    for size in (5_000_000, 41_000_000):  # over maxWidgetStateSize, over maxMessageSize
        with pytest.raises(ConnectionClosed) as ended:
            apart(flood(size))
        assert ended.value.rcvd is None or ended.value.rcvd.code == 1009
