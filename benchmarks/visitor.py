"""A visitor without a browser: a real websocket session that speaks Streamlit's own protocol.

It does what the browser does: opens a page by its address, keeps large messages by their hash so that the server may
send a reference instead, remembers its widgets, and sends all of them with every move.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Selectbox_pb2 import Selectbox
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

FIGURES = ("plotly_chart", "vega_lite_chart", "imgs", "html")
Control = Slider | Selectbox
LIMIT = 60.0  # seconds for one answer


@dataclass(frozen=True)
class Answer:
    """What one run of the script cost the visitor."""

    seconds: float  # from the request to the end of the script
    size: int  # bytes received, uncompressed, as the server sends them


class ScriptError(Exception):
    """The page showed an exception, or did not run to its end."""


class Visitor:
    """``async with Visitor(address, "attention") as visitor: await visitor.open(); await visitor.move(control(visitor), 3)``"""

    def __init__(
        self, address: str, page: str = "", query: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self._address = address.replace("http://", "ws://") + "/_stcore/stream"
        self._page = page
        self._query = dict(query or {})
        self._headers = dict(headers or {})  # as a browser sends them: Origin, Cookie
        self._widgets: dict[str, WidgetState] = {}
        self._kept: dict[str, tuple[int, ForwardMsg]] = {}  # hash -> (the run that used it last, message)
        self._keep_for = 2
        self._runs = 0
        self._page_hash = self._session = ""
        self._polls: dict[str, float] = {}  # parts that want to be run again, and after how many seconds
        self.elements: dict[tuple[int, ...], tuple[Element, str]] = {}  # place -> (element, its fragment)

    async def __aenter__(self) -> Self:
        self._socket = await connect(
            self._address,
            additional_headers=self._headers,
            subprotocols=[Subprotocol("streamlit")],
            compression=None,
            max_size=None,
            proxy=None,
            open_timeout=LIMIT,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()

    def given(self, header: str) -> list[str]:
        """What the server answered the websocket's handshake with under this name."""
        return self._socket.response.headers.get_all(header) if self._socket.response else []

    async def open(self) -> Answer:
        """The page's first run."""
        return await self._run()

    async def move(self, control: Control, value: Any) -> Answer:
        """One position of a slider, one option of a list on a slider, or one option of a box."""
        state = WidgetState(id=control.id)
        if isinstance(control, Selectbox):
            state.string_value = value
        elif control.type == Slider.SELECT_SLIDER:
            state.string_array_value.data.append(value)
        else:
            state.double_array_value.data.append(value)
            if control.data_type == Slider.INT:
                value = int(value)
        if control.query_param_key:
            self._query[control.query_param_key] = str(value)
        return await self._change(state)

    async def type(self, box: Any, text: str) -> Answer:
        """A text into a text box."""
        if box.query_param_key:
            self._query[box.query_param_key] = text
        return await self._change(WidgetState(id=box.id, string_value=text))

    async def press(self, button: Any) -> Answer:
        """A button."""
        self._widgets[button.id] = WidgetState(id=button.id, trigger_value=True)
        try:
            return await self._run(self._fragment_of(button.id))
        finally:
            self._widgets.pop(button.id)

    async def poll(self) -> bool:
        """Wait as long as the page asks for and rerun the part that it wants to see again, as the browser does. False
        where it asks for nothing."""
        if not self._polls:
            return False
        part, interval = next(iter(self._polls.items()))
        await asyncio.sleep(interval)
        await self._run(part, by_itself=True)
        return True

    async def _change(self, state: WidgetState) -> Answer:
        self._widgets[state.id] = state
        return await self._run(self._fragment_of(state.id))

    def _fragment_of(self, widget: str) -> str:
        for element, fragment in self.elements.values():
            if getattr(getattr(element, element.WhichOneof("type") or "empty"), "id", None) == widget:
                return fragment
        return ""

    async def _run(self, fragment: str = "", by_itself: bool = False) -> Answer:
        """Ask for a run of the script and read until it has ended."""
        started = time.perf_counter()
        await self.send(fragment, by_itself)
        async with asyncio.timeout(LIMIT):
            size = await self._read()
        seconds = time.perf_counter() - started
        if faults := self.all("exception"):
            raise ScriptError(f"{self._page}: {faults[0].type} {faults[0].message}")
        return Answer(seconds, size)

    def query(self) -> str:
        """What stands behind the ``?`` of this visitor's address."""
        return urlencode(self._query)

    async def send(self, fragment: str = "", by_itself: bool = False) -> None:
        """Ask for a run without waiting for it."""
        ask = BackMsg()
        ask.rerun_script.query_string = self.query()
        ask.rerun_script.page_name = "" if self._page_hash else self._page
        ask.rerun_script.page_script_hash = self._page_hash
        ask.rerun_script.fragment_id = fragment
        ask.rerun_script.is_auto_rerun = by_itself
        ask.rerun_script.widget_states.widgets.extend(self._widgets.values())
        ask.rerun_script.cached_message_hashes.extend(self._kept)
        ask.rerun_script.context_info.timezone = "UTC"
        ask.rerun_script.context_info.color_scheme = "light"
        await self._socket.send(ask.SerializeToString())

    async def _read(self) -> int:
        size, fresh = 0, {}
        polls: dict[str, float] = {}
        while True:
            raw = await self._socket.recv()
            size += len(raw)
            message = ForwardMsg.FromString(raw)
            kind = message.WhichOneof("type")
            if kind == "ref_hash":
                place = message.metadata
                message = self._kept[message.ref_hash][1]
                fresh[tuple(place.delta_path)] = self._keep(message)
            elif kind == "new_session":
                polls.clear()
                fresh.clear()  # a script that asks for its own rerun begins again
                self._page_hash = message.new_session.page_script_hash
                self._session = message.new_session.initialize.session_id
                self._keep_for = message.new_session.config.max_cached_message_age or self._keep_for
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                fresh[tuple(message.metadata.delta_path)] = self._keep(message)
            elif kind == "delta" and message.delta.WhichOneof("type") == "add_block":
                self.block(tuple(message.metadata.delta_path), message.delta)
            elif kind == "auto_rerun":
                polls[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            elif kind == "navigation":
                self._page_hash = message.navigation.page_script_hash
            elif kind == "page_not_found":
                raise ScriptError(f"no page {self._page!r}")
            elif kind == "session_event" and message.session_event.HasField("script_compilation_exception"):
                raise ScriptError(message.session_event.script_compilation_exception.message)
            elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                drawn = set(message.metadata.run.fragment_ids)  # none: the whole page
                kept = {k: v for k, v in self.elements.items() if v[1] not in drawn} if drawn else {}
                self.elements = kept | fresh  # what a fragment drew before and not again is gone
                self._polls = (self._polls if drawn else {}) | polls
                self._forget()
                return size

    def block(self, place: tuple[int, ...], delta: Delta) -> None:
        """A container was drawn; for those who care about the ones that open and close."""

    def _keep(self, message: ForwardMsg) -> tuple[Element, str]:
        if message.metadata.cacheable:
            self._kept[message.hash] = (self._runs, message)
        return message.delta.new_element, message.delta.fragment_id

    def _forget(self) -> None:
        self._runs += 1
        self._kept = {k: (run, m) for k, (run, m) in self._kept.items() if self._runs - run <= self._keep_for}

    def all(self, kind: str) -> list[Any]:
        """The elements of a kind, in the order of the page."""
        ordered = (self.elements[place][0] for place in sorted(self.elements))
        return [getattr(element, kind) for element in ordered if element.WhichOneof("type") == kind]

    def figures(self) -> list[bytes]:
        """Everything that is drawn, in the order of the page, as the bytes the browser draws it from."""
        return [figure.SerializeToString(deterministic=True) for kind in FIGURES for figure in self.all(kind)]


def control(visitor: Visitor, key: str | None = None) -> Control | None:
    """The slider or box with this key; without a key, the page's first slider that can be moved, if there is one."""
    offered: list[Control] = [*visitor.all("slider"), *(visitor.all("selectbox") if key else [])]
    return next((c for c in offered if not c.disabled and key in (None, key_of(c))), None)


def key_of(control: Any) -> str:
    """The widget's key in the page's code: Streamlit's id is ``$$ID-<hash>-<key>``."""
    return control.id.split("-", 2)[2]


def positions(control: Control) -> list[Any]:
    """Every value that the control can take."""
    if isinstance(control, Selectbox) or control.type == Slider.SELECT_SLIDER:
        return list(control.options)
    count = round((control.max - control.min) / control.step)
    return [control.min + control.step * step for step in range(count + 1)]
