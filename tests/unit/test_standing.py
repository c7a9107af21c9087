"""What stands in the browser is named again in quiet; whatever would look another way is noticed."""

import pytest

from app import standing
from app.standing import Changed, Standing


class Session:
    """st.session_state, for a test."""

    def __init__(self):
        self.session_state = {}


@pytest.fixture
def session(monkeypatch):
    fake = Session()
    monkeypatch.setattr(standing, "st", fake)
    return fake.session_state


def page(here, session, look="Layer", also=()):
    """A slider with three positions, and whatever else."""
    if here.meet("slider", look):
        session.setdefault("layer", 1)
        here.keep("layer")
        value = session["layer"]
    else:
        value = here.value("layer")
    for words in also:
        here.meet("words", words)
    here.end()
    return value


@pytest.fixture
def drawn(session):
    """A page as it was drawn, and the settlements since."""
    settled = []
    here = Standing(lambda: settled.append(1))
    here.begin(quiet=False)
    page(here, session)
    here.settled = settled
    return here


def test_what_stands_as_it_was_gives_its_value(drawn, session):
    drawn.begin(quiet=True)
    assert page(drawn, session) == 1


def test_what_the_browser_moved_is_no_change(drawn, session):
    for value in (2, 0, 2):
        session["layer"] = value
        drawn.moved("layer")
        drawn.begin(quiet=True)
        assert page(drawn, session) == value
    assert len(drawn.settled) == 3
    drawn.begin(quiet=True)
    assert page(drawn, session) == 2, "and it stands there from now on"


def test_what_somebody_else_set_must_be_drawn(drawn, session):
    session["layer"] = 2  # a click in a figure, an experiment
    drawn.begin(quiet=True)
    with pytest.raises(Changed):
        page(drawn, session)


@pytest.mark.parametrize("change", [{"look": "Head"}, {"also": ["a word"]}])
def test_another_look_and_one_thing_more_must_be_drawn(drawn, session, change):
    drawn.begin(quiet=True)
    with pytest.raises(Changed):
        page(drawn, session, **change)


def test_one_thing_less_must_be_drawn(session):
    here = Standing(lambda: None)
    here.begin(quiet=False)
    page(here, session, also=["a word"])
    here.begin(quiet=True)
    with pytest.raises(Changed):
        page(here, session)


def test_after_a_change_it_is_drawn_and_stands(drawn, session):
    drawn.begin(quiet=True)
    with pytest.raises(Changed):
        page(drawn, session, look="Head")
    session["layer"] = 0
    drawn.begin(quiet=False)
    assert page(drawn, session, look="Head") == 0
    drawn.begin(quiet=True)
    assert page(drawn, session, look="Head") == 0


def test_a_button_does_what_the_latest_run_means(drawn):
    done = []
    drawn.begin(quiet=False)
    pressed = drawn.press("draw", lambda: done.append("old"))
    drawn.begin(quiet=True)
    drawn.press("draw", lambda: done.append("new"))
    pressed()
    assert done == ["new"]
    assert drawn.settled == [1]
