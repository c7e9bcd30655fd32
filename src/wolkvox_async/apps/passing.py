"""One pass as a program: engine, output, signals, progress, exit code."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, TypeVar

from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.adapters.jsonlines import JsonLines, open_output
from wolkvox_async.adapters.state import MemoryState, SqliteState
from wolkvox_async.adapters.telemetry import library_logger
from wolkvox_async.counters import Counters
from wolkvox_async.engine import Engine, RunName, Summary
from wolkvox_async.errors import OutputClosedError, OutputError
from wolkvox_async.fields import timestamp
from wolkvox_async.planning import DateRange
from wolkvox_async.ports import Adopter, Clock, Place
from wolkvox_async.settings.composition import Parts, open_engine, open_state
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options

from . import progress
from .exits import Exit, of_pass, of_signal
from .languages import translated
from .signals import Reactions, StopSignals

T = TypeVar("T")

_NEW_OBJECTS: Final = 20_000  # more objects than there were when the collector looked last: it looks again

STANDSTILL: Final = 0.6
"""Seconds within which an output takes something once the drain is over, or is given up."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be fetched, how, and where to; `drain` in seconds, `progress` None means on a terminal.

    `workers` is how many processes are wanted; here there is one. `opens` makes the output of
    something other than records as JSON lines; it is told whether that is to be durable.
    """

    tenants: Tenants
    options: Options
    output: str = "-"
    run: str | None = None
    resume: bool = False
    apis: Sequence[str] = ()
    dates: DateRange | None = None
    drain: float = 10.0
    progress: bool | None = None
    workers: int = 1
    opens: Callable[[bool], JsonLines] | None = None

    def sink(self) -> JsonLines:
        """Return where records go, to be opened."""
        durable = self.options.durability == "power"
        return open_output(self.output, durable=durable) if self.opens is None else self.opens(durable)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the program ends: its exit code, what the pass came to, what to tell the person."""

    code: Exit
    summary: Summary | None = None
    message: str | None = None


async def run_pass(order: Order, parts: Parts | None = None) -> Ending:
    """Make the pass; raises `ConfigurationError` before anything is called, `StateError` at any time.

    `parts` are what the engine is made of beside its clock and its state.
    """
    clock = LoopClock()
    try:
        async with (
            state_of(order.options, clock) as state,
            order.sink() as sink,
        ):
            await take_over(state, sink)
            return await _with_output(order, sink, replace(parts or Parts(), clock=clock, state=state))
    except OutputClosedError:
        return Ending(Exit.OUTPUT)
    except OutputError as error:
        return Ending(Exit.OUTPUT, message=str(error))


class Drained(Protocol):
    """What signals act on: an engine, or several."""

    def stop(self) -> None:
        """Take nothing more."""

    def abandon(self) -> None:
        """Give up what is in flight."""


class Stage:
    """What the signals act on: at first only the task that opens the engine, then the engine."""

    def __init__(self, sink: JsonLines) -> None:
        self._sink: Final = sink
        self._task: Final = asyncio.current_task()
        self._writes = 0
        self.engine: Drained | None = None

    def stop(self) -> None:
        """Take nothing more; before there is anything to take, end."""
        if self.engine is None:
            self.abort()
        else:
            self.engine.stop()

    def abandon(self) -> None:
        """Give up what is in flight, and an output that takes nothing."""
        if self.engine is not None:
            self.engine.abandon()
        self._watch()

    async def wrote(self) -> None:
        """Note that the output takes what it is given."""
        self._writes += 1

    def _watch(self) -> None:
        """Give the output up when it takes nothing for a while: its reader stands still."""
        asyncio.get_running_loop().call_later(STANDSTILL, self._look, self._writes)

    def _look(self, writes: int) -> None:
        if self._writes == writes:
            self.abort()
        else:
            self._watch()

    def abort(self) -> None:
        """End at once."""
        self._sink.abort()
        if self._task is not None:
            self._task.cancel()

    def recover(self) -> None:
        """Go on after the cancellation that `abort` asked for."""
        if self._task is not None:
            self._task.uncancel()


@asynccontextmanager
async def state_of(options: Options, clock: Clock) -> AsyncIterator[SqliteState | MemoryState]:
    """Open the state for the length of the block; raises `StateError`."""
    state = await open_state(options, clock, library_logger())
    try:
        yield state
    finally:
        await state.close()


def place_of(sink: JsonLines) -> Place | None:
    """Return the file that an output is, as the state knows it."""
    return None if sink.place is None else Place(str(sink.place.path), sink.place.device, sink.place.inode)


async def take_over(state: Adopter, sink: JsonLines) -> None:
    """Have the state know what the output says: a program that was killed could not tell it."""
    place = place_of(sink)
    if place is None or sink.place is None or sink.position is None:
        return
    shrunk = await state.has_shrunk(place, sink.position)
    start = 0 if shrunk else await state.adopted(place)
    lost = await state.adopt(place, sink.marks_from(start), sink.position, shrunk=shrunk)
    if lost:
        again = "1 call that it does not hold is" if lost == 1 else f"{lost} calls that it does not hold are"
        library_logger().warning(f"{sink.place.path.name} is shorter than what was written to it: {again} made again")


async def _with_output(order: Order, sink: JsonLines, parts: Parts) -> Ending:
    stage = Stage(sink)
    with StopSignals(Reactions(stage.stop, stage.abandon, stage.abort), order.drain) as signals:
        try:
            async with open_engine(order.tenants, order.options, parts=parts) as stage.engine:
                summary = await _fetch(stage.engine, order, sink, stage)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            stage.recover()
            return Ending(of_signal(signals.received))
    code = of_pass(summary.counters) if signals.received is None else of_signal(signals.received)
    return Ending(code, summary, not_due(summary.counters, order.options))


def not_due(counters: Counters, options: Options) -> str | None:
    """Say what was not called because too little time has passed."""
    if counters.due is None:
        return None
    one, many = "1 call was not due, the last until {until}", "{calls} calls were not due, the last until {until}"
    due = {"calls": counters.not_due, "until": timestamp(counters.due)}
    said = translated(one, **due) if counters.not_due == 1 else translated(many, **due)
    why = (
        ": the same is asked of a token at most every {interval:g} s (--interval, or the endpoint's own if that is "
        "longer); --wait SECONDS waits for calls that come due (now {wait:g})"
    )
    return said + translated(why, interval=options.interval, wait=options.wait)


async def _fetch(engine: Engine, order: Order, sink: JsonLines, stage: Stage) -> Summary:
    live = sys.stderr.isatty() if order.progress is None else order.progress and sys.stderr.isatty()
    name = RunName(order.run, order.resume, output_name(sink, order.output))
    async with engine.fetch(apis=order.apis, dates=order.dates, run=name) as records:
        calm_collector()
        if order.progress is False:
            return await records.write_to(sink, progress=stage.wrote)
        with progress.shown(lambda: progress.picture(engine, records), live=live):
            return await records.write_to(sink, progress=stage.wrote)


def calm_collector() -> None:
    """Have the garbage collector look seldom, and never at what was loaded: it lives as long as the program.

    Hardly anything that a call leaves behind refers to itself, and with the usual threshold
    the collector goes through what is in flight every few calls.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


def output_name(sink: JsonLines, output: str) -> str:
    """Return the text by which a run knows its output again."""
    return output if sink.place is None else str(sink.place.path)


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` on uvloop where it is installed: only a program chooses its loop, never the library."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return asyncio.run(main())
    return uvloop.run(main())
