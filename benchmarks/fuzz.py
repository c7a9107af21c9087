"""Visitors who do anything at all: ``python -m benchmarks.fuzz --moves 2000 --seed 0``.

Real websocket sessions on the app as served walk over all pages: every kind of control to its ends and between, hostile
texts and addresses, experiments, clicks on figures, boxes, downloads, trainings started and stopped, jumps, sessions
dropped in the middle of a run. Each move must end without an exception; the server's memory is read on the way.
All chance comes from one ``random.Random``, so that a seed is a walk, and Hypothesis can drive one in the tests.
"""

import argparse
import asyncio
import base64
import json
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import numpy as np
from streamlit.proto.Alert_pb2 import Alert
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetState

from app import syllabus
from benchmarks.servers import serving, wait_until_it_answers
from benchmarks.visitor import ScriptError, Visitor

SLUGS = ["", *(station.slug for station in syllabus.built())]
TEXTS = (
    "", "   ", "a", "\n\t\r", "The cat sat.", "the the the the", "x" * 70_000, "word " * 2_000, "👩‍👩‍👧‍👦🇩🇪🏳️‍🌈", "القطة جلست على السجادة",
    "猫坐在垫子上。", "e\u0301\u0301\u0302 Z͑ͫ̓a̴l̨g͜o", "a\x00b\x07\x1b[31m\u202e\u2066\ufeff\u200b", "\ud7ff\ue000\ufffd\U0010ffff",
    "<script>alert(1)</script><img src=x onerror=alert(1)>", "<b>%{z} %{customdata[0]}</b>", "$\\frac{1}{0}$ $$\\href{javascript:x}{y}$$",
    "[x](javascript:alert(1)) ![y](http://a.b/c) `tick` **b** :red[x] :smile:", "{0} {x!r} %s %n ../../etc/passwd", "nan", "-1", "1e999",
)  # fmt: skip
VALUES = (*TEXTS[:6], "-99999999", "nan", "inf", "1e999", "true", "<b>", "0.5", "[]", "%ED%A0%80", "%00", "%FF%FE")
BUTTONS, BOXES, SWITCHES = ("button",), ("text_input", "text_area"), ("checkbox",)
KINDS = ("slider", "selectbox", "multiselect", "radio", "button_group", *BUTTONS, *BOXES, *SWITCHES)


@dataclass
class Walk:
    """What came of a walk so far."""

    done: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    memory: dict[int, float] = field(default_factory=dict)  # moves -> MB


class Wanderer(Visitor):
    """A visitor who can touch everything that is drawn, as the browser would report it."""

    def __init__(self, address: str, page: str = "", query: dict[str, str] | None = None, raw: str = "") -> None:
        super().__init__(address, page, query)
        self.http, self.page, self._raw = address, page, raw
        self.boxes: dict[str, bool] = {}  # id -> open
        self._fresh_boxes: dict[str, bool] = {}

    def block(self, place: tuple[int, ...], delta: Delta) -> None:
        box = getattr(delta.add_block, delta.add_block.WhichOneof("type") or "vertical")
        if name := getattr(box, "id", ""):
            self._fresh_boxes[name] = bool(getattr(box, "expanded", False) or getattr(box, "open", False))

    def _forget(self) -> None:
        """Two runs that were asked for at once may both refer to what was kept before the first."""
        self._keep_for += 3
        super()._forget()
        self._keep_for -= 3

    def query(self) -> str:
        return "&".join(filter(None, (super().query(), self._raw)))

    async def settle(self, fragment: str = "") -> None:
        """One run, and what it set on the widgets is theirs from now on."""
        self._fresh_boxes = {}
        await self._run(fragment)
        self.boxes = (self.boxes if fragment else {}) | self._fresh_boxes
        drawn = {widget.id: widget for kind in KINDS for widget in self.all(kind)}
        figures = {chart.id for chart in self.all("plotly_chart")}
        self._widgets = {
            key: state for key, state in self._widgets.items() if key in drawn or key in self.boxes or key in figures
        }
        for widget in drawn.values():
            if getattr(widget, "set_value", False):
                self._widgets[widget.id] = _as_set(widget)
        for alert in self.all("alert"):
            if alert.format == Alert.ERROR:
                raise ScriptError(f"{self.page}: says {alert.body}")

    async def change(self, state: WidgetState) -> None:
        self._widgets[state.id] = state
        trigger = state.HasField("trigger_value")
        try:
            await self.settle(self._fragment_of(state.id))
        finally:
            if trigger:
                self._widgets.pop(state.id, None)

    async def go(self, page: str) -> None:
        """By the menu: the same session on another page. The browser forgets the old page's widgets and address."""
        self.page = self._page = page
        self._page_hash, self._query, self._raw, self._widgets = "", {}, "", {}
        await self.settle()

    async def download(self, button: Any) -> int:
        """Bytes of the file behind a button, asking for it to be made where that is left until now."""
        url = button.url
        if button.deferred_file_id:
            ask = BackMsg()
            ask.backend_operation_request.request_id, ask.backend_operation_request.session_id = "fuzz", self._session
            ask.backend_operation_request.deferred_file.file_id = button.deferred_file_id
            await self._socket.send(ask.SerializeToString())
            while True:
                message = ForwardMsg.FromString(await asyncio.wait_for(self._socket.recv(), 60))
                if message.WhichOneof("type") == "backend_operation_response":
                    break
            answer = message.backend_operation_response
            if answer.error_msg:
                raise ScriptError(f"{self.page}: no file: {answer.error_msg}")
            url = answer.deferred_file.url
        return len(await asyncio.to_thread(lambda: urllib.request.urlopen(self.http + url, timeout=60).read()))


