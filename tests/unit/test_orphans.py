"""A page that has outlived its session draws itself anew; in all other sessions Streamlit decides as ever."""

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

from app import orphans


class Session:
    """What matters of Streamlit's session here: the fragments it knows."""

    def __init__(self):
        self.known = set()

    def has_fragment(self, name):
        return name in self.known


@pytest.fixture
def ask(monkeypatch):
    """ask(session, fragment) -> what Streamlit is asked for: a fragment's name, or "" for the whole page."""
    heard = []
    monkeypatch.setattr(orphans, "_rerun", lambda session, asked: heard.append(asked))

    def ask(session, fragment, **more):
        orphans._answer(session, ClientState(fragment_id=fragment, query_string="a=1", **more))
        assert heard[-1].query_string == "a=1"
        return heard[-1].fragment_id

    return ask


def test_the_first_question_of_an_orphan_is_for_the_whole_page(ask):
    session = Session()
    assert ask(session, "lab") == ""
    assert ask(session, "lab") == "", "the slider is still being dragged, and that fragment has not been drawn yet"
    session.known.add("lab")
    assert ask(session, "lab") == "lab", "from then on it is a session like others"


def test_a_page_that_asks_by_itself_is_an_orphan_too(ask, monkeypatch):
    monkeypatch.setattr(orphans, "_rerun", lambda _, asked: seen.append((asked.fragment_id, asked.is_auto_rerun)))
    seen = []
    orphans._answer(Session(), ClientState(fragment_id="queue", is_auto_rerun=True))
    assert seen == [("", False)]


def test_a_session_that_began_with_a_page_leaves_unknown_fragments_to_streamlit(ask):
    session = Session()
    assert ask(session, "") == ""
    assert ask(session, "of the page before") == "of the page before"
    orphans._answer(session, None)  # a rerun that the server itself wants


def test_it_stands_before_streamlits_own(monkeypatch):
    monkeypatch.setattr(AppSession, "request_rerun", orphans._rerun)
    orphans.adopt()
    assert AppSession.request_rerun is orphans._answer
    assert hasattr(AppSession, "has_fragment")
