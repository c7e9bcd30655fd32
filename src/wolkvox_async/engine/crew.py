"""The workers: they take attempts, make them, and report how they ended.

Deciding and doing are apart. `dispatch` awaits nothing: it asks the scheduler until
there is nothing more to start and hands each attempt to an idle worker, or to a new one
(there are at most as many as calls may be in flight). One alarm wakes it when the next
token comes due. A worker runs its token's whole turn, one attempt after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from anyio.abc import TaskGroup

from wolkvox_async.classify import classify
from wolkvox_async.model import Answer, AttemptOutcome, Breakdown, Call, ErrorKind, Failed
from wolkvox_async.ports import Alarm, AttemptFailed, Clock, Hook, TokenClosed, Transport, Turn
from wolkvox_async.records import Settlement
from wolkvox_async.scheduling.decisions import Attempt, Requeued, Settled
from wolkvox_async.scheduling.scheduler import CLOSING, Scheduler
from wolkvox_async.windows import next_midnight, timezone

REFUSED_FOR: Final = 3600.0  # seconds that a refused token stays closed


@dataclass(frozen=True, slots=True)
class Report:
    """An attempt's call ended; `size` is that of the answer's body, in bytes."""

    settled: Settled
    settlement: Settlement
    size: int


@dataclass(frozen=True, slots=True)
class CrewParts:
    """What the workers work with; `server_limit` in seconds, `chance` gives numbers in [0, 1)."""

    scheduler: Scheduler
    transport: Transport
    clock: Clock
    hook: Hook
    chance: Callable[[], float]
    server_limit: float


class Crew:
    """Workers in one task group; `report` is awaited for every call that an attempt ended."""

    def __init__(self, parts: CrewParts, group: TaskGroup, report: Callable[[Report], Awaitable[None]]) -> None:
        self._parts: Final = parts
        self._group: Final = group
        self._report: Final = report
        self._idle: Final[list[asyncio.Future[Attempt]]] = []
        self._attempting: Final[set[asyncio.Task[object]]] = set()
        self._alarm: Alarm | None = None
        self._alarm_at = 0.0
        self._abandoning = False

    def dispatch(self) -> None:
        """Start whatever may start now, and be back when the next token comes due."""
        now = self._parts.clock.now()
        while (attempt := self._parts.scheduler.take(now=now)) is not None:
            if self._idle:
                self._idle.pop().set_result(attempt)
            else:
                self._group.start_soon(self._work, attempt)
        self._set_alarm(self._parts.scheduler.next_ready_at())

    def abandon(self) -> None:
        """Give up every attempt in flight; its call ends as failed, its token stays closed."""
        self._abandoning = True
        for task in self._attempting:
            task.cancel()

    def stop(self) -> None:
        """Ring no more; the task group's owner cancels the workers."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    # --- a worker -----------------------------------------------------------------------

    async def _work(self, attempt: Attempt) -> None:
        while True:
            await self._run_turn(attempt)
            waiting: asyncio.Future[Attempt] = asyncio.get_running_loop().create_future()
            self._idle.append(waiting)
            self.dispatch()
            attempt = await waiting

    async def _run_turn(self, attempt: Attempt) -> None:
        following: Attempt | None = attempt
        async with self._parts.transport.turn(attempt.call.operation) as turn:
            while following is not None:
                following = await self._run_attempt(turn, following)

    async def _run_attempt(self, turn: Turn, attempt: Attempt) -> Attempt | None:
        parts = self._parts
        started = parts.clock.now()
        met = await self._attempt(turn, attempt.call)
        now, utc = parts.clock.now(), parts.clock.utc()
        outcome = classify(met, now=utc)
        open_at = self._open_at(attempt.call, met, outcome)
        ended = parts.scheduler.done(attempt, outcome, now=now, jitter=parts.chance(), open_at=open_at)
        self._tell(attempt, outcome, ended, open_at - now)
        if isinstance(ended, Settled):
            settlement = Settlement(attempt.call, outcome, ended.ended.attempts, utc, now - started)
            await self._report(Report(ended, settlement, len(met.body) if isinstance(met, Answer) else 0))
        elif ended.following is None:
            self.dispatch()
        return ended.following

    async def _attempt(self, turn: Turn, call: Call) -> Answer | Breakdown:
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a worker is a task")
        self._attempting.add(task)
        try:
            return await turn.attempt(call)
        except asyncio.CancelledError:
            if not self._abandoning:
                raise
            task.uncancel()
            # The request may have left just now.
            since = self._parts.clock.now()
            return Breakdown(ErrorKind.STOPPING, "stopped before the answer was complete", since)
        finally:
            self._attempting.discard(task)

    # --- what follows from an outcome -----------------------------------------------------

    def _open_at(self, call: Call, met: Answer | Breakdown, outcome: AttemptOutcome) -> float:
        """Return the monotonic time before which nothing may be sent with the call's token."""
        if isinstance(met, Breakdown):
            return 0.0 if met.unanswered_since is None else met.unanswered_since + self._parts.server_limit
        if not isinstance(outcome, Failed):
            return 0.0
        match outcome.error.kind:
            case ErrorKind.UNAUTHORIZED | ErrorKind.FORBIDDEN:
                return self._parts.clock.now() + REFUSED_FOR
            case ErrorKind.QUOTA:
                # GUESS: the quota's day ends at midnight in the operation's timezone.
                local = self._parts.clock.utc().astimezone(timezone(call.operation.timezone))
                return self._parts.clock.now() + (next_midnight(local) - local).total_seconds()
            case _:
                return 0.0

    def _tell(self, attempt: Attempt, outcome: AttemptOutcome, ended: Settled | Requeued, closed_for: float) -> None:
        if not isinstance(outcome, Failed):
            return
        retry_in = ended.ready_at - self._parts.clock.now() if isinstance(ended, Requeued) else None
        error = outcome.error
        self._parts.hook.observe(AttemptFailed(attempt.call, error.kind, error.message, attempt.number, retry_in))
        if error.kind in CLOSING:
            self._parts.hook.observe(TokenClosed(attempt.call.operation, error.kind, closed_for))

    # --- the alarm ------------------------------------------------------------------------

    def _set_alarm(self, when: float | None) -> None:
        if self._alarm is not None and (when is None or when != self._alarm_at):
            self._alarm.cancel()
            self._alarm = None
        if when is not None and self._alarm is None:
            self._alarm_at = when
            self._alarm = self._parts.clock.alarm(when, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.dispatch()
