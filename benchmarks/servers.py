"""Start and stop a server, and read what its process uses."""

import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = {
    "app": ROOT / "app" / "main.py",
    "floor": ROOT / "benchmarks" / "floor.py",
    "tiles": ROOT / "benchmarks" / "tiles.py",
}
START_LIMIT = 240.0
PACKAGES = ("streamlit", "torch", "plotly", "numpy", "pandas", *(("uvloop",) if os.name != "nt" else ()))


@dataclass(frozen=True)
class Server:
    """A Streamlit server that this program has started."""

    name: str
    process: subprocess.Popen[bytes]
    address: str
    born: float  # time.perf_counter() when its process was started
    _log: IO[bytes]

    def memory(self) -> float:
        """Resident memory in MB."""
        return self._resident("-p")

    def trainers(self) -> float:
        """Resident memory in MB of the processes that train for it."""
        return self._resident("--ppid")

    def _resident(self, whose: str) -> float:
        shown = subprocess.run(["ps", "-o", "rss=", whose, str(self.process.pid)], capture_output=True, text=True)
        return sum(map(int, shown.stdout.split())) / 1024

    def log(self) -> str:
        """All that it has printed so far."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def cpu(self) -> float:
        """Seconds of processor time used so far; NaN where there is no /proc. Other load on the machine does not
        change it much, which makes it the steadiest of all the figures."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return float("nan")
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as s:
        s.bind((host, 0))
        return s.getsockname()[1]


@contextmanager
def serving(
    name: str,
    port: int = 0,
    *,
    by: Sequence[str] = ("-m", "streamlit"),
    environment: Mapping[str, str] | None = None,
    host: str = "127.0.0.1",
    folder: Path = ROOT,
) -> Iterator[Server]:
    """The app or the floor on loopback, from its start until the block ends. The port need not answer yet.

    Both run with the same options, those of ``.streamlit/config.toml`` in the repository's root.

    Args:
        by: what Python runs, where it is not Streamlit itself but a program that ends in it.
        environment: variables that differ from this program's own.
        host: the loopback address to serve on; Linux has all of 127.0.0.0/8.
        folder: where it is started from; the app finds its files from anywhere.
    """
    port = port or free_port(host)
    command = [sys.executable, *by, "run", str(ENTRIES[name]), "--server.port", str(port),
               "--server.address", host]  # fmt: skip
    with tempfile.TemporaryFile() as log:
        born = time.perf_counter()
        surroundings = {**os.environ, **(environment or {})}
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=surroundings)
        try:
            yield Server(name, process, f"http://{host}:{port}", born, log)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_it_answers(server: Server) -> float:
    """Seconds from the start of the process until the port answers. Raises RuntimeError when it dies or takes too
    long."""
    while time.perf_counter() - server.born < START_LIMIT:
        try:
            urllib.request.urlopen(f"{server.address}/_stcore/health", timeout=5).close()
            return time.perf_counter() - server.born
        except OSError:
            if server.process.poll() is not None:
                break
            time.sleep(0.02)
    raise RuntimeError(f"the {server.name} server did not start")


def load_now() -> float:
    """How many programs wanted a processor, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    cpu, memory = platform.processor() or platform.machine(), 0.0
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (OSError, ValueError):
        pass  # not Linux: the processor's family has to do
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gb": round(memory, 1),
        "load_before": load_now(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }
