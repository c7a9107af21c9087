"""Replicas of the app behind HAProxy with the very file that ``deploy/`` ships, all on loopback.

In a compose network the name of a scaled service has one address for each replica; here a few lines of DNS say the same
of 127.0.0.2, 127.0.0.3 and so on.
"""

import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.cookies import SimpleCookie
from typing import IO

from benchmarks.servers import ROOT, Server, free_port, serving, wait_until_it_answers
from benchmarks.visitor import Visitor

CONFIG = ROOT / "deploy" / "haproxy.cfg"
MISSING = (
    "HAProxy is not installed, so the balancer cannot be tried: `make proxy` as root, or `apt-get install haproxy`."
)
ASKS_FOR_ADDRESS = 1  # the type of a DNS question for an IPv4 address


class Names(threading.Thread):
    """A name server on loopback that knows one thing: the addresses of the replicas, whatever it is asked for."""

    def __init__(self, hosts: list[str]) -> None:
        super().__init__(daemon=True)
        self._hosts = hosts
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                question, asker = self._socket.recvfrom(4096)
                self._socket.sendto(self._answer(question), asker)
            except OSError:
                return  # closed

    def _answer(self, question: bytes) -> bytes:
        """RFC 1035: the header, the question again, a record for each address."""
        end = question.index(b"\0", 12) + 5  # the name ends in a zero; its type and its class follow
        kind = struct.unpack("!H", question[end - 4 : end - 2])[0]
        hosts = self._hosts if kind == ASKS_FOR_ADDRESS else []
        head = question[:2] + struct.pack("!HHHHH", 0x8580, 1, len(hosts), 0, 0)
        record = struct.pack("!HHHIH", 0xC00C, ASKS_FOR_ADDRESS, 1, 5, 4)
        return head + question[12:end] + b"".join(record + socket.inet_aton(host) for host in hosts)

    def close(self) -> None:
        self._socket.close()


@dataclass(frozen=True)
class Balanced:
    """The balancer's address, and the servers behind it."""

    address: str
    servers: list[Server]
    _log: IO[bytes]

    def log(self) -> str:
        """What the balancer has printed so far."""
        return os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0).decode(errors="replace")


@contextmanager
def balanced(replicas: int) -> Iterator[Balanced]:
    """Replicas of the app, ready, behind HAProxy. Raises RuntimeError where there is no HAProxy."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise RuntimeError(MISSING)
    hosts = [f"127.0.0.{2 + number}" for number in range(replicas)]
    port, door = free_port(hosts[0]), free_port()
    names = Names(hosts)
    names.start()
    environment = {
        "LAB_BIND": f"127.0.0.1:{door}", "LAB_APP": f"replicas.test:{port}", "LAB_DNS": names.address,
    }  # fmt: skip
    with ExitStack() as stack:
        stack.callback(names.close)
        servers = [stack.enter_context(serving("app", port, host=host)) for host in hosts]
        for server in servers:
            wait_until_it_answers(server)
        log = stack.enter_context(tempfile.TemporaryFile())
        balancer = subprocess.Popen([program, "-W", "-f", CONFIG], stdout=log, stderr=log, env=os.environ | environment)
        stack.callback(balancer.wait, 30)
        stack.callback(balancer.terminate)
        here = Balanced(f"http://127.0.0.1:{door}", servers, log)
        _until_all_are_up(here)
        yield here


def _until_all_are_up(here: Balanced) -> None:
    """HAProxy finds its replicas by asking for their name and then for their health: a few seconds."""
    seen: set[str] = set()
    for _ in range(300):
        client = Client(here.address)
        try:
            client.get("/")
            seen.add(client.cookies.get("lab", ""))
        except OSError:
            pass  # no port yet, or no replica yet
        if len(seen) == len(here.servers):
            return
        time.sleep(0.1)
    raise RuntimeError(f"only {len(seen)} of {len(here.servers)} replicas are up:\n{here.log()}")


@dataclass
class Client:
    """What a browser keeps between its requests: its cookies."""

    address: str
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> bytes:
        """A file. Raises OSError, of which ``urllib.error.HTTPError`` is one."""
        request = urllib.request.Request(self.address + path, headers=self.headers())
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            self._keep(answer.headers)
            return answer.read()

    def status(self, path: str) -> int:
        """The status that a path is answered with."""
        try:
            self.get(path)
        except urllib.error.HTTPError as problem:
            return problem.code
        return 200

    def headers(self) -> dict[str, str]:
        """As a browser sends them; Origin lets the app refuse a websocket from a foreign page."""
        said = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Origin": self.address} | ({"Cookie": said} if said else {})

    def keep_from(self, visitor: Visitor) -> None:
        """The cookies that the websocket's handshake brought."""
        headers = Message()
        for line in visitor.given("Set-Cookie"):
            headers["Set-Cookie"] = line
        self._keep(headers)

    def _keep(self, headers: Message) -> None:
        for line in headers.get_all("Set-Cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
