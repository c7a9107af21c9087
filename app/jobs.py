"""Training in front of the reader without costing the others: a few background jobs for all visitors together.

A job is an iterator of frozen records, advanced on a thread of its own; a training's comes from a process of its own
(``app/workshop.py``), so that the thread only waits. At most two run at a time over all visitors,
the rest wait in a line that shows each one's place. The same request by several visitors runs once and is shared. A
job ends when its iterator does, when its time is up, when everyone who asked has cancelled, or when none of them has
looked for a while: a visitor who closed the page stops costing.

A page starts a job from a button's callback and polls it from a fragment (``run_every``):

    jobs.start(("recall", config, seed), partial(workshop.film, "recall", config, seed), visitor=visitor)
    status = jobs.status(("recall", config, seed), visitor)

No streamlit in here: the visitor's name is whatever the page takes for one (its session's id).
"""

import atexit
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["absent", "waiting", "running", "done", "cancelled", "left", "overtime", "failed"]
LIVE = ("waiting", "running")
ENDED = {
    "overtime": "Stopped at the time limit; what was learned by then is kept.",
    "failed": "The training failed; the log says why. It can be started again.",
    "cancelled": "Stopped.",
    "left": "Stopped, because nobody looked.",
}
LOOK = 0.15  # seconds between two looks at a job of all its visitors together
LONGEST = 8.0  # seconds between two looks of one visitor; well below the patience with one who does not look
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobStatus:
    """What a page shows of a job. The records stay after the end, so the reader can play on with them.

    ``state``: "absent" (never asked for, or forgotten), "waiting", "running", "done", "cancelled" (by all who asked),
    "left" (nobody looked any more), "overtime" (stopped at the time limit), "failed" (see the log).
    """

    state: State = "absent"
    place: int = 0  # 1 is next in line; 0 when not waiting
    progress: float = 0.0  # 0 to 1
    history: tuple[Any, ...] = ()
    seconds: float = 0.0  # time it has run
    joined: bool = False  # whether this visitor is among those who asked
    watchers: int = 0  # how many asked and still look

    @property
    def latest(self) -> Any | None:
        return self.history[-1] if self.history else None

    @property
    def live(self) -> bool:
        """Whether it still moves, so that polling pays."""
        return self.state in LIVE

    @property
    def ended(self) -> str:
        """Why it stopped before its end, as a sentence; empty where there is nothing to explain."""
        return ENDED.get(self.state, "")

    def pace(self, least: float) -> float:
        """Seconds between two looks of one visitor: more for those who wait in line, and the more look on."""
        wanted = 2 + self.place / 4 if self.state == "waiting" else self.watchers * LOOK
        return min(max(least, wanted), LONGEST)


@dataclass
class _Job:
    make: Callable[[], Generator[Any]]
    state: State = "waiting"
    history: list[Any] = field(default_factory=list)
    begun: float | None = None
    ended: float | None = None
    seen: dict[str, float] = field(default_factory=dict)  # visitor -> when they last looked


