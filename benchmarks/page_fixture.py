"""The page of `watch` over a made-up board: to be looked at, measured and photographed.

Nothing is asked of anybody: a watch is played, with a past of four hours and slots that go
on ending. The same seed makes the same board.

    python -m benchmarks.page_fixture [--operations N] [--seconds S] [--listen HOST:PORT] [--token TEXT]
                                      [--hostile] [--quiet]

Prints the address, what an event costs and what a subject weighs; ends after S seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.apps.serving.board import Board, milliseconds
from wolkvox_async.apps.serving.guard import Address
from wolkvox_async.apps.serving.pages import Site
from wolkvox_async.apps.serving.server import serve
from wolkvox_async.catalog import Catalog
from wolkvox_async.identity import CallIds, ulid
from wolkvox_async.model import (
    CallError,
    Empty,
    ErrorKind,
    Failed,
    GapReason,
    Ok,
    Operation,
    Outcome,
    Slot,
    Token,
)
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.ports import CallSettled, Event, SlotMissed, TokenClosed
from wolkvox_async.scheduling.subjects import Subject, Subjects
from wolkvox_async.testing.population import populate

INTERVAL: Final = 300.0
PAST: Final = 50  # slots
APIS: Final = ("interactions", "gamification")
HOSTILE: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "long " + "x" * 10_000,
    "right-to-left \u202egnp.exe\u202c \u2067 and on",
    "שלום עולם",
    "a\u0300\u0301\u0302\u0303" * 40 + " zalgo",
    "two\nlines\ttab\x07bell",
    "javascript:alert(3)",
    "'\"; DROP TABLE tenants; --",
    "&amp;<b>bold</b>&lt;",
)


@dataclass(frozen=True, slots=True)
class Plot:
    """How the slots of an operation end: all as `usual`, the last ones (`since` of them) as `trouble`."""

    trouble: ErrorKind | GapReason | None = None
    since: int = 0
    closing_missed: bool = False


PLOTS: Final = (
    (Plot(GapReason.DOWN, 2), 8),
    (Plot(GapReason.DOWN, 7), 5),
    (Plot(ErrorKind.UNAUTHORIZED, 9), 3),
    (Plot(ErrorKind.TIMEOUT, 1), 6),
    (Plot(ErrorKind.SERVER_ERROR, 2), 4),
    (Plot(GapReason.QUOTA, 5), 4),
    (Plot(GapReason.BUSY, PAST), 1),
    (Plot(GapReason.OVERRUN, 1), 8),
    (Plot(closing_missed=True), 2),
)
MESSAGES: Final = {
    ErrorKind.UNAUTHORIZED: "the token is refused: Unauthorized, check wolkvox-token",
    ErrorKind.TIMEOUT: "no answer within 65 s",
    ErrorKind.SERVER_ERROR: "HTTP 502 from the server",
}


@dataclass(slots=True)
class MadeUpWatch:
    """A watch that is played; it tells what a real one would."""

    watched: list[Subject]
    run: str
    started: int
    version: int = 1
    due: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, GapReason] = field(default_factory=dict)
    flying: set[str] = field(default_factory=set)

    def subjects(self) -> Sequence[Subject]:
        """Return what is watched."""
        return self.watched

    def next_due(self, key: str) -> int | None:
        """Return when a subject is due next."""
        return self.due.get(key)

    def waits(self, key: str) -> GapReason | None:
        """Return what a subject waits for."""
        return self.waiting.get(key)

    def in_flight(self, key: str) -> bool:
        """Tell whether a subject is being asked."""
        return key in self.flying


class Player:
    """Has slots end, in the past and from now on."""

    def __init__(self, seed: int, operations: Sequence[Operation], now: int) -> None:
        self._chance: Final = random.Random(seed)
        subscriptions = [Subscription(operation, _wanted()) for operation in operations]
        watched = list(Subjects(INTERVAL).of(subscriptions, datetime.fromtimestamp(now / 1000, UTC)))
        self.watch: Final = MadeUpWatch(watched, ulid(now, seed), now - round(PAST * INTERVAL * 1000))
        self._ids: Final = CallIds(self.watch.run)
        self._fates: Final = _fates(operations, self._chance)
        self._plots: Final = {subject.key: self._fates.get(subject.operation.path, Plot()) for subject in watched}
        self._levels: Final = {subject.key: self._chance.randrange(5, 4000) for subject in watched}
        self._queue: list[tuple[int, Subject]] = []

    def past(self, now: int) -> Iterator[tuple[int, Event]]:
        """Yield what happened before `now`, and when."""
        for subject in self.watch.watched:
            plot, grid = self._plots[subject.key], subject.timetable.grid
            for back in range(PAST, 0, -1):
                due = grid.before(now) - (back - 1) * grid.interval
                yield self._ended(subject, due, plot, back, is_closing=subject.monthly and back == PAST // 2)
            self._look_ahead(subject, plot, now)
            if plot.trouble in (ErrorKind.UNAUTHORIZED, GapReason.QUOTA):
                kind = ErrorKind.QUOTA if plot.trouble is GapReason.QUOTA else ErrorKind.UNAUTHORIZED
                yield now, TokenClosed(subject.operation, kind, 5 * 3600.0)

    def present(self, now: int) -> Iterator[tuple[int, Event]]:
        """Yield what happens up to `now`."""
        self.watch.flying.clear()
        for subject in self.watch.watched:
            due = self.watch.due[subject.key]
            if due - 400 <= now < due:
                self.watch.flying.add(subject.key)
            if due <= now:
                plot = self._plots[subject.key]
                yield now, self._ended(subject, due, plot, 1, is_closing=False)[1]
                self.watch.due[subject.key] = due + subject.timetable.grid.interval

    def _look_ahead(self, subject: Subject, plot: Plot, now: int) -> None:
        grid = subject.timetable.grid
        self.watch.due[subject.key] = grid.before(now) + grid.interval
        if isinstance(plot.trouble, GapReason) and plot.trouble is not GapReason.OVERRUN:
            self.watch.waiting[subject.key] = plot.trouble
        elif plot.trouble is ErrorKind.UNAUTHORIZED:
            self.watch.waiting[subject.key] = GapReason.HELD

    def _ended(self, subject: Subject, due: int, plot: Plot, back: int, *, is_closing: bool) -> tuple[int, Event]:
        slot, at = Slot(due, due, closing=is_closing), due + self._chance.randrange(120, 900)
        trouble = plot.trouble if back <= plot.since else None if is_closing else self._mishap()
        if is_closing and plot.closing_missed:
            trouble = GapReason.DOWN
        if trouble is ErrorKind.UNAUTHORIZED and back < plot.since:
            trouble = GapReason.HELD
        if isinstance(trouble, GapReason):
            return at, SlotMissed(subject.operation, subject.api, slot, trouble)
        return at, CallSettled(subject.call(self._ids, slot), self._outcome(subject, trouble), 1, (at - due) / 1000)

    def _mishap(self) -> ErrorKind | GapReason | None:
        drawn = self._chance.random()
        return GapReason.OVERRUN if drawn < 0.002 else ErrorKind.TIMEOUT if drawn < 0.004 else None

    def _outcome(self, subject: Subject, trouble: ErrorKind | None) -> Outcome:
        if trouble is not None:
            return Failed(CallError(trouble, MESSAGES[trouble], retryable=True))
        level = self._levels[subject.key]
        if level < 40 and self._chance.random() < 0.5:
            return Empty(200, 200, "")
        if subject.api == "interactions":
            level = self._levels[subject.key] = level + self._chance.randrange(0, max(2, level // 40))
        return Ok([{"operation": "X", "items": str(level), "date": "2026-11-21"}], 200, 200, "")


def _fates(operations: Sequence[Operation], chance: random.Random) -> dict[str, Plot]:
    """Draw who is in trouble: each kind of it is there, if there is room."""
    plots = [plot for plot, weight in PLOTS for _ in range(max(1, len(operations) * weight // 1000))]
    drawn = chance.sample(operations, min(len(operations) // 3, len(plots)))
    return {operation.path: plot for operation, plot in zip(drawn, plots, strict=False)}


def _wanted() -> tuple[Wanted, ...]:
    catalog = Catalog()
    found = (catalog.get(api) for api in APIS)
    return tuple(Wanted(endpoint) for endpoint in found if endpoint is not None)


def made_up(operations: int, *, hostile: bool) -> list[Operation]:
    """Return made-up operations; `hostile`: the first ones have names that do harm where they can."""
    servers = [f"{number:04}" for number in range(10, 10 + max(1, min(60, operations // 12)))]
    crowd = populate(seed=7, operations=operations, tenants=max(1, operations // 5), servers=servers)
    found = [one.as_operation() for one in crowd]
    if hostile:
        found[: len(HOSTILE)] = [
            replace(operation, tenant=name, name=f"{name[:40]} op")
            for operation, name in zip(found, HOSTILE, strict=False)
        ]
    return found


def play(operations: Sequence[Operation], now: int) -> tuple[Board, Player]:
    """Return a board with a past, and who goes on from there."""
    board, player = Board(), Player(7, operations, now)
    board.follow(player.watch, player.watch.started)
    for at, event in player.past(now):
        board.observe(event, at)
    return board, player


async def _serve(options: argparse.Namespace) -> None:
    clock = LoopClock()
    now = milliseconds(clock)
    board, player = play(made_up(options.operations, hostile=options.hostile), now)
    token = Token(options.token) if options.token else None
    async with serve(Site(board, clock), Address.parse(options.listen), bearer=token) as served:
        print(served.url, flush=True)
        if not options.unweighed:
            _weigh(options.operations)
        async with asyncio.timeout(options.seconds + 1):
            await _go_on(board, player, clock, options)


async def _go_on(board: Board, player: Player, clock: LoopClock, options: argparse.Namespace) -> None:
    end = clock.now() + options.seconds
    while clock.now() < end:
        await asyncio.sleep(0.25)
        if not options.quiet:
            for at, event in player.present(milliseconds(clock)):
                board.observe(event, at)


def _weigh(operations: int) -> None:
    """Print what an event costs and what a subject weighs, on a board of at most 1,000 operations."""
    now, some = 1_795_000_000_000, made_up(min(operations, 1_000) or 1, hostile=False)
    player = Player(7, some, now)
    events = list(player.past(now))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    board = Board()
    board.follow(player.watch, now)
    for at, event in events:
        board.observe(event, at)
    weight = (tracemalloc.get_traced_memory()[0] - before) / len(board.tracks)
    tracemalloc.stop()
    begun = time.process_time()
    for at, event in events:
        board.observe(event, at)
    cost = (time.process_time() - begun) / len(events) * 1e6
    print(f"{cost:.2f} us an event, {weight:,.0f} bytes a subject", flush=True)


def main() -> None:
    """Serve, and end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=120)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--listen", default="127.0.0.1:9465")
    parser.add_argument("--token", help="a made-up bearer token")
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="nothing happens any more")
    parser.add_argument("--unweighed", action="store_true", help="measures nothing, so it is there sooner")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
