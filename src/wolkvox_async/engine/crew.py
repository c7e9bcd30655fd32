"""The workers: they take attempts, make them, and report how they ended.

Deciding and doing are apart. `dispatch` awaits nothing: it asks the scheduler until
there is nothing more to start and hands each attempt to an idle worker, or to a new one.
One alarm wakes it when the next token comes due. A worker runs its token's whole turn,
one attempt after the other. When something has to be waited for between two attempts,
another worker goes on with the turn, so that the token waits for nobody.

What goes wrong inside an attempt costs that call alone: an exception that a transport
should not have let out ends as a failed attempt, not as the end of all workers.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import anyio
from anyio.abc import TaskGroup

from wolkvox_async.classify import classify, error
from wolkvox_async.model import Answer, AttemptOutcome, Breakdown, Call, ErrorKind, Failed
from wolkvox_async.ports import Alarm, AttemptFailed, Clock, Hook, TokenClosed, Transport, Turn
from wolkvox_async.records import Settlement
from wolkvox_async.scheduling.decisions import Attempt, Requeued, Settled
from wolkvox_async.scheduling.scheduler import CLOSING, Scheduler

from .closing import Span, closed_until
from .doubt import MESSAGE, Heard

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Report:
    """An attempt's call ended; `size` is that of the answer's body, in bytes."""

    settled: Settled
    settlement: Settlement
    size: int


Rest: TypeAlias = Callable[[], Awaitable[None]]
"""What a worker has to wait for before it is free again."""


@dataclass(frozen=True, slots=True)
class CrewParts:
    """What the workers work with; `server_limit` in seconds, `chance` gives numbers in [0, 1)."""

    scheduler: Scheduler
    transport: Transport
    clock: Clock
    hook: Hook
    chance: Callable[[], float]
    server_limit: float


@dataclass(frozen=True, slots=True)
class _Met:
    """What became of an attempt; `open_at` is when its token may be used again, in monotonic seconds."""

    outcome: AttemptOutcome
    span: Span
    open_at: float
    size: int


class Crew:
    """Workers in one task group; `report` is called for every call that an attempt ended."""

    def __init__(self, parts: CrewParts, report: Callable[[Report], Rest | None]) -> None:
        self._parts: Final = parts
        self._report: Final = report
        self._group: TaskGroup | None = None
        self._workers = 0
        self._idle: Final[list[asyncio.Future[Attempt]]] = []
        self._waiting: Final[set[asyncio.Task[object]]] = set()  # workers that giving up may interrupt
        self._leaving: Final = asyncio.Event()
        self._rested: Final = asyncio.Event()
        self._abandoned: Final = asyncio.Event()
        self._alarm: Alarm | None = None
        self._alarm_at = 0.0

    async def live(self) -> None:
        """Work until `leave` is called, then give up what is in flight; nothing is left when this returns."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                self.dispatch()
                await self._leaving.wait()
                self.abandon()
                while len(self._idle) < self._workers:
                    self._rested.clear()
                    await self._rested.wait()
                group.cancel_scope.cancel()
        finally:
            self._group = None
            self._set_alarm(None)

    def leave(self) -> None:
        """Have `live` come to its end."""
        self._leaving.set()

    def dispatch(self) -> None:
        """Start whatever may start now, and be back when the next token comes due."""
        if self._group is None:
            return
        now = self._parts.clock.now()
        while (attempt := self._parts.scheduler.take(now=now)) is not None:
            self._start(self._group, attempt)
        self._set_alarm(self._parts.scheduler.next_ready_at())

    def abandon(self) -> None:
        """Give up every attempt in flight; its call ends as failed, its token stays closed."""
        self._abandoned.set()
        while self._waiting:
            self._waiting.pop().cancel()

    # --- a worker -----------------------------------------------------------------------

    def _start(self, group: TaskGroup, attempt: Attempt) -> None:
        if self._idle:
            self._idle.pop().set_result(attempt)
        else:
            self._workers += 1
            group.start_soon(self._work, group, attempt)

    async def _work(self, group: TaskGroup, attempt: Attempt) -> None:
        while True:
            await self._run_turn(group, attempt)
            waiting: asyncio.Future[Attempt] = asyncio.get_running_loop().create_future()
            self._idle.append(waiting)
            self.dispatch()
            self._rested.set()
            attempt = await waiting

    async def _run_turn(self, group: TaskGroup, attempt: Attempt) -> None:
        following: Attempt | None = attempt
        async with self._parts.transport.turn(attempt.call.operation) as turn:
            heard = Heard()
            while following is not None:
                met = await self._meet(turn, heard, following.call)
                following, rest = self._take_in(following, met)
                del met  # or a big answer's rows stayed in memory through the next attempt
                if rest is not None:
                    self._go_on_without_me(group, following)
                    await self._unless_abandoned(rest, lambda: None)
                    return

    def _go_on_without_me(self, group: TaskGroup, following: Attempt | None) -> None:
        if following is not None:
            self._start(group, following)
        else:
            self.dispatch()

    def _take_in(self, attempt: Attempt, met: _Met) -> tuple[Attempt | None, Rest | None]:
        """Tell everybody how `attempt` ended; return what follows, and what to wait for before that."""
        parts, outcome, span = self._parts, met.outcome, met.span
        ended = parts.scheduler.done(attempt, outcome, now=span.ended, jitter=parts.chance(), open_at=met.open_at)
        self._tell(attempt, outcome, ended, met)
        if isinstance(ended, Requeued):
            return ended.following, None
        settlement = Settlement(attempt.call, outcome, ended.ended.attempts, span.at, span.ended - span.started)
        return ended.following, self._report(Report(ended, settlement, met.size))

    # --- an attempt ---------------------------------------------------------------------

    async def _meet(self, turn: Turn, heard: Heard, call: Call) -> _Met:
        clock = self._parts.clock
        started = clock.now()
        met = await self._attempt(turn, call)
        span = Span(started, clock.now(), clock.utc())
        outcome = _judge(met, span.at)
        if isinstance(met, Answer) and not met.kept:
            heard.forget()
        if heard.doubts(call.operation.path, outcome):
            turn.distrust()
            heard.forget()
            # The true answer may be on its way still, so the vendor may be at work on it.
            met = Breakdown(ErrorKind.PROTOCOL, MESSAGE, span.ended)
            outcome = _judge(met, span.at)
        open_at = closed_until(call.operation, met, outcome, span, server_limit=self._parts.server_limit)
        return _Met(outcome, span, open_at, len(met.body) if isinstance(met, Answer) else 0)

    async def _attempt(self, turn: Turn, call: Call) -> Answer | Breakdown:
        try:
            return await self._unless_abandoned(lambda: turn.attempt(call), self._given_up)
        except Exception as defect:
            turn.distrust()
            return Breakdown(ErrorKind.PROTOCOL, _confess(defect), self._parts.clock.now())

    def _given_up(self) -> Breakdown:
        # The request may have left just now.
        return Breakdown(ErrorKind.STOPPING, "stopped before the answer was complete", self._parts.clock.now())

    async def _unless_abandoned(self, wait: Callable[[], Awaitable[T]], otherwise: Callable[[], T]) -> T:
        """Return what `wait` comes to; `otherwise` once everything was given up."""
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a worker is a task")
        if self._abandoned.is_set():
            return otherwise()
        self._waiting.add(task)
        try:
            return await wait()
        except asyncio.CancelledError:
            if not self._abandoned.is_set():
                raise
            task.uncancel()
            return otherwise()
        finally:
            self._waiting.discard(task)

    def _tell(self, attempt: Attempt, outcome: AttemptOutcome, ended: Settled | Requeued, met: _Met) -> None:
        if not isinstance(outcome, Failed):
            return
        call, error, now = attempt.call, outcome.error, met.span.ended
        retry_in = ended.ready_at - now if isinstance(ended, Requeued) else None
        self._parts.hook.observe(AttemptFailed(call, error.kind, error.message, attempt.number, retry_in))
        if error.kind in CLOSING:
            self._parts.hook.observe(TokenClosed(call.operation, error.kind, met.open_at - now))

    # --- the alarm ----------------------------------------------------------------------

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


def _judge(met: Answer | Breakdown, at: datetime) -> AttemptOutcome:
    try:
        return classify(met, now=at)
    except Exception as defect:
        return Failed(error(ErrorKind.MALFORMED, _confess(defect)))


def _confess(defect: Exception) -> str:
    # Its text may hold what was sent or answered; where it happened does not.
    *_, (frame, line) = traceback.walk_tb(defect.__traceback__)
    return f"a defect of this program: {type(defect).__name__} at {Path(frame.f_code.co_filename).name}:{line}"
