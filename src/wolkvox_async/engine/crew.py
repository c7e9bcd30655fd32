"""The workers: they take attempts, make them, and report how they ended.

Deciding and doing are apart. `dispatch` awaits nothing: it asks the scheduler until
there is nothing more to start, claims the token of each attempt, and hands it to an idle
worker, or to a new one. A token that another process has, or whose lost call may still
be at work, goes back to the scheduler. One alarm wakes it when the next token comes due.

A worker runs its token's whole turn, one attempt after the other, and holds the token for
as long. When something has to be waited for between two attempts, another worker goes on
with the turn, so that the token waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, assert_never

import anyio
from anyio.abc import TaskGroup

from wolkvox_async.errors import StateError
from wolkvox_async.model import Failed
from wolkvox_async.ports import (
    Alarm,
    AttemptFailed,
    Clock,
    Closed,
    Granted,
    Hook,
    State,
    Taken,
    TokenClosed,
    Transport,
    Unread,
)
from wolkvox_async.scheduling.decisions import Attempt, Ended, Requeued, Settled
from wolkvox_async.scheduling.queues import Lane
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.scheduling.skipping import CLOSING, held_by
from wolkvox_async.settlements import Settlement

from .admission import Go, Later
from .attempts import Attempts
from .doubt import Heard
from .feeding import Appetite
from .permits import Met, Permits, Terms
from .regulation import Regulator

TELL_AGAIN: Final = 1.0  # seconds between two reports of when calls that wait for a retry have had it
ASK_AGAIN: Final = 0.5  # seconds until a token that another process has is asked for again
GIVE_WAY: Final = 2 * ASK_AGAIN  # seconds for which a token is left to another process that waits for it


Rest: TypeAlias = Callable[[], Awaitable[object]]
"""What a worker has to wait for before it is free again."""


class Office(Protocol):
    """Who is told how calls end."""

    def ended(self, settled: Settled, settlement: Settlement, size: int) -> Rest | None:
        """Take in a call that an attempt ended; `size` is that of the answer's body, in bytes."""

    def unsent(self, calls: Iterable[Ended]) -> None:
        """Take in calls that ended without another attempt."""

    def caught_up(self, lane: Lane) -> asyncio.Future[bool] | None:
        """Return what is done when the reader of a lane's records has taken what there is, if anybody reads.

        It comes to False when he stands still.
        """

    def broke(self, error: StateError) -> None:
        """Take in that nothing more may be called."""


@dataclass(frozen=True, slots=True)
class CrewParts:
    """What the workers work with; `server_limit` in seconds, `chance` gives numbers in [0, 1).

    Without a `regulator` the limits stay as they are.
    """

    scheduler: Scheduler
    transport: Transport
    clock: Clock
    hook: Hook
    chance: Callable[[], float]
    state: State
    server_limit: float
    terms: Terms
    regulator: Regulator | None = None


@dataclass(frozen=True, slots=True)
class _Start:
    """A turn that starts, or goes on; `unread`: others have used the token since we looked."""

    attempt: Attempt
    unread: bool = False


