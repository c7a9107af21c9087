"""Visitors who do anything at all: the walk of ``python -m benchmarks.fuzz`` in a shorter form, driven by Hypothesis."""

import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from streamlit.proto.WidgetStates_pb2 import WidgetState

from benchmarks import fuzz
from benchmarks.visitor import Visitor, key_of
from tests.conftest import apart

pytestmark = pytest.mark.xdist_group("browser")
SESSIONS, MOVES = 4, 30


# Nothing is shrunk: a shorter walk would cost hundreds of sessions more. The fault names its page and its last moves.
@settings(
    max_examples=SESSIONS,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(rng=st.randoms(use_true_random=False), seed=st.integers(0, 2**32))
def walks(server, seen, rng, seed):
    # Hypothesis' own chance first, then a seeded one: a whole session is more choices than it records.
    walk = fuzz.Walk()
    apart(fuzz.wander(server.address, MOVES // 3, rng, walk))
    apart(fuzz.wander(server.address, MOVES - walk.done, random.Random(seed), walk))
    assert not walk.faults, (walk.faults, server.log()[-4000:])
    assert walk.done == MOVES
    seen.update(walk.kinds)


def test_no_move_of_any_visitor_raises(server):
    seen = Counter()
    walks(server, seen)
    assert sum(seen.values()) >= SESSIONS * MOVES
    assert len(seen) >= 6, f"the walk is varied: {seen}"
    assert server.process.poll() is None
    log = server.log()
    assert "Traceback" not in log, log[log.index("Traceback") - 300 :][:4000]


def test_a_button_below_works_right_after_a_move_above(address):
    """The lower half of a page is older for a moment; what stands there must still work."""

    async def press():
        async with fuzz.Wanderer(
            address, "rnn-gradients", {"rnn_gradients_seed": "97"}
        ) as visitor:  # nobody else trains it
            await visitor.settle()
            slider = next(s for s in visitor.all("slider") if key_of(s) == "rnn_gradients_singular")
            state = WidgetState(id=slider.id)
            state.double_array_value.data.append(1.2)
            await visitor.change(state)
            for last in ("train", "stop"):
                button = next(b for b in visitor.all("button") if b.id.endswith(f"rnn_gradients_{last}"))
                await visitor.change(WidgetState(id=button.id, trigger_value=True))
            return [b.id for b in visitor.all("button")]

    assert any(button.endswith("rnn_gradients_train") for button in apart(press()))


def test_the_walk_finds_a_page_that_raises(server, monkeypatch):
    """The walk must be able to fail: here every run is answered with what a page that raises sends."""

    async def broken(self):
        self.elements = {}
        raise fuzz.ScriptError("planted")

    monkeypatch.setattr(Visitor, "_read", broken)
    walk = apart(fuzz.wander(server.address, 2, random.Random(0), fuzz.Walk()))
    assert len(walk.faults) == 2
    assert "planted" in walk.faults[0]
