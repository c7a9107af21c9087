"""Visitors by websocket, as the benchmarks send them, on the app as served."""

import asyncio

import pytest

from benchmarks.visitor import Visitor, control, positions
from tests.conftest import apart

pytestmark = pytest.mark.xdist_group("browser")
SECRET, MARK = "The river was cold.", "river"


def test_a_visitor_moves_a_slider_and_gets_a_new_figure(address):
    async def visit():
        async with Visitor(address, "attention") as visitor:
            opened = await visitor.open()
            before = visitor.figures()
            layer = control(visitor)
            moved = await visitor.move(layer, positions(layer)[0])
            return opened, before, moved, visitor.figures()

    opened, before, moved, after = apart(visit())
    assert before
    assert len(after) == len(before)
    assert after[0] != before[0]
    assert 0 < moved.size <= opened.size + 5000, "a move sends no more than the page"


def test_visitors_with_different_states_do_not_see_each_other(address):
    async def both():
        async with Visitor(address, "attention") as one, Visitor(address, "attention") as two:
            await asyncio.gather(one.open(), two.open())
            key = "attention_temperature"
            hot, cold = control(one, key), control(two, key)
            for _ in range(3):  # at the same time, again and again: threads of one process
                await asyncio.gather(one.move(hot, 5.0), two.move(cold, 0.1))
            pictures = one.figures(), two.figures()
            await two.type(two.all("text_input")[0], SECRET)
            await one.move(hot, 4.9)
            await one.move(hot, 5.0)
            again = one.figures()
            leaked = [e for e, _ in one.elements.values() if MARK in str(e)]
            arrived = [e for e, _ in two.elements.values() if MARK in str(e)]
            await two.type(two.all("text_input")[0], "The cat sat on the mat because it was tired.")
            await two.move(cold, 5.0)
            return pictures, again, leaked, arrived, two.figures()

    (hot, cold), again, leaked, arrived, joined = apart(both())
    assert hot[0] != cold[0]
    assert again == hot, "what the other did in between changed nothing here"
    assert arrived
    assert not leaked
    assert joined == hot, "the same state is the same picture, whatever way led there"
