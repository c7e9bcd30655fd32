"""One pass as a program: engine, output, signals, progress, exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wolkvox_async.adapters.jsonlines import JsonLines, open_output
from wolkvox_async.engine import Engine, Summary
from wolkvox_async.errors import OutputClosedError, OutputError
from wolkvox_async.planning import DateRange
from wolkvox_async.settings.composition import open_engine
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options

from . import progress
from .exits import Exit, of_pass, of_signal
from .signals import Reactions, StopSignals


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be fetched, how, and where to; `drain` in seconds, `progress` None means on a terminal."""

    tenants: Tenants
    options: Options
    output: str = "-"
    apis: Sequence[str] = ()
    dates: DateRange | None = None
    drain: float = 10.0
    progress: bool | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How the program ends: its exit code, what the pass came to, what to tell the person."""

    code: Exit
    summary: Summary | None = None
    message: str | None = None


async def run_pass(order: Order) -> Ending:
    """Make the pass; raises `ConfigurationError` before anything is called."""
    try:
        async with open_output(order.output) as sink:
            return await _with_output(order, sink)
    except OutputClosedError:
        return Ending(Exit.OUTPUT)
    except OutputError as error:
        return Ending(Exit.OUTPUT, message=str(error))


class _Stage:
    """What the signals act on: at first only the task that opens the engine, then the engine."""

    def __init__(self, sink: JsonLines) -> None:
        self._sink: Final = sink
        self._task: Final = asyncio.current_task()
        self.engine: Engine | None = None

    def stop(self) -> None:
        if self.engine is None:
            self.abort()
        else:
            self.engine.stop()

    def abandon(self) -> None:
        if self.engine is not None:
            self.engine.abandon()

    def abort(self) -> None:
        self._sink.abort()
        if self._task is not None:
            self._task.cancel()

    def recover(self) -> None:
        """Go on after the cancellation that `abort` asked for."""
        if self._task is not None:
            self._task.uncancel()


async def _with_output(order: Order, sink: JsonLines) -> Ending:
    stage = _Stage(sink)
    with StopSignals(Reactions(stage.stop, stage.abandon, stage.abort), order.drain) as signals:
        try:
            async with open_engine(order.tenants, order.options) as stage.engine:
                summary = await _fetch(stage.engine, order, sink)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            stage.recover()
            return Ending(of_signal(signals.received))
    return Ending(of_pass(summary.counters) if signals.received is None else of_signal(signals.received), summary)


async def _fetch(engine: Engine, order: Order, sink: JsonLines) -> Summary:
    live = sys.stderr.isatty() if order.progress is None else order.progress and sys.stderr.isatty()
    async with engine.fetch(apis=order.apis, dates=order.dates) as records:
        if order.progress is False:
            return await records.write_to(sink)
        with progress.shown(engine, records, live=live):
            return await records.write_to(sink)


def run(main: Callable[[], Coroutine[Any, Any, Ending]]) -> Ending:
    """Run `main` on uvloop where it is installed: only a program chooses its loop, never the library."""
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return asyncio.run(main())
    return uvloop.run(main())
