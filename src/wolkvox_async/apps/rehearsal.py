"""What the engine would do with calls, gone through in virtual time. Pure.

Nothing of the engine is imitated: its own scheduler decides, with the limits that a run
would have, and calls are planned in portions as in a run. Only the calls themselves are
made up: each takes as long as it is said to take, and ends well. What the event loop, the
network and other programs need comes on top in a real run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import islice
from math import inf
from typing import Final, TypeAlias

from wolkvox_async.engine.feeding import PORTION
from wolkvox_async.engine.regulation import Regulator
from wolkvox_async.model import Call, CallError, Empty, ErrorKind, Operation, Skipped
from wolkvox_async.scheduling.decisions import Attempt, Limits
from wolkvox_async.scheduling.flow import Flow, FlowPolicy
from wolkvox_async.scheduling.level import Pace
from wolkvox_async.scheduling.queues import Budget, Lane
from wolkvox_async.scheduling.scheduler import Scheduler

_ANSWER: Final = Empty(200, 200, "")
_UNDELIVERED: Final = 2  # times what may be in flight, as in a pass
_NOT_DUE: Final = Skipped(CallError(ErrorKind.NOT_DUE, "asked a moment ago", retryable=False))
_MOMENT: Final = 0.001  # seconds: less than that is no time to wait for

Seconds: TypeAlias = Callable[[Operation, str], float]
"""How long an endpoint of an operation takes to answer, in seconds."""


@dataclass(frozen=True, slots=True)
class Scene:
    """How long calls take, and the limits that nothing exceeds; `auto`: they are found while calls are made."""

    seconds: Seconds
    limits: Limits = field(default_factory=Limits)
    auto: bool = False

    def flow(self) -> Flow | None:
        """Return what finds the limits, if anything does."""
        pace = Pace(ceiling=self.limits.max_in_flight)
        return Flow(FlowPolicy(pace, per_server=self.limits.per_server), now=0.0) if self.auto else None


@dataclass(slots=True)
class Flying:
    """Calls in flight: how many there are, and the most there ever were."""

    now: Counter[str] = field(default_factory=Counter)  # by server
    most: dict[str, int] = field(default_factory=dict)
    most_in_all: int = 0

    def add(self, server: str, in_all: int) -> None:
        """Take in one more to a server, which makes so many `in_all`."""
        self.now[server] += 1
        if self.now[server] > self.most.get(server, 0):
            self.most[server] = self.now[server]
        self.most_in_all = max(self.most_in_all, in_all)


class Audience:
    """Says when calls may be made, and hears what becomes of them; this one lets all of them go, and is deaf."""

    def earliest(self, call: Call) -> float:  # noqa: ARG002 - the same for all
        """Return when a call may be made."""
        return 0.0

    def patience(self, call: Call) -> float:  # noqa: ARG002 - as above
        """Return for how long a call is waited for; one that is due later is not made at all."""
        return inf

    def began(self, call: Call, now: float) -> None:
        """Take in that a call was made."""

    def ended(self, call: Call, now: float) -> None:
        """Take in that it was answered."""

    def skipped(self, call: Call) -> None:
        """Take in that it is not made."""


class Rehearsal:
    """A scheduler and a clock of its own, which begins at 0; times in seconds.

    While a call is waited for, its token waits.
    """

    def __init__(self, scene: Scene, audience: Audience | None = None) -> None:
        flow, limits = scene.flow(), scene.limits
        first = limits if flow is None else replace(limits, max_in_flight=flow.total, per_server=flow.first)
        self._scheduler: Final = Scheduler(first)
        self._regulator: Final = None if flow is None else Regulator(flow, self._scheduler)
        self._lane: Final = Lane(Budget(_UNDELIVERED * limits.max_in_flight), holds=False)
        self._enough: Final = limits.max_in_flight
        self._seconds: Final = scene.seconds
        self._audience: Final = audience or Audience()
        self._waits = limits.token_gap > 0  # something may be due without a call that ends
        self._ends: Final[list[tuple[float, int, Attempt, float]]] = []  # when, in which order, what, how long
        self._sequence = 0
        self.now = 0.0
        self.flying: Final = Flying()

    def add(self, calls: Iterable[Call]) -> None:
        """Queue `calls`, and start whatever may start."""
        for call in calls:
            wait = self._wait(call)
            if wait is not None:
                self._scheduler.add(call, self._lane, now=self.now, due=self.now + wait if wait else None)
        self._start()

    def give_up(self, call: Call) -> bool:
        """Take back a call that is queued; False when it is in flight."""
        return self._scheduler.give_up(call, self._lane, now=self.now) is not None

    def go_through(self, calls: Iterable[Call]) -> None:
        """Make a pass: no more is queued at a time than there is use for."""
        for portion in _portions(calls):
            while self._scheduler.ready >= self._enough:
                self._step(self._next())
            self.add(portion)
        self.finish()

    def finish(self) -> None:
        """Go on until nothing is queued or in flight any more."""
        while (now := self._next()) < inf:
            self._step(now)

    def go_on(self, until: float) -> None:
        """Let the time come to `until`."""
        while (now := self._next()) <= until:
            self._step(now)
        self.now = until

    def _next(self) -> float:
        """Return when something happens next; infinity when nothing does."""
        ready = self._scheduler.next_ready_at() if self._waits else None
        end = self._ends[0][0] if self._ends else inf
        return end if ready is None else min(end, max(ready, self.now))

    def _step(self, now: float) -> None:
        self.now = now
        if self._ends and self._ends[0][0] <= now:
            _, _, attempt, seconds = heappop(self._ends)
            self._end(attempt, seconds)
        else:
            self._start()

    def _end(self, attempt: Attempt, seconds: float) -> None:
        call, now, regulator = attempt.call, self.now, self._regulator
        self.flying.now[call.operation.server] -= 1
        if regulator is not None:
            regulator.note(call.operation.server, seconds, _ANSWER, now)
        following = self._scheduler.done(attempt, _ANSWER, now=now, jitter=0.0).following
        self._scheduler.release(self._lane)
        self._audience.ended(call, now)
        resized = regulator is not None and regulator.regulate(now)
        self._launch(following)
        if following is None or resized:
            self._start()

    def _start(self) -> None:
        while (attempt := self._scheduler.take(now=self.now)) is not None:
            self._launch(attempt)

    def _launch(self, attempt: Attempt | None) -> None:
        """Make the attempt, or the next one of its turn that may be made now."""
        while attempt is not None and (wait := self._wait(attempt.call)) != 0:
            if wait is not None:
                self._scheduler.postpone(attempt, now=self.now, until=self.now + wait)
                return
            attempt = self._scheduler.dismiss(attempt, _NOT_DUE, now=self.now).following
        if attempt is not None:
            self._make(attempt)

    def _wait(self, call: Call) -> float | None:
        """Return for how long a call is to be waited for; None when it is not made at all."""
        wait = self._audience.earliest(call) - self.now
        if wait <= _MOMENT:
            return 0.0
        if wait > self._audience.patience(call):
            self._audience.skipped(call)
            return None
        self._waits = True
        return wait

    def _make(self, attempt: Attempt) -> None:
        call = attempt.call
        seconds = self._seconds(call.operation, call.api)
        self._sequence += 1
        heappush(self._ends, (self.now + seconds, self._sequence, attempt, seconds))
        self.flying.add(call.operation.server, len(self._ends))
        self._audience.began(call, self.now)


def _portions(calls: Iterable[Call]) -> Iterator[list[Call]]:
    supply = iter(calls)
    while portion := list(islice(supply, PORTION)):
        yield portion
