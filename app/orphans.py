"""A page that has outlived its session goes on.

A browser comes back by itself after a restart, a night in a closed laptop, or a move to another replica, and is given a
new session. It asks for nothing then. What it asks for with the visitor's next move is the fragment with that control, as
the old session named it; Streamlit drops a question for a fragment that it does not know, and the page would be dead with
no word said. Here a session that begins with such a question draws the whole page, from the address and the values that
the browser sends with every question.
"""

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

_rerun = AppSession.request_rerun


def adopt() -> None:
    """Once a process, before the first visitor."""
    AppSession.request_rerun = _answer  # type: ignore[assignment,method-assign]


def _answer(session: AppSession, asked: ClientState | None) -> None:
    """On the event loop."""
    unknown = bool(asked and asked.fragment_id and not session.has_fragment(asked.fragment_id))
    # Its first question says what a session is. Later ones count too: a slider that is being dragged asks again before
    # the first run has come to its fragment.
    orphan = session.__dict__.setdefault("_attention_lab_orphan", unknown)
    if asked and unknown and orphan:
        asked.fragment_id, asked.is_auto_rerun = "", False
    _rerun(session, asked)
