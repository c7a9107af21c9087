"""What a visitor's browser may ask of the server, as an ASGI layer: what the pages need, and nothing else.

Streamlit's protocol knows more than this app uses. Any websocket could ask it to empty the caches of all visitors, to name
the repository that it runs from, or to take uploads into its memory, whatever the menu shows. Here such a wish is dropped.
"""

import logging

from google.protobuf.message import DecodeError
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg

log = logging.getLogger(__name__)

WISHES = frozenset({"rerun_script", "stop_script", "app_heartbeat", "deferred_file", "dataframe_chunk"})
CLOSED = ("/_stcore/upload_file", "/_stcore/agent")


def wish(data: bytes) -> str:
    """What a message of the browser asks for: its kind, and for an operation of the server that one's.

    Empty for bytes that are no message; Streamlit closes the connection on those by itself.
    """
    try:
        message = BackMsg.FromString(data)
    except DecodeError:
        return ""
    kind = message.WhichOneof("type") or "nothing"
    if kind == "backend_operation_request":
        return message.backend_operation_request.WhichOneof("payload") or "nothing"
    return kind


class Gate:
    """The layer itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and any(closed in scope["path"] for closed in CLOSED):
            await PlainTextResponse("Nothing is taken here.", 403)(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, _only_wishes(receive), send)
        else:
            await self._app(scope, receive, send)


def _only_wishes(receive: Receive) -> Receive:
    async def next_message() -> Message:
        while True:
            message = await receive()
            data = message.get("bytes") if message["type"] == "websocket.receive" else None
            if data is None or (asked := wish(data)) in WISHES or not asked:
                return message
            log.warning("a visitor asked for %s, which is not offered here", asked)

    return next_message
