"""The parts that the scheduler is made of.

`SerialQueue` holds one token's calls in order, `Line` orders queues by (due time, stamp),
`Budget` counts what is in use against a limit and keeps the queues that found it used up.
None of them decides anything.

There may be a million queues, nearly all of them alike: added, never tried. So a queue is
one object that holds its first call itself. What only some tokens have (a call that was
tried, a token that is closed, more calls) is an object of its own, or None. That makes less
than 200 bytes for a token with one call: 96 for the queue, 32 for its stamp, 8 for its place
in a row, and 29 to 60 for its entry in the dictionary of all tokens (see places). Its due time
is a number that all calls share that were added together. Further calls take no objects of
their own, which the garbage collector would have to visit: the list of them holds their parts.

A queue stands in one line, or in none while it is in flight. Queues come to a line nearly
always in order: then it is a row, first in, first out. Only who comes out of order (was
woken, or waited for a time of its own) is put into a heap beside it. Neither is searched:
whoever leaves from the middle stays behind there, counts no more, and is passed over when
it comes up. It never stands anywhere again; where calls are left, another queue takes over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heapify, heappop, heappush
from itertools import islice, takewhile
from typing import Any, Final, TypeAlias

from wolkvox_async.model import Call, ErrorKind, Failed, Token

from .retry import UNTRIED, Trials

_FIRST_SWEEP: Final = 64
_PARTS: Final = 4  # of an entry
_MANY: Final = 256  # parts of entries

LATER: Final = 2.0**40
"""Seconds that tokens whose first call yields stand behind their time in a line, so behind all others."""


class State(IntEnum):
    """Where a token is; it is in exactly one of these."""

    IDLE = 0  # nothing to do
    WAITING = 1  # for its time
    READY = 2  # for a slot
    PARKED = 3  # behind a budget: its server's, its lane's, or its server's retries
    IN_FLIGHT = 4  # in its turn


@dataclass(slots=True, eq=False)
class Lane:
    """Calls that belong together, such as one pass; its budget bounds what is undelivered.

    Unless it `holds`, a call that failed says nothing about the others of its token. One that
    `yields` is in no hurry: calls of other lanes go before its own.
    """

    budget: Budget
    closed: bool = False  # takes no more calls, and retries none
    holds: bool = True
    held: dict[Token, Failed] = field(default_factory=dict)  # tokens whose further calls are skipped, and why
    yields: bool = False


@dataclass(slots=True, eq=False)
class Past:
    """What has happened to a call, and to its token while the call is the first; of one queue alone.

    Times in monotonic seconds.
    """

    attempts: int = 0
    ready_at: float = 0.0  # before this the call is not sent
    trials: Trials = UNTRIED
    open_at: float = 0.0  # before this nothing is sent with the token
    closed_by: Failed | None = None  # the refusal; until open_at calls are skipped, not kept
    is_over: bool = False  # the call's slot is: it is not tried again

    @property
    def due(self) -> float:
        """When the call may be sent, as far as it and its token are concerned."""
        return max(self.open_at, self.ready_at)

    @property
    def short_of_quota(self) -> bool:
        """Whether the token is closed because its quota is used up."""
        return self.closed_by is not None and self.closed_by.error.kind is ErrorKind.QUOTA

    def open_for_closing(self) -> None:
        """Let a closing reading try, quota or not: what it does not read is never read."""
        if self.short_of_quota:
            self.open_at, self.closed_by = 0.0, None

    def reopen(self, now: float) -> None:
        """Forget a refusal whose time is over."""
        if now >= self.open_at:
            self.closed_by = None

    def close(self, until: float, refusal: Failed | None) -> None:
        """Keep the token closed until then."""
        self.open_at, self.closed_by = max(self.open_at, until), refusal


Entry: TypeAlias = tuple[Call, Lane, float, Past | None]
"""A call, its lane, when it was added, and what it has been through (None: nothing)."""


class SerialQueue:
    """One token's calls, at least one: first in, first out, at most one in flight."""

    __slots__ = ("added", "call", "due", "lane", "line", "past", "rest", "stamp")

    def __init__(self, call: Call, lane: Lane, added: float, past: Past | None = None) -> None:
        self.call = call  # the one in flight, or the next; so are lane, added and past
        self.lane = lane
        self.added = added
        self.past = past
        self.rest: list[Any] | deque[Any] | None = None  # the entries behind it, their parts one after the other
        self.due = 0.0  # valid while in a line: with the stamp, its place there
        self.stamp = 0
        self.line: Line | None = None  # where it stands; None while it is in flight

    @property
    def since(self) -> float:
        """When it was ready, where it stands among those who are."""
        return self.due - LATER if self.due >= LATER else self.due

    @property
    def state(self) -> State:
        """Where the token is."""
        return State.IN_FLIGHT if self.line is None else self.line.state

    @property
    def token(self) -> Token:
        """Whose calls these are."""
        return self.call.operation.token

    @property
    def owes(self) -> bool:
        """Whether the next attempt is a retry that draws on its server's budget."""
        return self.past is not None and self.past.trials.owes

    def history(self) -> Past:
        """Return what happened to the token and its first call, to be written to."""
        if self.past is None:
            self.past = Past()
        return self.past

    def append(self, entry: Entry) -> None:
        """Put a call behind the others."""
        rest = self.rest
        if rest is None:
            rest = self.rest = []
        elif len(rest) == _MANY:
            rest = self.rest = deque(rest)  # which is large, but quick to take from at the front
        rest.extend(entry)

    def insert(self, entry: Entry, *, behind: int = 0) -> None:
        """Put a call behind the first one and so many others, before the rest."""
        if isinstance(self.rest, deque):
            self.rest.rotate(-_PARTS * behind)
            self.rest.extendleft(reversed(entry))
            self.rest.rotate(_PARTS * behind)
        elif self.rest is None:
            self.rest = list(entry)
        else:
            self.rest[_PARTS * behind : _PARTS * behind] = entry

    def before_yielding(self) -> int:
        """Return how many calls stand behind the first one before any that yields."""
        lanes = islice(self.rest or (), 1, None, _PARTS)
        return sum(1 for _ in takewhile(lambda lane: not lane.yields, lanes))

    def entries(self) -> list[Entry]:
        """Return all calls, the first one first."""
        return [(self.call, self.lane, self.added, self.past), *self._behind()]

    def advance(self, now: float) -> bool:
        """Go on to the next call, the first being over; False when there is none."""
        past, rest = self.past, self.rest
        if not rest:
            return False
        if isinstance(rest, list):
            self.call, self.lane, self.added, self.past = rest[:4]
            del rest[:4]
        else:
            take = rest.popleft
            self.call, self.lane, self.added, self.past = take(), take(), take(), take()
        if past is not None:
            self.past = outlived(past, self.past, now)
        return True

    def take_rest(self, lane: Lane | None) -> list[Entry]:
        """Remove and return what stands behind the first call and belongs to `lane` (None: to any)."""
        behind, self.rest = self._behind(), None
        for entry in behind:
            if lane is not None and entry[1] is not lane:
                self.append(entry)
        return [entry for entry in behind if lane is None or entry[1] is lane]

    def take_from_rest(self, call: str) -> Entry | None:
        """Remove and return the call of that id, where it stands behind the first one."""
        behind = self._behind()
        found = next((entry for entry in behind if entry[0].id == call), None)
        if found is not None:
            self.rest = None
            for entry in behind:
                if entry is not found:
                    self.append(entry)
        return found

    def _behind(self) -> list[Entry]:
        parts = iter(self.rest or ())
        return list(zip(parts, parts, parts, parts, strict=True))


