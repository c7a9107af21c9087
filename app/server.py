"""The process around the pages: warm before its port answers, and guarded by layers of its own.

``streamlit run app/main.py`` finds the application that ``app/main.py`` makes of this. Before the port opens, one
visitor without a browser walks over all pages, so that models, imports and figures are ready for the first real one.
"""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import Runtime, app_session
from streamlit.runtime.session_manager import SessionClient

from app.gate import Gate
from app.headers import SecurityHeaders

log = logging.getLogger(__name__)
SWITCH = 0.02  # seconds a thread may keep the interpreter from the others; with Python's 5 ms a class hands it round so
# often that everybody is a fifth later
PATIENCE = 60.0  # seconds for one page on the first walk; a page that takes longer is left to its first visitor


class _Walker(SessionClient):
    """A visitor without a browser: waits for the end of each run and looks at nothing."""

    def __init__(self) -> None:
        self.page = ""  # the page's hash, as Streamlit names it
        self.finished = asyncio.Event()

    def write_forward_msg(self, msg: ForwardMsg) -> None:
        if msg.WhichOneof("type") == "new_session":
            self.page = msg.new_session.page_script_hash
        elif msg.WhichOneof("type") == "script_finished":
            self.finished.set()


async def _walk(pages: list[str]) -> None:
    """Every page once, in one session."""
    runtime, walker = Runtime.instance(), _Walker()
    session = runtime.connect_session(client=walker, user_info={})
    try:
        for page in pages:
            walker.finished.clear()
            ask = BackMsg()
            ask.rerun_script.page_name = page
            runtime.handle_backmsg(session, ask, client=walker)
            with suppress(TimeoutError):
                await asyncio.wait_for(walker.finished.wait(), PATIENCE)
    finally:
        runtime.close_session(session)


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[dict[str, Any]]:
    """From the start of the process to its end: everything is warm when this hands over to the server."""
    from app import compute, delivery, orphans, syllabus

    began = time.perf_counter()
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)  # an address holds the visitor's sentence
    await asyncio.to_thread(compute.warm)
    await _walk(["", *(station.slug for station in syllabus.built())])
    await asyncio.to_thread(compute.freeze)
    sys.setswitchinterval(SWITCH)
    remember_theme()
    delivery.in_batches()
    orphans.adopt()
    log.info("ready after %.1f s", time.perf_counter() - began)
    yield {}


def remember_theme() -> None:
    """Streamlit reads its whole configuration for the six sections of the theme at every run of a page, a millisecond
    and more each time, and a running server's never changes. From here on each section is read once."""
    populate = app_session._populate_theme_msg

    @lru_cache(maxsize=16)
    def read(section: str) -> CustomThemeConfig:
        message = CustomThemeConfig()
        populate(message, section)
        return message

    def remembered(message: CustomThemeConfig, section: str = "theme") -> None:
        if (held := read(section)).ByteSize():  # merging nothing would still say that the section is there
            message.MergeFrom(held)

    app_session._populate_theme_msg = remembered  # type: ignore[assignment]


async def ready(_request: Request) -> Response:
    """For a host's probe. It answers only once ``lifespan`` is over: a port that answers is ready."""
    return JSONResponse({"ready": True})


ROUTES = [Route("/ready", ready)]
MIDDLEWARE = [Middleware(SecurityHeaders), Middleware(Gate)]
