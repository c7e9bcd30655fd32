"""The scheduler's rules written to be read: lists, no heaps, everything looked for anew each time.

It shares values and the retry policy with the real one, and no code. It answers in plain
values, so that answers can be compared: lanes are names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from wolkvox_async.model import AttemptOutcome, Call, ErrorKind, Failed, Token
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import Retry, RetryPolicy, Trials

CLOSING: Final = {ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN, ErrorKind.QUOTA}
NEVER_HOLD: Final = {ErrorKind.UNKNOWN_API, ErrorKind.BAD_REQUEST, ErrorKind.TOO_LARGE, ErrorKind.MALFORMED}
WAITS: Final = {ErrorKind.TOKEN_BUSY, ErrorKind.SERVER_DOWN, ErrorKind.MAINTENANCE}


class Leave(NamedTuple):
    """Leave to make an attempt."""

    call: str
    lane: str
    number: int


class End(NamedTuple):
    """How a call ended; of a skipped one only why."""

    call: str
    lane: str
    outcome: AttemptOutcome | ErrorKind
    attempts: int


class Again(NamedTuple):
    """The call will be tried again."""

    failure: Failed
    ready_at: float


class Answer(NamedTuple):
    """What the end of an attempt leads to."""

    call: End | Again
    skipped: tuple[End, ...]
    following: Leave | None


@dataclass
class Item:
    """A call that has not settled."""

    call: Call
    lane: str
    due: float
    tries: int
    faults: int
    waits: int = 0
    waiting_since: float | None = None
    failure: Failed | None = None

    def trials(self, now: float) -> Trials:
        return Trials(self.faults, self.waits, 0.0 if self.waiting_since is None else now - self.waiting_since)

    def ended(self, outcome: AttemptOutcome | ErrorKind) -> End:
        return End(self.call.id, self.lane, outcome, self.tries)


@dataclass
class Line:
    """One token's calls, the first one being the next or the one in flight."""

    items: list[Item] = field(default_factory=list)
    open_at: float = 0.0
    refusal: Failed | None = None
    ready_since: float = 0.0
    place: int = 0
    looked_at: float = 0.0
    turn: tuple[float, int] | None = None  # when it began, attempts so far

    @property
    def due(self) -> float:
        return max(self.open_at, self.items[0].due)

    @property
    def server(self) -> str:
        return self.items[0].call.operation.server

    @property
    def state(self) -> str:
        if not self.items:
            return "IDLE"
        if self.turn is not None:
            return "IN_FLIGHT"
        return "WAITING" if self.due > self.looked_at else "READY"


