"""Few runs at a time, and nobody waits for ever."""

import threading
import time

import pytest

from app import turns


def everyone(n, work):
    threads = [threading.Thread(target=work) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def at_once(n, seconds):
    """How many had their turn at the same time, as each of n found it; a turn lasts so many seconds."""
    now, found, lock = [], [], threading.Lock()

    def work():
        with turns.turn():
            with lock:
                now.append(1)
                found.append(len(now))
            time.sleep(seconds)
            with lock:
                now.pop()

    everyone(n, work)
    return found


def test_only_so_many_have_their_turn_and_all_get_one():
    found = at_once(12, 0.002)
    assert len(found) == 12
    assert max(found) <= turns.AT_ONCE


def test_a_turn_within_a_turn_takes_no_other():
    def work():
        with turns.turn(), turns.turn(), turns.turn():
            pass
        with turns.turn():
            pass

    everyone(turns.AT_ONCE * 3, work)
    assert turns._free._value == turns.AT_ONCE


def test_who_has_waited_long_goes_ahead(monkeypatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.01)
    slow = threading.Event()
    holders = [threading.Thread(target=lambda: hold(slow)) for _ in range(turns.AT_ONCE)]
    for thread in holders:
        thread.start()
    while turns._free._value:
        time.sleep(0.001)
    with turns.turn():
        assert not slow.is_set(), "the others are still at it"
    slow.set()
    for thread in holders:
        thread.join(20)
    assert turns._free._value == turns.AT_ONCE, "who went ahead gives back nothing that it did not have"


def test_a_long_line_is_no_reason_to_go_ahead(monkeypatch):
    """A hundred arrive, and each waits its turn as long as turns end."""
    monkeypatch.setattr(turns, "PATIENCE", 0.1)
    assert max(at_once(40, 0.02)) <= turns.AT_ONCE, "the last waits four times as long as the patience"


def hold(event):
    with turns.turn():
        event.wait(20)


def test_a_turn_ends_with_an_exception_too():
    with pytest.raises(ZeroDivisionError), turns.turn():
        1 / 0  # noqa: B018
    assert turns._free._value == turns.AT_ONCE
    assert 0 <= turns.quiet_for() < 20


def test_the_background_makes_way_for_a_moment():
    slow = threading.Event()
    holder = threading.Thread(target=lambda: hold(slow))
    holder.start()
    while not turns._here:
        time.sleep(0.001)
    began = time.monotonic()
    turns.make_way()
    assert time.monotonic() - began >= turns.COURTESY, "somebody has a turn"
    with turns.turn():
        began = time.monotonic()
        turns.make_way()
        assert time.monotonic() - began < turns.COURTESY, "who has a turn does not wait for itself"
    slow.set()
    holder.join(20)
    assert not turns._here
