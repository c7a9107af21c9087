"""The security headers of every answer, as an ASGI layer (``docs/security.md`` says why each one stands there).

The content policy is the tightest under which Streamlit's own front end draws every page; a test walks the pages under
it in Chromium. A reverse proxy that sets headers itself takes over what ``headers()`` returns:
``python -m app.headers`` prints it.
"""

import base64
import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

INDEX = Path(streamlit.__file__).parent / "static" / "index.html"
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
ORIGIN = re.compile(r"https?://[A-Za-z0-9*][A-Za-z0-9.*-]*(:\d+)?")


def inline_scripts() -> list[str]:
    """The sources that admit the scripts inside Streamlit's own page, by their hash, and nothing else inline."""
    digests = (hashlib.sha256(script.encode()).digest() for script in INLINE.findall(INDEX.read_text("utf-8")))
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def frames() -> list[str]:
    """Who else may show the app in a frame: ATTENTION_LAB_FRAMES, origins such as https://course.example.edu.

    Raises:
        ValueError: if one is no origin. A wrong one must not pass in silence.
    """
    wanted = os.environ.get("ATTENTION_LAB_FRAMES", "").split()
    if wrong := [origin for origin in wanted if not ORIGIN.fullmatch(origin)]:
        raise ValueError(f"ATTENTION_LAB_FRAMES holds {wrong[0]!r}, which is no origin like https://course.example.edu")
    return wanted


def policy() -> str:
    """The Content-Security-Policy: everything from this server alone, and no script that it did not send."""
    sources = {
        "default-src": ["'none'"],
        "script-src": ["'self'", "blob:", *inline_scripts()],  # Streamlit hands a component's script over as a blob
        "style-src": ["'self'", "'unsafe-inline'"],  # the app's own style sheet and KaTeX stand in the document
        "img-src": ["'self'", "data:", "blob:"],  # Plotly's camera draws through both
        "font-src": ["'self'", "data:"],  # an icon font inside Streamlit's style sheet
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "base-uri": ["'self'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'self'", *frames()],
    }
    return "; ".join(f"{name} {' '.join(allowed)}" for name, allowed in sources.items())


@lru_cache(maxsize=1)
def headers() -> dict[str, str]:
    """Name -> value of every header that is added."""
    return {
        "Content-Security-Policy": policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",  # an address holds the visitor's sentence: no other site is told
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }


class SecurityHeaders:
    """The layer itself. A header that the app below has set already stays as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                held = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    held.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


if __name__ == "__main__":
    print("\n".join(f"{name}: {value}" for name, value in headers().items()))