class Crew:
    """Workers in one task group."""

    def __init__(self, parts: CrewParts, permits: Permits, office: Office, appetite: Appetite) -> None:
        self._parts: Final = parts
        self._permits: Final = permits
        self._office: Final = office
        self._appetite: Final = appetite
        self._attempts: Final = Attempts(permits, parts.clock, parts.server_limit)
        self._group: TaskGroup | None = None
        self._workers = 0
        self._idle: Final[list[asyncio.Future[_Start]]] = []
        self._is_leaving = False
        self._woken: Final = asyncio.Event()  # an alarm rang, or it is time to leave
        self._rested: Final = asyncio.Event()
        self._alarm: Alarm | None = None
        self._alarm_at = 0.0
        self._down: Mapping[str, float] = {}
        self._short: Mapping[str, float] = {}
        self._told_at = 0.0  # where retries are used up

    async def live(self) -> None:
        """Work until `leave` is called, then give up what is in flight; nothing is left when this returns."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                while not self._is_leaving:
                    self.dispatch()
                    await self._woken.wait()
                    self._woken.clear()
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
        self._is_leaving = True
        self._woken.set()

    def abandon(self) -> None:
        """Give up every attempt in flight; its call ends as failed, its token stays closed."""
        self._attempts.abandon()

    def dispatch(self) -> None:
        """Start whatever may start now, and be back when the next token comes due."""
        if self._group is None:
            return
        if self._alarm is not None or self._parts.scheduler.is_waited_for:
            try:
                self._hand_out(self._group, self._parts.clock.now())
            except StateError as error:
                self._office.broke(error)
            self._set_alarm(self._parts.scheduler.next_ready_at())
        self._appetite.look()

    def _hand_out(self, group: TaskGroup, now: float) -> None:
        scheduler = self._parts.scheduler
        self._office.unsent(scheduler.expired(now=now))
        while (attempt := scheduler.take(now=now)) is not None:
            while attempt is not None:
                attempt = self._claim(group, attempt, now)

    def _claim(self, group: TaskGroup, attempt: Attempt, now: float) -> Attempt | None:
        """Start the attempt if its token is to be had; return what follows when its call ends instead."""
        if attempt.lane.yields and self._is_wanted(attempt):
            self._parts.scheduler.postpone(attempt, now=now, until=now + GIVE_WAY)
            return None
        match self._permits.holder.claim(attempt.call.operation.token.id):
            case Granted():
                self._start(group, _Start(attempt))
            case Unread():
                self._start(group, _Start(attempt, unread=True))
            case Closed(seconds=seconds):
                self._parts.scheduler.postpone(attempt, now=now, until=now + seconds)
            case Taken():
                if not attempt.lane.yields:
                    self._parts.state.want(attempt.call.operation.token.id)
                return self._put_off(attempt, now)
            case _ as never:
                assert_never(never)
        return None

    def _is_wanted(self, attempt: Attempt) -> bool:
        return self._parts.state.is_wanted(attempt.call.operation.token.id)

    def _put_off(self, attempt: Attempt, now: float) -> Attempt | None:
        """Ask for the token again in a moment; return what follows when the call has waited long enough."""
        settled = self._parts.scheduler.postpone(attempt, now=now, until=now + ASK_AGAIN, busy=True)
        return None if settled is None else self._settle(settled)

    def _settle(self, settled: Settled) -> Attempt | None:
        self._office.unsent((settled.ended, *settled.skipped))
        return settled.following

    # --- a worker -----------------------------------------------------------------------

    def _start(self, group: TaskGroup, start: _Start) -> None:
        if self._idle:
            self._idle.pop().set_result(start)
        else:
            self._workers += 1
            group.start_soon(self._work, group, start)

    async def _work(self, group: TaskGroup, start: _Start) -> None:
        while True:
            token = start.attempt.call.operation.token.id
            try:
                await self._run_turn(group, start)
            except StateError as error:
                self._office.broke(error)
            finally:
                self._permits.holder.drop(token)
            waiting: asyncio.Future[_Start] = asyncio.get_running_loop().create_future()
            self._idle.append(waiting)
            self.dispatch()
            self._rested.set()
            start = await waiting

    async def _run_turn(self, group: TaskGroup, start: _Start) -> None:
        if start.unread:
            await self._permits.look(start.attempt.call.operation.token.id)
        following = self._admitted(start.attempt)
        if following is None:
            return
        async with self._parts.transport.turn(following.call.operation) as turn:
            heard = Heard()
            with self._attempts.interruptible():
                while following is not None:
                    met = await self._attempts.meet(turn, heard, following.call)
                    if met is None:
                        following = self._admitted(self._put_off(following, self._parts.clock.now()))
                        continue
                    following, rest = self._take_in(following, met)
                    del met  # or a big answer's rows stayed in memory through the next attempt
                    following = self._admitted(following)
                    if rest is not None:
                        self._go_on_without_me(group, following)
                        await self._attempts.wait(rest)
                        return
                    if following is not None and not following.lane.budget.free:
                        following = await self._behind_the_reader(following)
                    if following is not None and following.lane.yields:
                        following = self._unless_wanted(following)

    def _unless_wanted(self, attempt: Attempt) -> Attempt | None:
        """Leave the token to another process that waits for it; its call keeps its place."""
        if not self._is_wanted(attempt):
            return attempt
        now = self._parts.clock.now()
        settled = self._parts.scheduler.postpone(attempt, now=now, until=now + GIVE_WAY)
        return None if settled is None else self._admitted(self._settle(settled))

    async def _behind_the_reader(self, attempt: Attempt) -> Attempt | None:
        """Wait for a reader who is a little behind, with the connection open; the turn ends if he stands still."""
        caught_up = self._office.caught_up(attempt.lane)
        if caught_up is None or await self._attempts.wait(lambda: caught_up):
            return attempt
        now = self._parts.clock.now()
        settled = self._parts.scheduler.postpone(attempt, now=now, until=now)
        return None if settled is None else self._admitted(self._settle(settled))

    def _admitted(self, attempt: Attempt | None) -> Attempt | None:
        """Return the next attempt of the turn that may be made now; calls that may not be made end on the way."""
        while attempt is not None:
            if (refusal := self._permits.refusal(attempt.call)) is not None:
                attempt = self._refused(attempt, *refusal)
                continue
            verdict, now = self._permits.verdict(attempt.call), self._parts.clock.now()
            match verdict:
                case Go():
                    return attempt
                case Later(seconds=seconds):
                    self._parts.scheduler.postpone(attempt, now=now, until=now + seconds)
                    return None
                case reason:
                    attempt = self._settle(self._parts.scheduler.dismiss(attempt, reason, now=now))
        return None

    def _refused(self, attempt: Attempt, failure: Failed, until: float) -> Attempt | None:
        now, scheduler = self._parts.clock.now(), self._parts.scheduler
        self._office.unsent(scheduler.close(attempt.call.operation.token, failure, now=now, until=until))
        return self._settle(scheduler.dismiss(attempt, held_by(failure), now=now))

    def _go_on_without_me(self, group: TaskGroup, following: Attempt | None) -> None:
        if following is not None:
            self._permits.holder.keep(following.call.operation.token.id)
            self._start(group, _Start(following))
        else:
            self.dispatch()

    def _take_in(self, attempt: Attempt, met: Met) -> tuple[Attempt | None, Rest | None]:
        """Tell everybody how `attempt` ended; return what follows, and what to wait for before that."""
        parts, outcome, span = self._parts, met.outcome, met.span
        seconds = span.ended - span.started
        if parts.regulator is not None:
            parts.regulator.note(attempt.call.operation.server, seconds, outcome, span.ended)
        ended = parts.scheduler.done(attempt, outcome, now=span.ended, jitter=parts.chance(), open_at=met.closing.until)
        if parts.regulator is not None and parts.regulator.regulate(span.ended):
            self.dispatch()
        if isinstance(outcome, Failed):
            self._tell(attempt, ended, outcome, met)
        elif self._down or self._short:  # only an answer ends that
            self._note_servers(span.ended)
        if isinstance(ended, Requeued):
            return ended.following, None
        asked = span.ended - met.sent_at
        settlement = Settlement(attempt.call, outcome, ended.ended.attempts, span.at, seconds, asked)
        return ended.following, self._office.ended(ended, settlement, met.size)

    def _tell(self, attempt: Attempt, ended: Settled | Requeued, outcome: Failed, met: Met) -> None:
        call, error, now = attempt.call, outcome.error, met.span.ended
        retry_in = ended.ready_at - now if isinstance(ended, Requeued) else None
        self._parts.hook.observe(AttemptFailed(call, error.kind, error.message, attempt.number, retry_in))
        if error.kind in CLOSING:
            self._parts.hook.observe(TokenClosed(call.operation, error.kind, met.closing.until - now))
        self._note_servers(now)

    def _note_servers(self, now: float) -> None:
        down, short = self._parts.scheduler.down(), self._parts.scheduler.short()
        # With every call that joins those who wait for a retry, or has it, their times change.
        is_late = short != self._short and now >= self._told_at + TELL_AGAIN
        if down == self._down and short.keys() == self._short.keys() and not is_late:
            return
        self._down, self._short, self._told_at = dict(down), dict(short), now
        self._parts.state.note_servers(
            {server: at - now for server, at in down.items()},
            {server: max(at - now, 0.0) for server, at in short.items()},
        )

    # --- the alarm ----------------------------------------------------------------------

    def _set_alarm(self, when: float | None) -> None:
        if self._alarm is not None and (when is None or when != self._alarm_at):
            self._alarm.cancel()
            self._alarm = None
        if when is not None and self._alarm is None:
            self._alarm_at = when
            self._alarm = self._parts.clock.alarm(when, self._ring)

    def _ring(self) -> None:
        # A worker is started by a task; this is none.
        self._alarm = None
        self._woken.set()
