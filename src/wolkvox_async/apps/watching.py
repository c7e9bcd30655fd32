"""Watching as a program: engine, output, signals, reload, service, exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.adapters.jsonlines import (
    JsonLines,
    RotatingLines,
    is_rotating,
    open_output,
    open_rotating,
    slot_ends,
)
from wolkvox_async.adapters.secrets import Secrets
from wolkvox_async.adapters.state import MemoryState, SqliteState
from wolkvox_async.adapters.telemetry import library_logger
from wolkvox_async.engine import Summary, Watch
from wolkvox_async.errors import ConfigurationError, OutputClosedError, OutputError, StateError
from wolkvox_async.marks import SlotMark, latest, read_slot_mark
from wolkvox_async.model import Token
from wolkvox_async.planning import DateRange, Subscription
from wolkvox_async.ports import Clock
from wolkvox_async.references import EnvReference, FileReference
from wolkvox_async.settings.composition import Parts, open_engine, resolve_and_warn
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options
from wolkvox_async.settings.resolution import secrets_of

from . import progress
from .exits import Exit, of_signal
from .glance import glance
from .passing import Ending, Stage, calm_collector, output_name, place_of, state_of, take_over
from .rereading import Rereading, Signs
from .rotation import CurrentReferences
from .serving.guard import Address
from .serving.lookout import Lookout, Window
from .signals import Reactions, StopSignals

_State: TypeAlias = SqliteState | MemoryState
_REFUSED: Final = "the tenants file has mistakes and was not taken: what was watched before goes on"
_TURN_EVERY: Final = 10.0  # seconds between two looks whether an output's period is over


@dataclass(frozen=True, slots=True)
class WatchOrder:
    """What is to be watched, how, and where to; `drain` in seconds, `progress` None means on a terminal.

    `reread` reads the tenants file again; it raises `ConfigurationError` with every mistake. `seen`
    is what the file was like before it was read, `hung_up` tells whether SIGHUP came since.
    """

    tenants: Tenants
    options: Options
    output: str = "-"
    apis: Sequence[str] = ()
    dates: DateRange | None = None
    drain: float = 10.0
    progress: bool | None = None
    only_changes: bool = False
    window: Window | None = None
    seen: Signs = None
    hung_up: Callable[[], bool] = lambda: False
    reread: Callable[[], Tenants] | None = None


async def run_watch(order: WatchOrder, parts: Parts | None = None) -> Ending:
    """Watch until a signal comes; raises `ConfigurationError` before anything is called, `StateError` at any time."""
    clock = LoopClock()
    try:
        async with state_of(order.options, clock) as state, _output_of(order, clock) as sink:
            await take_over_slots(state, sink)
            await take_over(state, sink)
            return await _with_output(order, sink, replace(parts or Parts(), clock=clock, state=state))
    except OutputClosedError:
        return Ending(Exit.OUTPUT)
    except OutputError as error:
        return Ending(Exit.OUTPUT, message=str(error))


def _output_of(order: WatchOrder, clock: Clock) -> JsonLines:
    durable = order.options.durability == "power"
    if is_rotating(order.output):
        return open_rotating(order.output, clock, durable=durable)
    return open_output(order.output, durable=durable)


async def _with_output(order: WatchOrder, sink: JsonLines, parts: Parts) -> Ending:
    stage = Stage(sink)
    with StopSignals(Reactions(stage.stop, stage.abandon, stage.abort), order.drain) as signals:
        try:
            summary = await _watch(order, sink, stage, parts)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            stage.recover()
            return Ending(of_signal(signals.received))
    return Ending(Exit.OK if signals.received is None else of_signal(signals.received), summary)


async def _watch(order: WatchOrder, sink: JsonLines, stage: Stage, parts: Parts) -> Summary:
    references = CurrentReferences(order.tenants)
    if parts.clock is None or parts.state is None:
        raise AssertionError("the program brings both")
    clock = parts.clock
    lookout = Lookout(parts.clock, parts.state, order.window, library_logger())
    parts = replace(parts, tokens=references, hooks=(*parts.hooks, *lookout.hooks, references))
    async with open_engine(order.tenants, order.options, parts=parts) as engine:
        stage.engine = engine
        output = output_name(sink, order.output)
        watch = engine.watch(apis=order.apis, dates=order.dates, only_changes=order.only_changes, output=output)
        async with watch as records, AsyncExitStack() as stack:
            calm_collector()
            felt = await stack.enter_async_context(lookout.at(records, engine, sink))
            rereading = stack.enter_context(reread_when_changed(order, references, records, lookout))
            if order.hung_up():
                rereading.ask()
            if isinstance(sink, RotatingLines):
                await stack.enter_async_context(_turning(sink))
            if order.progress is not False:
                live = sys.stderr.isatty()
                stack.enter_context(progress.shown(lambda: glance(engine, records, clock), live=live))
            return await records.write_to(felt, progress=stage.wrote)


def window(listen: str, bearer: str | None) -> Window | None:
    """Return where people may look in, from the options as they are written; raises `ConfigurationError`."""
    token = None if bearer is None else _bearer(bearer)
    if listen == "off":
        return None
    found = Window(Address.parse(listen), token)
    found.check()
    return found


def window_if_free(listen: str, bearer: str | None) -> Window | None:
    """Return the same, to be done without where somebody else listens already."""
    found = window(listen, bearer)
    return None if found is None else replace(found, is_needed=False)


def _bearer(text: str) -> Token:
    kind, _, where = text.partition(":")
    if kind not in ("env", "file") or not where:
        raise ConfigurationError("--listen-token says where the token is to be found: env:NAME or file:PATH")
    reference = EnvReference(where) if kind == "env" else FileReference(where)
    found = asyncio.run(Secrets(Path.cwd(), os.environ).resolve(reference))
    if isinstance(found, Token):
        return found
    raise ConfigurationError(f"--listen-token: {found.message}")


# --- reload -------------------------------------------------------------------------------


def reread_when_changed(
    order: WatchOrder,
    references: CurrentReferences,
    records: Watch,
    lookout: Lookout,
    told: Callable[[list[Subscription]], None] = lambda _found: None,
) -> Rereading:
    """Return what takes a changed tenants file; `told` hears of the operations in it before they are watched."""
    log, reread = library_logger(), order.reread

    async def reload() -> None:
        if reread is not None:
            lookout.reloading()
            await take(reread)
            lookout.reloaded(records)

    async def take(reread: Callable[[], Tenants]) -> None:
        try:
            tenants = await asyncio.to_thread(reread)
            found = await resolve_and_warn(tenants, order.options, secrets_of(tenants), log)
            told(found)
            await records.replace(found)
        except ConfigurationError as error:
            refused = [*map(str, error.mistakes), _REFUSED]
        except StateError as error:
            refused = [str(error), _REFUSED]
        except Exception as error:  # noqa: BLE001 - whatever it was, the next reload is to find somebody listening
            refused = [f"the tenants file could not be taken ({type(error).__name__})", _REFUSED]
        else:
            references.replace(tenants)
            log.info("the tenants file was read again", operations=len(found), watched=len(records.subjects()))
            return
        for message in refused:
            log.error(message)

    reasons = (references.look_at_files, references.look_for_others)
    return Rereading(order.tenants.path, reload, seen=order.seen, reasons=reasons)


# --- output -------------------------------------------------------------------------------


async def take_over_slots(state: _State, sink: JsonLines) -> None:
    """Have the state know which slots ended, as the output says: a program that was killed could not tell it.

    To be called before the calls are taken over: what was read for them is not read again.
    """
    lines: Iterator[bytes] = iter(())
    if isinstance(sink, RotatingLines):
        lines = sink.marks()
    elif (place := place_of(sink)) is not None and sink.place is not None and sink.position is not None:
        lines = slot_ends(sink.place, await state.adopted(place), sink.position)
    state.note_slots(await asyncio.to_thread(_last_ones, lines))


def _last_ones(lines: Iterable[bytes]) -> list[SlotMark]:
    return latest(mark for line in lines if (mark := read_slot_mark(line)) is not None)


@asynccontextmanager
async def _turning(sink: RotatingLines) -> AsyncIterator[None]:
    """Have files of periods that are over finished in quiet times too."""

    async def turn() -> None:
        while True:
            await asyncio.sleep(_TURN_EVERY)
            await sink.turn()

    task = asyncio.create_task(turn(), name="wolkvox-async turning")
    try:
        yield
    finally:
        task.cancel()
