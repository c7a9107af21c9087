"""The scenarios: a page alone on a quiet server, the first visitor after a start, a class."""

import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from websockets.exceptions import WebSocketException

from benchmarks.servers import Server, wait_until_it_answers
from benchmarks.visitor import Answer, Control, ScriptError, Visitor, control, key_of, positions

MOST_VISITORS = 200
TRAINING = (
    "rnn-gradients",
    "rnn_gradients_train",
    "rnn_gradients_seed",
)  # the page, its button, and what makes two differ
MAIN_CONTROL = {  # where the page's first slider is not its main control
    "positional-encoding": "positional_encoding_t",
    "head-explorer": "head_explorer_head",
}


@dataclass(frozen=True)
class PageCost:
    """One page, one visitor. Seconds and bytes; NaN where nothing could be measured."""

    first: float  # a new visitor's first run on a warm server, median
    p50: float = math.nan
    p95: float = math.nan
    cpu: float = math.nan  # processor seconds of the server, per move
    size: float = math.nan  # bytes per move, median
    elements: int = 0  # messages that build the page
    key: str = ""  # the control that was moved


@dataclass(frozen=True)
class ClassCost:
    """Many visitors on one page at once."""

    visitors: int
    arrived: float  # seconds until the last of them had the page
    first_p95: float
    p50: float
    p95: float
    moves: int
    errors: int
    memory_before: float  # MB
    memory_with: float
    memory_after: float


@dataclass(frozen=True)
class FairCost:
    """What those who move a slider notice of those who train."""

    moving: int
    training: int
    quiet_p95: float
    busy_p95: float
    errors: int
    memory: float  # MB of the processes that train


@dataclass
class _Log:
    first: list[float] = field(default_factory=list)
    moves: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    arrived: float = 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all values do not exceed; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


async def first_of_all(server: Server, page: str) -> tuple[float, float]:
    """(seconds from the start of the process, seconds from when the port answered) until the very first visitor has
    the page."""
    answered = await asyncio.to_thread(wait_until_it_answers, server)
    async with Visitor(server.address, page) as visitor:
        await visitor.open()
    whole = time.perf_counter() - server.born
    return whole, whole - answered


async def page_cost(server: Server, page: str, moves: int, visits: int = 5) -> PageCost:
    """One visitor on a quiet server, after a few visits that warm it."""
    first = []
    for _ in range(visits + 2):
        began = time.perf_counter()
        async with Visitor(server.address, page) as visitor:
            await visitor.open()
            first.append(time.perf_counter() - began)
    async with Visitor(server.address, page) as visitor:
        await visitor.open()
        mover = control(visitor, MAIN_CONTROL.get(page))
        if mover is None:
            return PageCost(quantile(first[2:], 0.5), elements=len(visitor.elements))
        dice = random.Random(0)
        await _walk(visitor, mover, min(5, moves), dice)
        before = server.cpu()
        answers = await _walk(visitor, mover, moves, dice)
        times = [answer.seconds for answer in answers]
        return PageCost(
            quantile(first[2:], 0.5), quantile(times, 0.5), quantile(times, 0.95),
            (server.cpu() - before) / len(times), quantile([answer.size for answer in answers], 0.5),
            len(visitor.elements), key_of(mover),
        )  # fmt: skip


async def _walk(visitor: Visitor, mover: Control, moves: int, dice: random.Random) -> list[Answer]:
    """So many moves, each to another place than the last."""
    here, answers = None, []
    for _ in range(moves):
        here = dice.choice([place for place in positions(mover) if place != here])
        answers.append(await visitor.move(mover, here))
        await asyncio.sleep(0.02)  # the answer's last bytes leave the server before the next request comes
    return answers


async def a_class(
    server: Server, page: str, visitors: int, seconds: float, think: float = 2.0, gone: float = 2.0
) -> ClassCost:
    """All arrive at once; each moves its control, thinks, and moves again, until the time is over; all leave. ``gone``
    are the seconds between that and the last look at the memory."""
    if not 1 <= visitors <= MOST_VISITORS:
        raise ValueError(f"1 to {MOST_VISITORS} visitors, not {visitors}")
    log, everyone_in, over = _Log(), asyncio.Barrier(visitors + 1), asyncio.Event()
    before, began = server.memory(), time.perf_counter()
    everyone = [asyncio.create_task(_attend(server, page, n, think, log, everyone_in, over)) for n in range(visitors)]
    await everyone_in.wait()
    log.arrived = time.perf_counter() - began
    await asyncio.sleep(seconds)
    memory_with = server.memory()
    over.set()
    await asyncio.gather(*everyone)
    await asyncio.sleep(gone)
    return ClassCost(
        visitors, log.arrived, quantile(log.first, 0.95), quantile(log.moves, 0.5), quantile(log.moves, 0.95),
        len(log.moves), len(log.errors), before, memory_with, server.memory(),
    )  # fmt: skip


async def fairness(server: Server, page: str, moving: int, training: int, seconds: float) -> FairCost:
    """A small class alone, and again while others have all pressed "train" at once, each for another network."""
    quiet = await a_class(server, page, moving, seconds)
    over, errors = asyncio.Event(), list[str]()
    pressed = asyncio.Barrier(training + 1)
    trainers = [asyncio.create_task(_train(server, n, pressed, over, errors)) for n in range(training)]
    await pressed.wait()
    busy = await a_class(server, page, moving, seconds)
    memory = server.trainers()
    over.set()
    await asyncio.gather(*trainers)
    return FairCost(moving, training, quiet.p95, busy.p95, quiet.errors + busy.errors + len(errors), memory)


async def _train(server: Server, number: int, pressed: asyncio.Barrier, over: asyncio.Event, errors: list[str]) -> None:
    """Press the button, and look on as the browser does."""
    page, button, seed = TRAINING
    waiting = True
    try:
        async with Visitor(server.address, page, {seed: str(number)}) as visitor:
            await visitor.open()
            await visitor.press(next(b for b in visitor.all("button") if key_of(b) == button))
            waiting = False
            await pressed.wait()
            while not over.is_set():
                if not await visitor.poll():
                    await asyncio.sleep(0.5)
    except (OSError, TimeoutError, ScriptError, WebSocketException) as problem:
        errors.append(repr(problem))
        if waiting:
            await pressed.wait()


async def _attend(
    server: Server, page: str, number: int, think: float, log: _Log, everyone_in: asyncio.Barrier, over: asyncio.Event
) -> None:
    """One visitor of a class. Whatever goes wrong is counted, and the class goes on."""
    dice, waiting = random.Random(number), True
    try:
        began = time.perf_counter()
        async with Visitor(server.address, page) as visitor:
            await visitor.open()
            log.first.append(time.perf_counter() - began)
            waiting = False
            await everyone_in.wait()
            mover = control(visitor, MAIN_CONTROL.get(page))
            if mover is None:
                raise ScriptError(f"{page} has nothing to move")
            places = positions(mover)
            await asyncio.sleep(dice.uniform(0, think))
            while not over.is_set():
                log.moves.append((await visitor.move(mover, dice.choice(places))).seconds)
                await asyncio.sleep(dice.uniform(0.75, 1.25) * think)
    except (OSError, TimeoutError, ScriptError, WebSocketException) as problem:
        log.errors.append(repr(problem))
        if waiting:
            await everyone_in.wait()