class Jobs:
    """All jobs of one server process. The methods may be called from any thread."""

    def __init__(
        self,
        slots: int = 2,
        seconds: float = 120.0,
        patience: float = 15.0,
        most_waiting: int = 40,
        most_kept: int = 12,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``seconds`` a job may run, ``patience`` seconds without a look until a visitor counts as gone."""
        self.slots, self.seconds, self.patience = slots, seconds, patience
        self.most_waiting, self.most_kept = most_waiting, most_kept
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: OrderedDict[Hashable, _Job] = OrderedDict()  # in the order they were asked for
        self._threads: set[threading.Thread] = set()  # a stopped job holds its place until its next record

    def start(
        self,
        key: Hashable,
        make: Callable[[], Generator[Any]],
        *,
        visitor: str = "",
    ) -> bool:
        """Ask for the job ``key``, or join those who did. A finished one is not run again.

        Args:
            make: opens the generator; called on the job's own thread. What it yields must be frozen; its ``progress``, where it has
                one, says how far it is, 0 to 1. A partial and no lambda of a page, which would keep all that the page has drawn.

        Returns:
            False when too many are waiting already.
        """
        with self._lock:
            self._sweep()
            job = self._jobs.get(key)
            if job is None or (job.state not in LIVE and job.state != "done"):
                if sum(other.state == "waiting" for other in self._jobs.values()) >= self.most_waiting:
                    return False
                job = _Job(make)
                self._jobs[key] = job
                self._jobs.move_to_end(key)
            job.seen[visitor] = self._clock()
            self._fill()
            return True

    def status(self, key: Hashable, visitor: str = "") -> JobStatus:
        """How the job stands. For a visitor who asked for it, looking is what keeps it alive."""
        with self._lock:
            if (job := self._jobs.get(key)) and visitor in job.seen:
                job.seen[visitor] = self._clock()
            self._sweep()
            self._fill()
            return self._describe(key, visitor)

    def cancel(self, key: Hashable, visitor: str = "") -> None:
        """This visitor no longer wants it; it stops once nobody does."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.seen.pop(visitor, None) is None:
                return
            if job.state in LIVE and not job.seen:
                self._end(job, "cancelled")
            self._fill()

    def close(self, wait: float = 5.0) -> None:
        """The end of the process: stop everything and wait for the threads, together ``wait`` seconds at most.

        A thread that is inside PyTorch when the interpreter goes away would abort the whole process.
        """
        with self._lock:
            self.slots = 0
            for job in self._jobs.values():
                if job.state in LIVE:
                    self._end(job, "cancelled")
            threads = list(self._threads)
        until = time.monotonic() + wait
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _describe(self, key: Hashable, visitor: str) -> JobStatus:
        job = self._jobs.get(key)
        if job is None:
            return JobStatus()
        line = [other for other in self._jobs.values() if other.state == "waiting"]
        place = line.index(job) + 1 if job.state == "waiting" else 0
        share = 1.0 if job.state == "done" else getattr(job.history[-1], "progress", 0.0) if job.history else 0.0
        end = self._clock() if job.ended is None else job.ended
        seconds = 0.0 if job.begun is None else end - job.begun
        joined = visitor in job.seen
        return JobStatus(job.state, place, share, tuple(job.history), seconds, joined, len(job.seen))

    def _end(self, job: _Job, state: State) -> None:
        job.state, job.ended = state, self._clock()

    def _sweep(self) -> None:
        """Stop what nobody looks at and what had its time, forget the oldest results. The lock is held."""
        now = self._clock()
        for job in self._jobs.values():
            if job.state in LIVE:
                job.seen = {visitor: at for visitor, at in job.seen.items() if now - at <= self.patience}
                if not job.seen:
                    self._end(job, "left")
                elif job.begun is not None and now - job.begun > self.seconds:
                    self._end(job, "overtime")
        over = sorted(
            ((job.ended, key) for key, job in self._jobs.items() if job.ended is not None), key=lambda pair: pair[0]
        )
        for _, key in over[: max(0, len(over) - self.most_kept)]:
            del self._jobs[key]

    def _fill(self) -> None:
        """Give free places to those who wait longest. The lock is held."""
        waiting = [job for job in self._jobs.values() if job.state == "waiting"]
        for job in waiting[: max(0, self.slots - len(self._threads))]:
            job.state, job.begun = "running", self._clock()
            thread = threading.Thread(target=self._run, args=(job,), daemon=True, name="attention-lab-job")
            self._threads.add(thread)
            thread.start()

    def _run(self, job: _Job) -> None:
        """The job's thread: one record after the other while it is wanted."""
        state: State = "done"
        try:
            with closing(job.make()) as records:
                for record in records:
                    with self._lock:
                        self._sweep()
                        if job.state != "running":
                            return
                        job.history.append(record)
        except Exception:
            log.exception("a background job failed")
            state = "failed"
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
                if job.state == "running":
                    self._end(job, state)
                self._sweep()
                self._fill()


_SHARED = Jobs()
atexit.register(_SHARED.close)
start, status, cancel = _SHARED.start, _SHARED.status, _SHARED.cancel
