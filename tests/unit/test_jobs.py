"""The background jobs: few at a time, shared, in line, and over when nobody wants them."""

import threading
import time

import pytest

from app.jobs import Jobs, JobStatus


class Clock:
    """A clock that the test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Third(int):
    """A record that knows how far it is."""

    @property
    def progress(self):
        return self / 3


class Film:
    """An iterator whose every record waits for the test's word; remembers how often it was opened."""

    def __init__(self, length=3, kind=int):
        self.length, self.kind, self.opened = length, kind, 0
        self.go = threading.Semaphore(0)

    def __call__(self):
        self.opened += 1
        for number in range(1, self.length + 1):
            assert self.go.acquire(timeout=20)
            yield self.kind(number)

    def let(self, count=1):
        for _ in range(count):
            self.go.release()


def until(jobs, key, wanted, visitor=""):
    """Poll like a page until the status is as wanted."""
    for _ in range(2000):
        status = jobs.status(key, visitor)
        if wanted(status):
            return status
        time.sleep(0.005)
    pytest.fail(f"never came: {status}")


def test_a_job_runs_to_its_end_and_keeps_its_records():
    jobs, film = Jobs(), Film(3, kind=Third)
    assert jobs.status("a") == JobStatus()
    assert jobs.start("a", film)
    film.let(2)
    half = until(jobs, "a", lambda s: len(s.history) == 2)
    assert (half.state, half.latest, half.joined) == ("running", 2, True)
    assert half.progress == pytest.approx(2 / 3)
    film.let()
    end = until(jobs, "a", lambda s: s.state == "done")
    assert (end.history, end.progress, end.live) == ((1, 2, 3), 1.0, False)


def test_the_same_request_runs_once_and_is_shared():
    jobs, film = Jobs(), Film(2)
    jobs.start("a", film, visitor="ann")
    jobs.start("a", film, visitor="bob")
    film.let(2)
    for visitor in ("ann", "bob"):
        assert until(jobs, "a", lambda s: s.state == "done", visitor).history == (1, 2)
    jobs.start("a", film, visitor="cy")
    assert jobs.status("a", "cy").state == "done"
    assert film.opened == 1


def test_two_run_and_the_others_stand_in_line():
    jobs, films = Jobs(), [Film(1) for _ in range(4)]
    for number, film in enumerate(films):
        jobs.start(number, film)
    assert [jobs.status(n).place for n in range(4)] == [0, 0, 1, 2]
    assert [jobs.status(n).state for n in range(4)] == ["running", "running", "waiting", "waiting"]
    films[1].let()
    until(jobs, 1, lambda s: s.state == "done")
    assert until(jobs, 2, lambda s: s.state == "running").place == 0
    assert jobs.status(3).place == 1
    for film in films:
        film.let()
    for number in range(4):
        until(jobs, number, lambda s: s.state == "done")


def test_cancelling_stops_it_only_when_nobody_else_wants_it():
    jobs, film = Jobs(), Film(9)
    jobs.start("a", film, visitor="ann")
    jobs.start("a", film, visitor="bob")
    jobs.cancel("a", "ann")
    assert jobs.status("a", "bob").state == "running"
    assert not jobs.status("a", "ann").joined
    jobs.cancel("a", "stranger")
    assert jobs.status("a", "bob").state == "running"
    film.let()
    until(jobs, "a", lambda s: s.history == (1,), "bob")
    jobs.cancel("a", "bob")
    stopped = jobs.status("a", "bob")
    assert (stopped.state, stopped.history) == ("cancelled", (1,))
    film.let(2)  # the thread wakes once more, finds itself unwanted and goes
    again = Film(1)
    jobs.start("a", again, visitor="bob")
    again.let()
    assert until(jobs, "a", lambda s: s.state == "done", "bob").history == (1,)
    assert film.opened == again.opened == 1


def test_cancelling_in_line_never_opens_the_iterator():
    jobs, first, second = Jobs(slots=1), Film(1), Film(1)
    jobs.start("a", first)
    jobs.start("b", second)
    jobs.cancel("b")
    first.let()
    until(jobs, "a", lambda s: s.state == "done")
    assert jobs.status("b").state == "cancelled"
    assert second.opened == 0


def test_who_left_stops_costing_and_who_looks_keeps_it_alive():
    clock = Clock()
    jobs, film, other = Jobs(slots=1, patience=15, clock=clock), Film(9), Film(1)
    jobs.start("a", film, visitor="ann")
    jobs.start("b", other, visitor="bob")
    for _ in range(5):
        clock.now += 10
        assert jobs.status("a", "ann").state == "running"
        assert jobs.status("b", "bob").state == "waiting"
    for _ in range(2):  # ann has closed the page; a stranger's look is no wish
        clock.now += 10
        assert jobs.status("a", "stranger").joined is False
        jobs.status("b", "bob")
    assert jobs.status("a", "stranger").state == "left"
    film.let()  # ann's thread comes to its next record and makes room
    until(jobs, "b", lambda s: s.state == "running", "bob")
    other.let()
    until(jobs, "b", lambda s: s.state == "done", "bob")


def test_time_is_limited():
    clock = Clock()
    jobs, film = Jobs(seconds=60, patience=1000, clock=clock), Film(9)
    jobs.start("a", film)
    clock.now = 61
    film.let()
    status = jobs.status("a")
    assert (status.state, status.seconds) == ("overtime", 61)


def test_a_failing_job_says_so_and_frees_its_place():
    def bad():
        yield 1
        raise ValueError("no")

    jobs = Jobs(slots=1)
    jobs.start("a", bad)
    assert until(jobs, "a", lambda s: not s.live).state == "failed"
    jobs.start("b", lambda: (n for n in (1, 2)))
    assert until(jobs, "b", lambda s: not s.live).state == "done"


def test_the_line_and_the_memory_are_bounded():
    jobs, film = Jobs(slots=1, most_waiting=2, most_kept=2), Film(1)
    jobs.start("a", film)
    assert [jobs.start(n, Film(1)) for n in range(3)] == [True, True, False]
    assert jobs.status(2).state == "absent"
    for n in range(2):
        jobs.cancel(n)
    film.let()
    until(jobs, "a", lambda s: s.state == "done")
    assert [jobs.status(key).state for key in ("a", 0, 1)] == ["done", "absent", "cancelled"]


def test_closing_ends_what_runs_and_waits_and_starts_nothing_more():
    jobs, film, next_film = Jobs(slots=1), Film(100), Film(100)
    jobs.start("runs", film)
    jobs.start("waits", next_film)
    film.let()
    until(jobs, "runs", lambda s: s.history)
    film.let()  # the record it is on; the next look at the state ends it
    jobs.close(wait=20)
    assert not [thread for thread in threading.enumerate() if thread in jobs._threads]
    assert (jobs.status("runs").state, jobs.status("waits").state) == ("cancelled", "cancelled")
    jobs.start("more", next_film)
    assert jobs.status("more").state == "waiting"
    assert next_film.opened == 0


def test_who_waits_in_line_looks_less_often_and_soon_enough_to_stay():
    running, many = JobStatus("running", watchers=1), JobStatus("running", watchers=40)
    next_in_line, last = JobStatus("waiting", place=1), JobStatus("waiting", place=40)
    assert running.pace(0.7) == 0.7 < next_in_line.pace(0.7) < last.pace(0.7)
    assert many.pace(0.7) > running.pace(0.7)
    assert max(many.pace(0.7), last.pace(0.7), JobStatus("running", watchers=10_000).pace(0.7)) < Jobs().patience
