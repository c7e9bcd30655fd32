"""What a pass is doing, for the person who waits: on standard error, never elsewhere.

On a terminal a live block, else a plain line every ten seconds. Both show the same
snapshot.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from wolkvox_async.counters import Counters
from wolkvox_async.engine import Engine, Records
from wolkvox_async.model import ErrorKind
from wolkvox_async.scheduling.queues import State

from .languages import translated

if TYPE_CHECKING:
    from rich.console import RenderableType

LINE_EVERY: Final = 10.0
REDRAW_EVERY: Final = 0.25

_REASONS: Final = {
    ErrorKind.TOKEN_BUSY: "used by somebody else",
    ErrorKind.MAINTENANCE: "maintenance",
    ErrorKind.RATE_LIMITED: "asked to slow down",
    ErrorKind.TIMEOUT: "after a time-out",
    ErrorKind.CONNECT: "no connection",
    ErrorKind.SERVER_ERROR: "server error",
}


class Shown(Protocol):
    """One moment of what is being done."""

    def line(self) -> str:
        """Say it in one line."""

    def block(self) -> RenderableType:
        """Show it on a terminal."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One moment of a pass."""

    done: int
    planned: int
    ok: int
    empty: int
    failed: int
    skipped: int
    in_flight: int
    per_second: float
    waiting: tuple[tuple[str, int], ...]

    @property
    def seconds_left(self) -> float | None:
        """A guess from the speed so far; None while there is none."""
        return (self.planned - self.done) / self.per_second if self.per_second > 0 else None

    def block(self) -> RenderableType:
        """Show it on a terminal."""
        return _block(self)

    def line(self) -> str:
        """Say it in one line."""
        counts = "ok {ok}, empty {empty}, failed {failed}, skipped {skipped}"
        parts = [
            translated("{done} of {planned} calls", done=self.done, planned=self.planned),
            f"{self.per_second:.0f}/s",
            translated(counts, ok=self.ok, empty=self.empty, failed=self.failed, skipped=self.skipped),
            translated("{calls} in flight", calls=self.in_flight),
        ]
        if self.waiting:
            parts.append(translated("tokens waiting:") + " " + ", ".join(f"{n} {why}" for why, n in self.waiting))
        if self.seconds_left is not None and self.done < self.planned:
            parts.append(translated("about {time} left", time=duration(self.seconds_left)))
        return " | ".join(parts)


def duration(seconds: float) -> str:
    """Write a duration for people."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


@dataclass(frozen=True, slots=True)
class Moment:
    """What is going on: calls planned, attempts in flight, tokens that wait for a slot or after a failure.

    `elapsed` in seconds; `before` them so many of the planned calls had ended.
    """

    planned: int
    in_flight: int
    held_back: int
    waiting_after: Mapping[ErrorKind, int]
    elapsed: float
    before: int = 0


def picture(engine: Engine, records: Records) -> Picture:
    """Take a picture of the pass."""
    seen = moment_of(engine, records.whole, records.summary().seconds)
    before = 0 if records.opened is None else records.opened.done
    return picture_of(records.counters, replace(seen, before=before))


def moment_of(engine: Engine, planned: int, elapsed: float) -> Moment:
    """Look at what an engine is doing with so many calls, since so many seconds."""
    seen = engine.snapshot()
    held_back = seen.tokens.get(State.READY, 0) + seen.tokens.get(State.PARKED, 0)
    return Moment(planned, seen.in_flight, held_back, seen.waiting_after, elapsed)


def picture_of(counters: Counters, seen: Moment) -> Picture:
    """Take a picture of what a run has come to at a moment."""
    done = counters.ok + counters.empty + counters.failed + counters.skipped
    waits = [(_reason(kind), count) for kind, count in seen.waiting_after.items()]
    if seen.held_back:
        waits.append((translated("for a free slot"), seen.held_back))
    return Picture(
        done=done,
        planned=seen.planned,
        ok=counters.ok,
        empty=counters.empty,
        failed=counters.failed,
        skipped=counters.skipped,
        in_flight=seen.in_flight,
        per_second=(done - seen.before) / seen.elapsed if seen.elapsed > 0 else 0.0,
        waiting=tuple(waits),
    )


def _reason(kind: ErrorKind) -> str:
    return translated(_REASONS[kind]) if kind in _REASONS else translated("after {kind}", kind=kind)


@contextmanager
def shown(look: Callable[[], Shown], *, live: bool) -> Iterator[None]:
    """Show progress for the length of the block; `look` takes a picture."""
    task = asyncio.ensure_future((_live if live else _plain)(look))
    try:
        yield
    finally:
        task.cancel()


async def _plain(look: Callable[[], Shown]) -> None:
    while True:
        await asyncio.sleep(LINE_EVERY)
        print(look().line(), file=sys.stderr, flush=True)  # noqa: T201 - this is the progress line


async def _live(look: Callable[[], Shown]) -> None:
    # Imported here: rich takes longer than everything else a command needs.
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    console = Console(stderr=True)
    with Live(look().block(), console=console, redirect_stdout=False, transient=True, auto_refresh=False) as live:
        while True:
            live.update(look().block(), refresh=True)
            await asyncio.sleep(REDRAW_EVERY)


def _block(seen: Picture) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    seconds = seen.seconds_left
    left = "" if seconds is None else "  " + translated("about {time} left", time=duration(seconds))
    head = Table.grid(padding=(0, 1))
    head.add_row(
        Text(translated("{done} of {planned} calls", done=f"{seen.done:,}", planned=f"{seen.planned:,}"), "bold"),
        ProgressBar(total=max(seen.planned, 1), completed=seen.done, width=30),
        Text(f"{seen.per_second:,.0f}/s{left}"),
    )
    counts = Text.assemble(
        (f"{translated('ok')} {seen.ok:,}", "green"),
        f"   {translated('empty')} {seen.empty:,}   ",
        (f"{translated('failed')} {seen.failed:,}", "bold red" if seen.failed else ""),
        f"   {translated('skipped')} {seen.skipped:,}   {translated('in flight')} {seen.in_flight:,}",
    )
    waiting = Text(
        translated("waiting:") + " " + ", ".join(f"{count:,} {why}" for why, count in seen.waiting), "yellow"
    )
    return Group(head, counts, waiting) if seen.waiting else Group(head, counts)
