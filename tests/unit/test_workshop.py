"""A training in a process of its own gives the same records as here, and that process ends when it should."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from app import workshop
from models.induction import InductionConfig
from models.induction_race import race
from models.recall import RecallConfig, train_live
from tests.conftest import ROOT

RECALL = RecallConfig(distances=(1, 3), n_hidden=4, n_update=6, batch=4, report_every=2)
TOY = InductionConfig(d_model=16, n_head=2, n_token=12, n_vocab=16, shortest=3, longest=6, batch=2, steps=4, every=2)
ENDLESS = RecallConfig(distances=(1,), n_hidden=4, n_update=10**6, report_every=1)


def noting(workers):
    """Starts a process and notes it in the list."""

    def start(*args, **kwargs):
        workers.append(subprocess.Popen(*args, **kwargs))
        return workers[-1]

    return start


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """The workers that the test starts; none of them outlives it."""
    workers = []
    monkeypatch.setattr(workshop, "_start", noting(workers))
    monkeypatch.setattr(workshop, "_free", [])
    yield workers
    while workshop._free:
        workshop._dismiss(workshop._free[0])
    assert all(worker.poll() is not None for worker in workers)


def test_its_records_are_those_of_a_training_here():
    there, here = list(workshop.film("recall", RECALL, 3)), list(train_live(RECALL, 3))
    assert [r.step for r in there] == [r.step for r in here] == [0, 2, 4, 6]
    for far, near in zip(there, here, strict=True):
        assert type(far) is type(near)
        assert far.config is RECALL
        assert far.loss.keys() == near.loss.keys()
        for kind, losses in near.loss.items():
            assert far.loss[kind] == pytest.approx(losses, rel=1e-4)
        assert far.accuracy == near.accuracy
        assert far.done == near.done
        assert isinstance(far.accuracy["rnn"], tuple), "records are frozen through and through"


def test_tensors_come_through_too():
    there, here = list(workshop.film("induction", TOY, 0)), list(race(TOY, 0))
    assert len(there) == len(here) == 3
    for far, near in zip(there, here, strict=True):
        assert (far.step, far.n_step, far.ids) == (near.step, near.n_step, near.ids)
        assert far.best == near.best
        assert (far.maps.dtype, far.maps.shape) == (torch.uint8, near.maps.shape)
        assert (far.maps.int() - near.maps.int()).abs().max() <= 1, "rounded to 255 levels"


def test_a_worker_takes_the_next_training_and_two_run_beside_each_other(started):
    list(workshop.film("recall", RECALL, 0))
    (worker,) = workshop._free
    one, two = workshop.film("recall", RECALL, 1), workshop.film("recall", RECALL, 2)
    next(one)
    assert workshop._free == [], "it works again"
    next(two)
    list(one), list(two)
    assert started[0] is worker
    assert len(started) == 2
    assert set(workshop._free) == set(started)
    workshop._dismiss(worker)
    assert worker.poll() == 0
    assert workshop._free == started[1:]


def test_who_stops_looking_stops_the_worker(started):
    begun = workshop.film("recall", ENDLESS, 0)
    next(begun)
    assert started[0].poll() is None
    begun.close()
    assert started[0].poll() is not None
    assert workshop._free == []


def test_a_worker_that_dies_fails_its_training_and_no_other(started):
    begun = workshop.film("recall", ENDLESS, 0)
    next(begun)
    started[0].kill()
    with pytest.raises(RuntimeError, match="ended before"):
        list(begun)
    assert [r.step for r in workshop.film("recall", RECALL, 0)] == [0, 2, 4, 6]


def test_a_worker_that_died_while_it_waited_is_replaced(started):
    list(workshop.film("recall", RECALL, 0))
    started[0].kill()
    started[0].wait()
    assert [r.step for r in workshop.film("recall", RECALL, 0)] == [0, 2, 4, 6]
    assert len(started) == 2


def test_a_training_that_fails_ends_its_worker(started):
    wrong = RecallConfig(distances=(1,), n_hidden=4, n_update=1)
    object.__setattr__(wrong, "batch", -1)  # no config of ours would
    with pytest.raises(RuntimeError, match="ended before"):
        list(workshop.film("recall", wrong, 0))
    assert started[0].poll() is not None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks the process up in /proc")
def test_it_has_the_lowest_priority_and_ends_with_the_server_in_the_middle_of_a_training():
    """The server's end closes its pipes, however it ends."""
    server = subprocess.Popen(
        [sys.executable, "-c", "from tests.unit import test_workshop; test_workshop.watch()"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    pid = int(server.stdout.readline())
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert runs(pid)
    server.kill()
    server.wait()
    server.stdout.close()
    for _ in range(200):
        if not runs(pid):
            return
        time.sleep(0.1)
    pytest.fail("it trains for nobody")


def watch():
    """In a process that is to be killed: say the worker's number and look on."""
    workers = []
    workshop._start = noting(workers)
    for record in workshop.film("recall", ENDLESS, 0):
        if record.step == 0:  # it has taken its place by then
            print(workers[0].pid, flush=True)


def runs(pid):
    """Whether there is such a process, and not only its exit status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_it_loads_nothing_that_it_does_not_need():
    heavy = "{'streamlit', 'plotly', 'pandas', 'altair', 'transformers', 'sympy'} & set(sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", f"import sys, app.workshop; print({heavy})"], cwd=ROOT, capture_output=True, text=True
    )
    assert said.stdout.strip() == "set()", said