def _as_set(widget: Any) -> WidgetState:
    """The state that the browser takes over from the server."""
    state, kind = WidgetState(id=widget.id), type(widget).__name__
    if kind == "Slider" and widget.type == Slider.SELECT_SLIDER:
        state.string_array_value.data.extend(widget.raw_value)
    elif kind == "Slider":
        state.double_array_value.data.extend(widget.value)
    elif kind in ("MultiSelect", "ButtonGroup"):
        state.string_array_value.data.extend(widget.raw_values)
    elif kind == "Checkbox":
        state.bool_value = widget.value
    else:
        state.string_value = widget.raw_value if kind in ("Selectbox", "Radio") else widget.value
    return state


def any_text(rng: Random) -> str:
    """A hostile text from the list, or one of random characters. Protobuf carries no lone surrogate; addresses do."""
    if rng.random() < 0.6:
        return rng.choice(TEXTS)
    points = (
        rng.choice((rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x110000)))
        for _ in range(rng.randrange(1, 40))
    )
    return "".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)  # fmt: skip


def any_address(rng: Random, keys: list[str]) -> str:
    """A query string with some known names, some unknown, and values of every kind; some of it is no UTF-8."""
    names = [rng.choice([*keys, "sentence", "nobody_knows", "embed"]) for _ in range(rng.randrange(0, 5))]
    return "&".join(f"{quote(name)}={_escaped(rng.choice(VALUES))}" for name in names)


def _escaped(value: str) -> str:
    return value if value.startswith("%") else quote(value[:2000])


def any_value(widget: Any, rng: Random) -> WidgetState:
    """One of all the states that this control can be put into."""
    state, kind = WidgetState(id=widget.id), type(widget).__name__
    if kind == "Button":
        state.trigger_value = True
    elif kind == "Checkbox":
        state.bool_value = rng.random() < 0.5
    elif kind in ("TextInput", "TextArea"):
        state.string_value = any_text(rng)
    elif kind == "Slider" and widget.type == Slider.SELECT_SLIDER:
        state.string_array_value.data.append(_end_or_any(list(widget.options), rng))
    elif kind == "Slider":
        count = round((widget.max - widget.min) / widget.step)
        state.double_array_value.data.append(widget.min + widget.step * _end_or_any(list(range(count + 1)), rng))
    elif kind in ("Selectbox", "Radio"):
        state.string_value = _end_or_any(list(widget.options), rng)
    elif kind == "MultiSelect":
        options = list(widget.options)
        state.string_array_value.data.extend(rng.sample(options, rng.randrange(0, min(6, len(options)) + 1)))
    else:
        state.string_array_value.data.append(rng.choice(list(widget.options)).content)
    return state


def _end_or_any(options: list[Any], rng: Random) -> Any:
    return rng.choice((options[0], options[-1], rng.choice(options)))


def any_click(chart: Any, rng: Random) -> WidgetState | None:
    """A point of one of a figure's traces, as the browser reports a click."""
    figure = json.loads(chart.spec)
    traces = [(at, trace) for at, trace in enumerate(figure["data"]) if len(_values(trace.get("x")))]
    if not traces:
        return None
    curve, trace = rng.choice([pair for pair in traces if pair[1].get("type") == "scatter"] or traces)
    xs, ys, custom = _values(trace["x"]), _values(trace.get("y")), _values(trace.get("customdata"))
    there = [at for at, x in enumerate(xs) if x is not None and x == x]  # a gap in a line cannot be clicked
    if not there:
        return None
    at = rng.choice(there)
    point = {"curve_number": curve, "point_number": at, "point_index": at, "x": xs[at]}
    point |= {"y": ys[at]} if len(ys) > at else {}
    point |= {"customdata": custom[at]} if len(custom) > at else {}
    points = [point] if rng.random() < 0.9 else []
    chosen = {"points": points, "point_indices": [p["point_index"] for p in points], "box": [], "lasso": []}
    return WidgetState(id=chart.id, string_value=json.dumps({"selection": chosen}))


def _values(data: Any) -> list[Any]:
    if isinstance(data, dict):
        flat = np.frombuffer(base64.b64decode(data["bdata"]), dtype=np.dtype(data["dtype"]))
        shape = [int(n) for n in str(data.get("shape", len(flat))).split(",")]
        return flat.reshape(shape).tolist()
    return list(data) if data is not None else []


