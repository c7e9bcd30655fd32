"""A watch that only says what it watches, and events as an engine would tell them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from wolkvox_async.catalog import Catalog
from wolkvox_async.identity import CallIds
from wolkvox_async.model import CallError, Empty, ErrorKind, Failed, GapReason, Ok, Operation, Outcome, Slot, Token
from wolkvox_async.planning import DateRange, Subscription, Wanted
from wolkvox_async.ports import CallSettled, SlotMissed
from wolkvox_async.scheduling.subjects import Subject, Subjects

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

OK = Ok([{"items": "1"}, {"items": "2"}], 200, 200, "")
EMPTY = Empty(404, 404, "")
FAILED = Failed(CallError(ErrorKind.TIMEOUT, "made up", retryable=True))

_IDS = CallIds("01K" + "0" * 23)


def operations(count: int, *, servers: int = 3, token: Token | None = None) -> list[Operation]:
    return [
        Operation(f"tenant {n // 2}", f"operation {n}", f"{n % servers:04}", token or Token(f"made-up-{n:06}"))
        for n in range(count)
    ]


def subjects(
    of: Iterable[Operation], *apis: str, interval: float = 300.0, dates: DateRange | None = None
) -> list[Subject]:
    """Return what is watched of the operations: those endpoints, or `interactions`."""
    catalog, wanted = Catalog(), []
    for api in apis or ("interactions",):
        endpoint = catalog.get(api)
        assert endpoint is not None
        wanted.append(Wanted(endpoint, dates))
    return list(Subjects(interval).of([Subscription(operation, tuple(wanted)) for operation in of], NOW))


def first_slot(subject: Subject, *, closing: bool = False) -> Slot:
    slot = subject.timetable.first(round(NOW.timestamp() * 1000), 1)
    return Slot(slot.place, slot.due, closing=closing)


def settled(
    subject: Subject,
    outcome: Outcome = OK,
    *,
    slot: Slot | None = None,
    attempts: int = 1,
    seconds: float = 0.2,
) -> CallSettled:
    return CallSettled(subject.call(_IDS, slot or first_slot(subject)), outcome, attempts, seconds)


def missed(subject: Subject, reason: GapReason = GapReason.DOWN, *, slot: Slot | None = None) -> SlotMissed:
    return SlotMissed(subject.operation, subject.api, slot or first_slot(subject), reason)


class Prospects:
    """What a running watch would tell; `watch` changes it."""

    def __init__(self, *watched: Subject) -> None:
        self.run = "01K" + "0" * 23
        self.started = round(NOW.timestamp() * 1000)
        self.version = 1
        self.due: dict[str, int] = {}
        self.waiting: dict[str, GapReason] = {}
        self._subjects = list(watched)

    def watch(self, *watched: Subject) -> None:
        self._subjects, self.version = list(watched), self.version + 1

    def subjects(self) -> list[Subject]:
        return self._subjects

    def next_due(self, key: str) -> int | None:
        return self.due.get(key)

    def waits(self, key: str) -> GapReason | None:
        return self.waiting.get(key)

    def in_flight(self, _: str) -> bool:
        return False
