"""The parts that the scheduler is made of.

`SerialQueue` holds one token's calls in order, `ReadyHeap` orders queues by (time,
sequence), `Budget` counts what is in use against a limit and keeps the queues that
found it used up. None of them decides anything.

A queue stands in at most one of the heaps that it may start from. Heaps are not searched: an entry whose stamp is no
longer its queue's is stale, and skipped when it comes up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import Final

from wolkvox_async.model import Call, Failed, Token

from .retry import UNTRIED, Trials

_FIRST_SWEEP: Final = 64


class State(IntEnum):
    """Where a token is; it is in exactly one of these."""

    IDLE = 0  # nothing to do
    WAITING = 1  # for its time
    READY = 2  # for a slot
    PARKED = 3  # behind a budget: its server's, its lane's, or its server's retries
    IN_FLIGHT = 4  # in its turn


@dataclass(slots=True, eq=False)
class Lane:
    """Calls that belong together, such as one pass; its budget bounds what is undelivered."""

    budget: Budget
    closed: bool = False  # takes no more calls, and retries none
    held: dict[Token, Failed] = field(default_factory=dict)  # tokens whose further calls are skipped, and why


@dataclass(slots=True, eq=False)
class Entry:
    """A call in its queue, with what it has been through."""

    call: Call
    lane: Lane
    added: float
    ready_at: float
    attempts: int = 0
    trials: Trials = UNTRIED


class SerialQueue:
    """One token's calls: first in, first out, at most one in flight."""

    __slots__ = (
        "closed_by",
        "due",
        "entries",
        "open_at",
        "parked_at",
        "stamp",
        "state",
        "turn_calls",
        "turn_started",
    )

    def __init__(self) -> None:
        self.entries: list[Entry] = []  # the first one is the one in flight, or the next
        self.state = State.IDLE
        self.due = 0.0  # valid while in a heap
        self.stamp = 0  # the only heap entry that counts
        self.open_at = 0.0  # before this nothing is sent with the token
        self.closed_by: Failed | None = None  # the refusal; until open_at calls are skipped, not kept
        self.parked_at: Budget | None = None  # valid while parked
        self.turn_calls = 0  # attempts of the turn so far
        self.turn_started = 0.0

    @property
    def head(self) -> Entry:
        """The call in flight, or the next one."""
        return self.entries[0]

    def head_due(self) -> float:
        """When the next call may be sent, as far as the token itself is concerned."""
        return max(self.open_at, self.head.ready_at)

    def reopen(self, now: float) -> None:
        """Forget a refusal whose time is over."""
        if now >= self.open_at:
            self.closed_by = None

    def take_out(self, lane: Lane | None) -> list[Entry]:
        """Remove and return what is not in flight and belongs to `lane` (None: to any)."""
        flying = 1 if self.state is State.IN_FLIGHT else 0
        staying = self.entries[:flying]
        leaving: list[Entry] = []
        for entry in self.entries[flying:]:
            (leaving if lane is None or entry.lane is lane else staying).append(entry)
        self.entries = staying
        return leaving


class ReadyHeap:
    """Queues by (time, sequence); stale entries are skipped, and swept as the heap grows."""

    __slots__ = ("_heap", "_sweep_at")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, SerialQueue]] = []
        self._sweep_at = _FIRST_SWEEP

    def push(self, queue: SerialQueue, at: float | None = None) -> None:
        """Put `queue` where its due time (or the time `at`) and its stamp belong."""
        heappush(self._heap, (queue.due if at is None else at, queue.stamp, queue))
        if len(self._heap) > self._sweep_at:
            self._sweep()

    def pop(self) -> SerialQueue | None:
        """Remove and return the first queue, or None."""
        return heappop(self._heap)[2] if self.peek() is not None else None

    def peek(self) -> SerialQueue | None:
        """Return the first queue, or None."""
        while self._heap:
            _, stamp, queue = self._heap[0]
            if stamp == queue.stamp:
                return queue
            heappop(self._heap)
        return None

    def __bool__(self) -> bool:
        """Tell whether there may be a queue: there certainly is none when this is false."""
        return bool(self._heap)

    def __iter__(self) -> Iterator[SerialQueue]:
        """Go over the queues in no order."""
        return (queue for _, stamp, queue in self._heap if stamp == queue.stamp)

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if entry[1] == entry[2].stamp]
        heapify(self._heap)
        self._sweep_at = 2 * len(self._heap) + _FIRST_SWEEP


class Budget:
    """So many at once; the queues that found it used up are parked here, in order."""

    __slots__ = ("limit", "parked", "used")

    def __init__(self, limit: int) -> None:
        self.limit: Final = limit
        self.used = 0
        self.parked: Final = ReadyHeap()

    @property
    def free(self) -> bool:
        """Whether one more may be in use."""
        return self.used < self.limit