def outlived(past: Past | None, following: Past | None, now: float) -> Past | None:
    """Return the past of the call that follows: a token stays closed when its call is over."""
    if past is None or past.open_at <= now:
        return following
    heir = following or Past()
    heir.close(past.open_at, past.closed_by)
    return heir


class Line:
    """Queues by (due time, stamp), all in one state."""

    __slots__ = ("_heap", "_row", "count", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.count = 0
        self._row: deque[SerialQueue] = deque()
        self._heap: list[tuple[float, int, SerialQueue]] = []  # those who came out of order

    def push(self, queue: SerialQueue) -> None:
        """Have `queue` stand where its due time and its stamp belong."""
        row, due = self._row, queue.due
        if not row or (last := row[-1]).due < due or (last.due == due and last.stamp < queue.stamp):
            row.append(queue)
        else:
            heappush(self._heap, (due, queue.stamp, queue))
        queue.line = self
        self.count += 1

    def pop(self) -> SerialQueue | None:
        """Remove and return the first queue, or None."""
        if not self.count:
            return None
        row = self._row
        in_order = not self._heap and row[0].line is self
        queue = row.popleft() if in_order else self._pop_either()
        queue.line = None
        self.count -= 1
        return queue

    def first(self) -> SerialQueue | None:
        """Return the first queue, or None."""
        if not self.count:
            return None
        self._pass_over()
        return self._heap[0][2] if self._heap_is_first() else self._row[0]

    def leave(self, queue: SerialQueue) -> None:
        """Have `queue`, which stands here, count no more, here or anywhere."""
        queue.line = None
        self.count -= 1
        if len(self._row) + len(self._heap) > 2 * self.count + _FIRST_SWEEP:
            self._row = deque(queue for queue in self._row if queue.line is self)
            self._heap = [place for place in self._heap if place[2].line is self]
            heapify(self._heap)

    def _pop_either(self) -> SerialQueue:
        self._pass_over()
        return heappop(self._heap)[2] if self._heap_is_first() else self._row.popleft()

    def _pass_over(self) -> None:
        """Drop those who left from the front."""
        while self._row and self._row[0].line is not self:
            self._row.popleft()
        while self._heap and self._heap[0][2].line is not self:
            heappop(self._heap)

    def _heap_is_first(self) -> bool:
        if not self._heap or not self._row:
            return bool(self._heap)
        due, stamp, _ = self._heap[0]
        return (due, stamp) < (self._row[0].due, self._row[0].stamp)

    def __iter__(self) -> Iterator[SerialQueue]:
        """Go over the queues in no order."""
        yield from (queue for queue in self._row if queue.line is self)
        yield from (queue for _, _, queue in self._heap if queue.line is self)


class Budget:
    """So many at once; the queues that found it used up are parked here, in order."""

    __slots__ = ("limit", "parked", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.parked = Line(State.PARKED)

    @property
    def free(self) -> bool:
        """Whether one more may be in use."""
        return self.used < self.limit

    def resize(self, limit: int) -> None:
        """Let so many be in use; more may be until enough was given back."""
        self.limit = at_least_one(limit)


def at_least_one(limit: int) -> int:
    """Return `limit`; raises `ValueError` when nothing could ever start."""
    if limit < 1:
        raise ValueError("a limit is at least 1")
    return limit