async def move(visitor: Wanderer, rng: Random) -> str:
    """One move; returns its kind."""
    what = rng.choices(("control", "page", "box", "click", "download", "tick", "hurry"), (60, 14, 8, 6, 3, 6, 3))[0]
    if what == "page":
        await visitor.go(rng.choice(SLUGS))
        return what
    if what == "box" and visitor.boxes:
        name = rng.choice(sorted(visitor.boxes))
        await visitor.change(WidgetState(id=name, bool_value=not visitor.boxes[name]))
        return what
    charts = [chart for chart in visitor.all("plotly_chart") if chart.id]
    if what == "click" and charts and (state := any_click(rng.choice(charts), rng)):
        await visitor.change(state)
        return what
    if what == "download" and (buttons := visitor.all("download_button")):
        await visitor.download(rng.choice(buttons))
        return what
    if what == "tick":  # what the browser sends for a fragment that runs again by itself
        fragments = sorted({fragment for _, fragment in visitor.elements.values() if fragment})
        await visitor.settle(rng.choice(fragments) if fragments else "")
        return what
    return await _control(visitor, rng, what == "hurry")


async def _control(visitor: Wanderer, rng: Random, hurry: bool) -> str:
    offered = {kind: [w for w in visitor.all(kind) if not w.disabled] for kind in KINDS}
    kinds = [kind for kind, widgets in offered.items() if widgets]
    if not kinds:
        await visitor.settle()
        return "again"
    widget = rng.choice(offered[rng.choice(kinds)])
    if hurry:  # two moves at once: the second ends the first in its middle
        visitor._widgets[widget.id] = any_value(widget, rng)
        await visitor.send("")
        visitor._widgets.pop(widget.id)
    await visitor.change(any_value(widget, rng))
    return "hurry" if hurry else type(widget).__name__


async def wander(address: str, moves: int, rng: Random, walk: Walk) -> Walk:
    """A sequence of sessions until ``moves`` more are done. Adds to ``walk``."""
    end = walk.done + moves
    while walk.done < end:
        page, keys = rng.choice(SLUGS), _keys.get(rng.choice(SLUGS), [])
        told = [f"open {page}"]
        try:
            async with Wanderer(address, page, raw=any_address(rng, keys) if rng.random() < 0.7 else "") as visitor:
                await visitor.settle()
                told[0] += f"?{visitor.query()}"
                _count(walk, "open", page)
                for _ in range(rng.randrange(5, 60)):
                    if walk.done >= end:
                        break
                    kind = await move(visitor, rng)
                    told.append(f"{kind} on {visitor.page}")
                    _keys[visitor.page] = [w.query_param_key for k in KINDS if k != "button" for w in visitor.all(k)]
                    _count(walk, kind, visitor.page)
        except Exception as problem:
            walk.faults.append(f"{type(problem).__name__}: {problem} after {told[:1] + told[-3:]}")
            print(f"{walk.done}: {walk.faults[-1]}", flush=True)
            _count(walk, "fault", page)
    return walk


_keys: dict[str, list[str]] = {}  # page -> the names its controls have in an address


def _count(walk: Walk, kind: str, page: str) -> None:
    walk.done += 1
    walk.kinds[kind] += 1
    walk.pages[page] += 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Visitors who do anything at all, on the app as served.")
    parser.add_argument("--moves", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--home", help="a cache folder with fetched models; by default there are none")
    parser.add_argument("--rest", type=float, default=130, help="seconds until Streamlit has forgotten who left")
    parser.add_argument("--every", type=int, default=500, help="moves between two looks at the memory")
    options = parser.parse_args()
    rng, walk = Random(options.seed), Walk()
    with (
        TemporaryDirectory() as empty,
        serving("app", environment={"ATTENTION_LAB_HOME": options.home or empty}) as server,
    ):
        wait_until_it_answers(server)
        walk.memory[0] = server.memory()
        while walk.done < options.moves and server.process.poll() is None:
            asyncio.run(wander(server.address, min(options.every, options.moves - walk.done), rng, walk))
            if server.process.poll() is not None:
                walk.faults.append(f"the server has ended with {server.process.returncode}")
                break
            walk.memory[walk.done] = server.memory()
            print(f"{walk.done} moves, {len(walk.faults)} faults, {walk.memory[walk.done]:.0f} MB", flush=True)
        if server.process.poll() is None:
            time.sleep(options.rest)
            asyncio.run(wander(server.address, 20, rng, walk))
            walk.memory[walk.done] = server.memory()
        traces = server.log().count("Traceback")
        log = server.log()
    if traces:
        print(log[-8000:])
    print(f"{walk.done} moves over {len(walk.pages)} pages: {dict(walk.kinds.most_common())}")
    print(f"exceptions: {len(walk.faults)} seen by visitors, {traces} in the server's log")
    said = ", ".join(f"{at}: {mb:.0f}" for at, mb in walk.memory.items())
    print(f"memory in MB after as many moves: {said} (the last after {options.rest:.0f} s of rest)")
    return 1 if walk.faults or traces else 0


if __name__ == "__main__":
    sys.exit(main())
