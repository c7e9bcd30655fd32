"""Deadlines, all of them swept up by one timer.

A timer per attempt costs more than the rest of its bookkeeping, and hardly ever rings. So
a deadline is a number that is written down, and a heap says when to look at it: an entry
there may be too early, never too late. Where it is met and its deadline has moved on, or
is not set, it is put back, or left out. A connection that asks question after question
has one entry, which is touched once in the length of a time-out.

What is entered and no longer needed is cleared out as soon as it outweighs the rest: the
heap never holds more than twice as many entries as there are deadlines, and `_SPARE`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from types import TracebackType
from typing import Final, Self

_SPARE: Final = 64

# uvloop's timers count in milliseconds, and may ring up to one too early.
_EARLY: Final = 0.001


class Deadline:
    """Something that must have happened `at` (monotonic seconds; `inf` while nothing must), or `ring` is called."""

    __slots__ = ("_deadlines", "at", "entered", "ring")

    def __init__(self, deadlines: Deadlines, ring: Callable[[], None]) -> None:
        self._deadlines: Final = deadlines
        self.at = inf
        self.entered = inf  # where it stands in the heap; never later than `at`
        self.ring: Callable[[], None] | None = ring
        deadlines.count += 1

    def set(self, at: float) -> None:
        """Say that it must have happened by `at`."""
        self.at = at
        if at < self.entered:
            self._deadlines.enter(self)

    def clear(self) -> None:
        """Say that it has happened."""
        self.at = inf

    def drop(self) -> None:
        """Say that it will not be set again; as often as one likes."""
        self.at = inf
        if self.ring is not None:
            self.ring = None
            self._deadlines.count -= 1


class Deadlines:
    """The deadlines of one transport; `count` of them are in use."""

    def __init__(self) -> None:
        self.count = 0
        self._loop: Final = asyncio.get_running_loop()
        self._heap: list[tuple[float, int, Deadline]] = []
        self._numbers: Final = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf

    @property
    def entries(self) -> int:
        """How many entries the heap has, those that are not needed any more among them."""
        return len(self._heap)

    def enter(self, deadline: Deadline) -> None:
        """Have a look at `deadline` when it says."""
        deadline.entered = deadline.at
        heappush(self._heap, (deadline.at, next(self._numbers), deadline))
        if len(self._heap) > 2 * self.count + _SPARE:
            self._clear_out()
        if deadline.at < self._rings_at:
            self._arm()

    def rest(self) -> None:
        """Have no timer, because no deadline is set."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = None, inf
        for _, _, deadline in self._heap:
            deadline.entered = inf
        self._heap.clear()

    def _clear_out(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].ring and entry[0] == entry[2].entered]
        heapify(self._heap)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings_at = None, inf
        if self._heap:
            self._rings_at = self._heap[0][0]
            self._timer = self._loop.call_at(self._rings_at, self._sweep)

    def _sweep(self) -> None:
        self._timer, self._rings_at = None, -inf  # what is entered meanwhile arms no timer
        now = self._loop.time() + _EARLY
        while self._heap and self._heap[0][0] <= now:
            entered, _, deadline = heappop(self._heap)
            if entered == deadline.entered:
                deadline.entered = inf
                self._look_at(deadline, now)
        self._arm()

    def _look_at(self, deadline: Deadline, now: float) -> None:
        if deadline.at > now:
            deadline.set(deadline.at)  # an infinite one enters nothing
            return
        ring = deadline.ring
        deadline.clear()
        if ring is not None:
            ring()


class TimeLimit:
    """A block whose task is cancelled when it takes longer than until `at`; `expired` says that this came about."""

    __slots__ = ("_at", "_before", "_deadline", "_rang", "_task", "expired")

    def __init__(self, deadlines: Deadlines, at: float) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit is for a task")
        self._task: Final = task
        self._before: Final = task.cancelling()
        self._at: Final = at
        self._deadline: Final = Deadline(deadlines, self._ring)
        self._rang = False
        self.expired = False

    def __enter__(self) -> Self:
        self._deadline.set(self._at)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._deadline.drop()
        if self._rang and self._task.uncancel() <= self._before:
            self.expired = kind is not None and issubclass(kind, asyncio.CancelledError)
        return self.expired

    def _ring(self) -> None:
        self._rang = True
        self._task.cancel()
