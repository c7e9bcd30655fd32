"""One pass as a program: engine, output, signals, progress, exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

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


async def _with_output(order: Order, sink: JsonLines) -> Ending:
    task = asyncio.current_task()
    async with open_engine(order.tenants, order.options) as engine:

        def abort() -> None:
            sink.abort()
            if task is not None:
                task.cancel()

        with StopSignals(Reactions(engine.stop, engine.abandon, abort), order.drain) as signals:
            try:
                summary = await _fetch(engine, order, sink)
            except asyncio.CancelledError:
                if signals.received is None or task is None:
                    raise
                task.uncancel()
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
