"""A watch that is played by hand, and events of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from wolkvox_async.apps.serving.board import Board
from wolkvox_async.catalog import Catalog
from wolkvox_async.identity import CallIds
from wolkvox_async.model import CallError, ErrorKind, Failed, GapReason, Ok, Operation, Outcome, Slot, Token
from wolkvox_async.planning import DateRange, Subscription, Wanted
from wolkvox_async.ports import CallSettled, SlotMissed
from wolkvox_async.scheduling.subjects import Subject, Subjects

BEGUN = round(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)
INTERVAL = 300_000
RUN = "01K00000000000000000000000"


@dataclass
class Played:
    """What a running watch would tell."""

    watched: list[Subject]
    run: str = RUN
    started: int = BEGUN
    version: int = 1
    due: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, GapReason] = field(default_factory=dict)
    flying: set[str] = field(default_factory=set)

    def subjects(self) -> Sequence[Subject]:
        return self.watched

    def next_due(self, key: str) -> int | None:
        return self.due.get(key)

    def waits(self, key: str) -> GapReason | None:
        return self.waiting.get(key)

    def in_flight(self, key: str) -> bool:
        return key in self.flying

    def replace(self, watched: list[Subject]) -> None:
        self.watched = watched
        self.version += 1


def operation(name: str = "acme/bogota", *, server: str = "0010", zone: str = "America/Bogota") -> Operation:
    tenant, _, own = name.partition("/")
    return Operation(tenant, own, server, Token("made-up-" + sha256(repr(name).encode()).hexdigest()), zone)


def subjects(*operations: Operation, apis: Sequence[str] = ("interactions",), dates: Any = None) -> list[Subject]:
    catalog = Catalog()
    endpoints = [endpoint for api in apis if (endpoint := catalog.get(api)) is not None]
    wanted = tuple(Wanted(endpoint, dates) for endpoint in endpoints)
    found = [Subscription(one, wanted) for one in operations]
    return list(Subjects(INTERVAL / 1000).of(found, datetime.fromtimestamp(BEGUN / 1000, UTC)))


def months(start: str, end: str) -> DateRange:
    return DateRange(start, end)


def board_of(*watched: Subject) -> tuple[Board, Played]:
    board, played = Board(), Played(list(watched))
    board.follow(played, BEGUN)
    return board, played


def slot_of(subject: Subject, number: int = 0, *, closing: bool = False) -> Slot:
    grid = subject.timetable.grid
    place = grid.before(BEGUN) + (number + 1) * grid.interval
    return Slot(place, place, closing=closing)


def rows(*items: object) -> Ok:
    return Ok([{"items": value} for value in items], 200, 200, "")


def failure(kind: ErrorKind = ErrorKind.TIMEOUT, message: str = "no answer") -> Failed:
    return Failed(CallError(kind, message, retryable=True))


def settled(subject: Subject, outcome: Outcome, slot: Slot | None = None) -> CallSettled:
    return CallSettled(subject.call(CallIds(RUN), slot or slot_of(subject)), outcome, 1, 0.25)


def missed(subject: Subject, reason: GapReason, slot: Slot | None = None) -> SlotMissed:
    return SlotMissed(subject.operation, subject.api, slot or slot_of(subject), reason)
