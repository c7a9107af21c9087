"""Training in processes of its own, so that what a class waits for never waits for a training.

In the server's process a training thread takes the interpreter between two of its PyTorch calls, at any priority: with
fifty waiting in line, other visitors' moves took ten times as long. A worker has its own interpreter and the lowest
priority; a training that runs out of memory or crashes ends alone, and the memory it took goes back with it.

A worker is started for the first training and takes the next one when it is through; with nothing to do for a while,
or when the server is gone, it ends. Requests are lines of JSON; a record comes back as a line of JSON, and its tensors
as safetensors behind it.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import IO, Any

from safetensors.torch import load, save
from torch import Tensor, set_num_threads

from models import induction_race, recall
from models.induction import InductionConfig

ROOT = Path(__file__).resolve().parent.parent
CUT_SHORT = "the training's process ended before the training did"
IDLE = 30.0  # seconds a worker waits for its next training


@dataclass(frozen=True)
class Task:
    """What a worker can do: (config, seed) -> the records of a training.

    A record's fields are numbers, texts, tuples and mappings of them, tensors, or the config itself.
    """

    make: Callable[[Any, int], Iterator[Any]]
    config: type
    record: type


TASKS = {
    "recall": Task(recall.train_live, recall.RecallConfig, recall.RecallStep),
    "induction": Task(induction_race.race, InductionConfig, induction_race.RaceStep),
}
_free: list[subprocess.Popen[bytes]] = []  # workers that wait for their next training
_lock = threading.Lock()
_start = subprocess.Popen


def film(task: str, config: Any, seed: int) -> Generator[Any]:
    """The records of a training, made by a worker; whoever closes the iterator before its end stops the worker.

    Raises:
        RuntimeError: if the worker ended before the training did.
    """
    worker = _worker({"task": task, "config": asdict(config), "seed": seed})
    assert worker.stdout is not None
    through = False
    try:
        while "end" not in (head := _head(worker.stdout)):
            tensors = load(_exactly(worker.stdout, head["size"])) if head["size"] else {}
            yield _record(TASKS[task].record, config, head["record"], tensors)
        through = True
    finally:
        if through:
            _rest(worker)
        else:
            worker.kill()
            worker.wait()


def _rest(worker: subprocess.Popen[bytes]) -> None:
    """It waits for its next training, but not for long."""
    with _lock:
        _free.append(worker)
    timer = threading.Timer(IDLE, _dismiss, (worker,))
    timer.daemon = True
    timer.start()


def _dismiss(worker: subprocess.Popen[bytes]) -> None:
    with _lock:
        if worker not in _free:
            return  # it works again
        _free.remove(worker)
    assert worker.stdin is not None
    worker.stdin.close()
    worker.wait()


def _worker(request: dict[str, Any]) -> subprocess.Popen[bytes]:
    """A worker that has taken the request: one that waits, else a new one."""
    line = json.dumps(request).encode() + b"\n"
    while True:
        with _lock:
            waiting = _free.pop() if _free else None
        worker = waiting or _start(
            [sys.executable, "-m", "app.workshop"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert worker.stdin is not None
        try:
            worker.stdin.write(line)
            worker.stdin.flush()
        except BrokenPipeError:
            worker.wait()
            if waiting is None:
                raise
            continue  # it went while it waited
        return worker


def _head(stream: IO[bytes]) -> dict[str, Any]:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise RuntimeError(CUT_SHORT)
    head: dict[str, Any] = json.loads(line)
    return head


def _exactly(stream: IO[bytes], size: int) -> bytes:
    body = stream.read(size)
    if len(body) < size:
        raise RuntimeError(CUT_SHORT)
    return body


def _record(kind: type, config: Any, plain: dict[str, Any], tensors: dict[str, Tensor]) -> Any:
    own = {field.name: config for field in fields(kind) if field.name not in plain and field.name not in tensors}
    return kind(**own, **{name: _frozen(value) for name, value in plain.items()}, **tensors)


def _frozen(value: Any) -> Any:
    """JSON has no tuples; a record has no lists."""
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    return {key: _frozen(part) for key, part in value.items()} if isinstance(value, dict) else value


def packed(record: Any) -> bytes:
    """A record as it goes through the pipe."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    tensors = {name: value.contiguous() for name, value in values.items() if isinstance(value, Tensor)}
    plain = {name: value for name, value in values.items() if name not in tensors and not is_dataclass(value)}
    body = save(tensors) if tensors else b""
    return json.dumps({"size": len(body), "record": plain}).encode() + b"\n" + body


def _read_requests(requests: "queue.Queue[bytes]") -> None:
    """The worker's ear. The pipe's end is the server's, however it came about."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def work() -> None:
    """The worker: one training after the other, at the lowest priority, and the first to go where memory is short."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the server, whose end is ours
    with suppress(AttributeError, OSError):
        os.nice(19)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    set_num_threads(1)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes to the log
    requests: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    with suppress(BrokenPipeError):
        while True:
            request = json.loads(requests.get())
            task = TASKS[request["task"]]
            config = task.config(**{name: _frozen(value) for name, value in request["config"].items()})
            for record in task.make(config, request["seed"]):
                out.write(packed(record))
                out.flush()
            out.write(b'{"end": true}\n')
            out.flush()
    os._exit(0)


if __name__ == "__main__":
    work()
