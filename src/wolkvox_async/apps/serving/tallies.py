"""What happened, counted: numbers that only grow, kept without anybody's metrics library.

There is an event for every call, so counting one is a few additions on objects that are
found by one look-up each: all of it costs what prometheus-client takes to count one thing
with labels. What is exposed is made of them when somebody asks. What grows with servers
has a bound: those seen after the first two hundred are counted together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, assert_never

from wolkvox_async.model import Empty, ErrorKind, Failed, GapReason, Ok, Outcome, Skipped, Slot
from wolkvox_async.ports import AttemptFailed, CallCut, CallSettled, Clock, Event, SlotMissed, TokenClosed

from .wallclock import WallClock

SERVERS: Final = 200
OTHERS: Final = "other"

OUTCOMES: Final[Mapping[type[Outcome], str]] = {Ok: "ok", Empty: "empty", Failed: "failed", Skipped: "skipped"}

DURATIONS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 75.0)
LATENESS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)


class Distribution:
    """Values sorted into buckets with upper bounds (inclusive, ascending), and their sum."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds: Final = bounds
        self._counts: Final = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count `value`."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Yield each upper bound as text, and how many values are not above it."""
        below = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            below += count
            yield bound, below


class OfApi:
    """What calls of one endpoint came to; `seconds` are those of their last attempts."""

    __slots__ = ("outcomes", "rows", "seconds")

    def __init__(self) -> None:
        self.outcomes: Final = dict.fromkeys(OUTCOMES, 0)
        self.rows = 0
        self.seconds: Final = Distribution(DURATIONS)


class Tallies:
    """Counts what the engine tells; a hook.

    `lateness` is that of readings of slots: from when a slot was due until the attempt
    began that brought the reading. A closing reading is taken or missed once, whether its
    call failed or its slot became a gap.
    """

    def __init__(self, clock: Clock) -> None:
        self._now: Final = WallClock(clock).now
        self.apis: Final[dict[str, OfApi]] = {}
        self.servers: Final[dict[str, dict[type[Outcome], int]]] = {}
        self.gaps: Final = dict.fromkeys(GapReason, 0)
        self.failures: Final = dict.fromkeys(ErrorKind, 0)
        self.closures: Final = dict.fromkeys(ErrorKind, 0)
        self.lateness: Final = Distribution(LATENESS)
        self.attempts = 0
        self.closings_taken = 0
        self.closings_missed = 0

    def observe(self, event: Event) -> None:
        """Count `event`."""
        if isinstance(event, CallSettled):  # by far the most
            # What was never sent in a slot leaves a gap, which is told as well.
            if event.attempts or event.call.slot is None:
                self._settled(event)
            return
        match event:
            case CallCut():
                self.attempts += event.attempts
            case SlotMissed():
                self.gaps[event.reason] += 1
                self.closings_missed += event.slot.closing
            case AttemptFailed():
                self.failures[event.kind] += 1
            case TokenClosed():
                self.closures[event.kind] += 1
            case _ as never:
                assert_never(never)

    def place(self, server: str) -> str:
        """Return the name under which `server` is counted: its own, or that of all others."""
        if server in self.servers or len(self.servers) < SERVERS:
            return server
        return OTHERS

    def _settled(self, event: CallSettled) -> None:
        call, outcome = event.call, event.outcome
        kind = type(outcome)
        api = self.apis.get(call.api) or self.apis.setdefault(call.api, OfApi())
        api.outcomes[kind] += 1
        server = call.operation.server
        (self.servers.get(server) or self._new_server(server))[kind] += 1
        if event.attempts:
            self.attempts += event.attempts
            api.seconds.add(event.seconds)
        if isinstance(outcome, Ok):
            api.rows += len(outcome.rows)
        if call.slot is not None:
            self._ended(call.slot, event.seconds, is_reading=kind is Ok or kind is Empty)

    def _new_server(self, server: str) -> dict[type[Outcome], int]:
        return self.servers.setdefault(self.place(server), dict.fromkeys(OUTCOMES, 0))

    def _ended(self, slot: Slot, seconds: float, *, is_reading: bool) -> None:
        # A call may end as failed long after its last attempt: when its next slot comes due.
        if is_reading:
            late = self._now() - seconds - slot.due / 1000
            self.lateness.add(late if late > 0.0 else 0.0)  # noqa: FURB136 - a call of max() costs a tenth of all this
        if slot.closing:
            self.closings_taken += is_reading
            self.closings_missed += not is_reading