class NaiveScheduler:
    """What the real one must be indistinguishable from."""

    def __init__(self, limits: Limits, retry: RetryPolicy, *, holds: bool) -> None:
        self.limits: Final = limits
        self.retry: Final = retry
        self.holds: Final = holds
        self.rooms: Final[dict[str, int]] = {}  # by lane
        self.lines: Final[dict[Token, Line]] = {}
        self.undelivered: Final[Counter[str]] = Counter()  # units of room, by lane
        self.closed: Final[set[str]] = set()
        self.held: Final[set[tuple[Token, str]]] = set()
        self.places = 0

    # --- the questions that the real one is asked -----------------------------------

    def add(self, call: Call, lane: str, now: float, attempts: int) -> End | None:
        line = self.lines.setdefault(call.operation.token, Line())
        if lane in self.closed:
            return End(call.id, lane, ErrorKind.STOPPING, attempts)
        if line.refusal is not None and now < line.open_at:
            return End(call.id, lane, _held(line.refusal), attempts)
        line.refusal = None
        if (call.operation.token, lane) in self.held:
            return End(call.id, lane, ErrorKind.HELD, attempts)
        line.items.append(Item(call, lane, now, attempts, attempts))
        if len(line.items) == 1:
            self._stand(line, now, since=now)
        return None

    def take(self, now: float) -> Leave | None:
        for line in self.lines.values():
            line.looked_at = now
        able = self.may_start()
        if not able or self.states()["IN_FLIGHT"] >= self.limits.max_in_flight:
            return None
        return self._launch(min(able, key=lambda line: (line.ready_since, line.place)), now, 0)

    def done(self, token: Token, outcome: AttemptOutcome, now: float, jitter: float, open_at: float) -> Answer:
        line = self.lines[token]
        item = line.items[0]
        item.tries += 1
        line.open_at = max(line.open_at, open_at, now + self.limits.token_gap)
        delay = self._delay(item, outcome, now, jitter) if isinstance(outcome, Failed) else None
        if isinstance(outcome, Failed) and delay is not None:
            item.due = max(now + delay, line.open_at)
            return Answer(Again(outcome, item.due), (), self._follow(line, item, now))
        self.undelivered[item.lane] += 1
        skipped = self._consequences(line, outcome) if isinstance(outcome, Failed) else ()
        line.items.remove(item)
        return Answer(item.ended(outcome), skipped, self._follow(line, item, now))

    def charge(self, lane: str, units: int) -> None:
        self.undelivered[lane] += units

    def release(self, lane: str, units: int) -> None:
        self.undelivered[lane] -= units

    def drain(self, lane: str | None, now: float) -> dict[str, End]:
        unsettled = [item.lane for line in self.lines.values() for item in line.items]
        self.closed.update(unsettled if lane is None else [lane])
        gone = [item for line in self.lines.values() for item in self._remove(line, lane, now)]
        return {item.call.id: item.ended(item.failure or ErrorKind.STOPPING) for item in gone}

    def withdraw(self, call: Call, lane: str, now: float) -> bool:
        self.closed.add(lane)
        line = self.lines.get(call.operation.token)
        return line is not None and bool(self._remove(line, lane, now))

    def next_ready_at(self) -> float | None:
        return min((line.due for line in self.lines.values() if line.state == "WAITING"), default=None)

    # --- what there is to see -------------------------------------------------------

    def states(self) -> Counter[str]:
        return Counter(line.state for line in self.lines.values())

    def queued(self) -> int:
        return sum(len(line.items) for line in self.lines.values())

    def may_start(self) -> list[Line]:
        """Return the tokens that are due and find room at their server and in their lane."""
        used = Counter(line.server for line in self.lines.values() if line.turn is not None)
        return [
            line
            for line in self.lines.values()
            if line.state == "READY"
            and used[line.server] < self.limits.per_server
            and self._lane_has_room(line.items[0].lane)
        ]

    def waiting_after(self) -> Counter[ErrorKind]:
        heads = (line.items[0].failure for line in self.lines.values() if line.state == "WAITING")
        return Counter(failure.error.kind for failure in heads if failure is not None)

    # --- how it gets there ----------------------------------------------------------

    def _stand(self, line: Line, now: float, *, since: float) -> None:
        self.places += 1
        line.place, line.looked_at = self.places, now
        line.ready_since = line.due if line.due > now else since

    def _lane_has_room(self, lane: str) -> bool:
        flying = sum(line.turn is not None and line.items[0].lane == lane for line in self.lines.values())
        return flying + self.undelivered[lane] < self.rooms[lane]

    def _launch(self, line: Line, began: float, attempts: int) -> Leave:
        item = line.items[0]
        line.turn = (began, attempts + 1)
        return Leave(item.call.id, item.lane, item.tries + 1)

    def _follow(self, line: Line, last: Item, now: float) -> Leave | None:
        assert line.turn is not None
        (began, attempts), line.turn = line.turn, None
        if not line.items:
            return None
        in_time = attempts < self.limits.turn_calls and now - began < self.limits.turn_seconds
        same_server = line.server == last.call.operation.server
        if in_time and same_server and line.due <= now and self._lane_has_room(line.items[0].lane):
            return self._launch(line, began, attempts)
        self._stand(line, now, since=now)
        return None

    def _delay(self, item: Item, failure: Failed, now: float, jitter: float) -> float | None:
        item.failure = failure
        if failure.error.kind in WAITS:
            item.waits += 1
            item.waiting_since = now if item.waiting_since is None else item.waiting_since
        else:
            item.faults += 1
        decision = self.retry.decide(failure, item.trials(now), jitter=jitter)
        return decision.delay if isinstance(decision, Retry) and item.lane not in self.closed else None

    def _consequences(self, line: Line, failure: Failed) -> tuple[End, ...]:
        kind, (first, *others) = failure.error.kind, line.items
        if kind in CLOSING:
            line.refusal = failure
            skipped = others
        elif self.holds and kind not in NEVER_HOLD:
            self.held.add((first.call.operation.token, first.lane))
            skipped = [item for item in others if item.lane == first.lane]
        else:
            skipped = []
        line.items = [item for item in line.items if item not in skipped]
        return tuple(item.ended(_held(failure)) for item in skipped)

    def _remove(self, line: Line, lane: str | None, now: float) -> list[Item]:
        head = line.items[0] if line.items else None
        flying = line.items[:1] if line.turn is not None else []
        gone = [item for item in line.items if item not in flying and lane in (None, item.lane)]
        since = min(line.ready_since, now)
        line.items = [item for item in line.items if item not in gone]
        if line.items and line.items[0] is not head:
            self._stand(line, now, since=since)
        return gone


def _held(failure: Failed) -> ErrorKind:
    return ErrorKind.QUOTA if failure.error.kind is ErrorKind.QUOTA else ErrorKind.HELD
