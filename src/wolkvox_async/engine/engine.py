"""The engine: many passes and single calls over one scheduler.

    async with Engine(...) as engine:
        async with engine.fetch() as records: ...
        result = await engine.call("acme/bogota", "interactions")
        result = await engine.read("acme/bogota", "interactions")  # shared by all who ask

Every token has one queue for as long as the engine lives, whichever pass or task asks.
A call that fails is a value; what is raised is the caller's mistake, or that the state
cannot be used. Leaving the block gives up what is in flight and leaves no task, socket
or timer behind.

The workers live in a task of their own, so the block may be entered in one task and left
in another, and no cancellation reaches them: whoever is cancelled while leaving still
waits until everything is closed. Should a worker break down after all, whoever waits for
records or a result gets an exception, and leaving the block raises what happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

from wolkvox_async.catalog import Catalog
from wolkvox_async.errors import StateError, UsageError
from wolkvox_async.identity import ulid
from wolkvox_async.marks import Mark, SlotMark, mark_of
from wolkvox_async.model import Call, GapReason, Operation, Skipped
from wolkvox_async.planning import RECOMMENDED_INTERVAL, DateRange, MonthWord, Subscription
from wolkvox_async.ports import OpenRun, RunOrder, TokenSource
from wolkvox_async.records import Settlement
from wolkvox_async.scheduling.decisions import Ended, Limits, Snapshot
from wolkvox_async.scheduling.leads import LeadTerms
from wolkvox_async.scheduling.queues import Budget, Lane
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.scheduling.skipping import STOPPING

from .admission import Later
from .crew import Crew, CrewParts
from .deliveries import Deliveries
from .endings import EndingParts, Endings
from .enlisting import Enlistment, Selection
from .feeding import Appetite, Feed
from .lifetime import outlast
from .newest import Newest, Question
from .passes import Records, Run
from .permits import Permits
from .result import CallResult
from .roster import Holds, Roster
from .spare import Spare
from .watching import Watch, WatchParts
from .yard import PassParts


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What an engine is made of; `interval` and `timeout` of attempts in seconds.

    `tenants` says where its operations come from.
    """

    crew: CrewParts
    tokens: TokenSource
    catalog: Catalog
    limits: Limits
    max_attempts: int
    version: str
    interval: float = RECOMMENDED_INTERVAL
    tenants: str = ""
    timeout: float = 65.0


@dataclass(frozen=True, slots=True)
class RunName:
    """How a run is found again: by its name, or (`resume`) as the newest that is not complete.

    A run belongs to one `output`, told apart as text; empty for a service that keeps no file.
    """

    name: str | None = None
    resume: bool = False
    output: str = ""


class Engine:
    """Fetches for many operations at once, each token strictly one call after the other.

    `open_engine` makes it; it may be used inside that block, by any number of tasks of its event loop.
    """

    def __init__(self, subscriptions: Iterable[Subscription], parts: EngineParts) -> None:
        crew = parts.crew
        self._roster: Final = Roster(subscriptions, parts.catalog, parts.interval)
        self._parts: Final = parts
        self._state: Final = crew.state
        self._scheduler: Final[Scheduler] = crew.scheduler
        self._clock: Final = crew.clock
        self._permits: Final = Permits(crew.state, crew.clock, crew.terms)
        self._deliveries: Final = Deliveries(crew.state, self._permits.holder, self._break)
        self._endings: Final = Endings(
            EndingParts(
                scheduler=crew.scheduler,
                roster=self._roster,
                clock=crew.clock,
                hook=crew.hook,
                tokens=parts.tokens,
                state=crew.state,
                deliveries=self._deliveries,
                max_attempts=parts.max_attempts,
                add=self._add,
                add_first=lambda call, lane: self._add(call, lane, first=True),
                broke=self._break,
            )
        )
        self._appetite: Final = Appetite(crew.scheduler, parts.limits.max_in_flight)
        self._newest: Final = Newest(self._call_when_due, crew.clock)
        self._crew: Final = Crew(crew, self._permits, self._endings, self._appetite)
        self._life: asyncio.Task[None] | None = None
        self._failure: StateError | None = None
        self._left = False

    async def __aenter__(self) -> Self:
        if self._life is not None:
            raise UsageError("an engine is entered once: open another one")
        self._life = asyncio.create_task(self._live(), name="wolkvox_async engine")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._life is None or self._left:
            raise UsageError("the engine is not open: it was left already, or never entered")
        self._left = True
        try:
            self.stop()
        finally:
            self._crew.leave()
            try:
                await outlast(self._life)
            finally:
                await self._newest.close()
        if not self._life.cancelled() and (breakdown := self._life.exception()) is not None:
            raise breakdown

    async def _live(self) -> None:
        try:
            await self._crew.live()
        finally:
            self._endings.break_off(RuntimeError("the engine broke down: leaving its block says why"))
            await self._parts.crew.transport.close()
        if self._failure is None:
            await self._state.flush()

    # --- what it is for -------------------------------------------------------------------

    def fetch(
        self,
        *,
        apis: Sequence[str] | None = None,
        only: Sequence[str] | None = None,
        dates: DateRange | None = None,
        run: RunName | str | None = None,
        holds: Holds | None = None,
    ) -> Records:
        """Return one pass over the operations, to be used as a block.

        `apis` restricts the endpoints, `only` the operations (`tenant`, `tenant/operation`,
        with wildcards, or `label=value`); `dates` apply to the endpoints that take dates, and make
        it a backfill, which is in no hurry: other calls go before its own.
        `run` names the run, so that it can be taken up again. Raises `SelectionError`, here
        or (for wrong dates) when the block is entered, and `UsageError` when the engine is
        not open. Entering raises `RunError` for a run that cannot be taken up. Where machines share
        the tokens, `holds` says which are ours.
        """
        self._check_open()
        chosen = Selection(tuple(only or ()), tuple(apis or ()), dates, holds).of(self._roster)
        named = RunName(run) if isinstance(run, str) else run or RunName()

        def counts(opened: OpenRun) -> Iterator[int]:
            self._check_open()
            return self._roster.counts(chosen, now=opened.at, dates=dates)

        def supply(records: Run[Any], opened: OpenRun) -> Feed:
            calls = self._roster.plan(chosen, run=opened.id, now=opened.at, dates=dates)
            return Feed(calls, opened.settled, records)

        order = RunOrder(self._new_id(), self._clock.utc(), named.name, named.resume, self._parts.tenants, named.output)
        lane = Lane(Budget(2 * self._parts.limits.max_in_flight), yields=dates is not None)
        spare = Spare(self._roster, self._parts.interval) if lane.yields else None
        return Records(PassParts(order, lane, self._clock, self._parts.version, counts, supply, spare), self)

    def watch(
        self,
        *,
        apis: Sequence[str] | None = None,
        only: Sequence[str] | None = None,
        dates: DateRange | None = None,
        only_changes: bool = False,
        output: str = "",
        holds: Holds | None = None,
    ) -> Watch:
        """Return a watch over the operations, to be used as a block like a pass: it goes on until it is left.

        Every endpoint of every operation has its slots, one in each interval; each ends with a
        `call` record or a `gap`. With `only_changes` rows come when they differ from the reading
        before. `output` tells outputs apart. Otherwise as `fetch`; entering raises
        `SelectionError` when the interval is 0. Where that changes, `Watch.rehold` asks again what `holds`.
        """
        self._check_open()
        selection = Selection(tuple(only or ()), tuple(apis or ()), dates, holds)
        enlistment = Enlistment(self._roster, self._clock, selection)
        tenants = f"watch {self._parts.tenants}"  # no pass takes it up again
        order = RunOrder(self._new_id(), self._clock.utc(), None, resume=False, tenants=tenants, output=output)
        lane = Lane(Budget(2 * self._parts.limits.max_in_flight), holds=False)
        parts = PassParts(order, lane, self._clock, self._parts.version, lambda _: iter(()), Watch.supply)
        crew = self._parts.crew
        leads = LeadTerms(
            self._parts.timeout, crew.server_limit, self._parts.limits.per_server, self._parts.limits.max_in_flight
        )
        watch = WatchParts(
            crew.scheduler, crew.state, crew.hook, leads, enlistment, self._roster.current, only_changes=only_changes
        )
        return Watch(parts, self, watch)

    async def call(self, operation: str, api: str, *, dates: DateRange | MonthWord | None = None) -> CallResult:
        """Make one call in its token's turn and return how it ended; safe from any number of tasks.

        It is made even if the same was asked a moment ago: whoever writes it knows why. For
        passes it counts. `operation` is `tenant/operation`. Raises `UsageError` for an unknown operation or
        endpoint and when the engine is not open, `ValueError` for wrong dates, for dates
        that span months and for an endpoint that takes none, `StateError` when the state
        cannot be used. Cancelled while it waits in the queue, the call is forgotten; in
        flight, it is finished for the token's sake and its result dropped.
        """
        self._check_open()
        run = self._new_id()
        return await self._make(run, self._roster.call(operation, api, dates, run=run, now=self._clock.utc()))

    async def read(
        self, operation: str, api: str, *, dates: DateRange | MonthWord | None = None, max_age: float = 0.0
    ) -> CallResult:
        """Return the newest reading; for services that are asked more often than they may ask the vendor.

        One call serves all who ask at the same time, and its result all who ask before its
        interval is over, or for `max_age` seconds if that is longer; a failure for 10 s.
        `CallResult.at` says how old it is. Unlike `call` it keeps the interval: what a pass, a
        single call or another process asked a moment ago is `skipped` (`not_due`) unless it was read
        here, or is due within the option `wait`. At most 100,000 rows are kept; what was not read
        for longest goes first. They are shared as well: do not change them. Raises as `call` does.
        Cancelled, it leaves the call to those who ask next.
        """
        self._check_open()
        return await self._newest.read(Question(operation, api, dates), max_age)

    def stop(self) -> None:
        """Take nothing more: calls not yet made end as skipped, those in flight may end well."""
        self._endings.stopped = True
        for records in self._endings.passes.values():
            records.stop()
            records.lane.closed = True
        self._endings.unsent(self._scheduler.drain(now=self._clock.now()))
        self._appetite.look()

    def abandon(self) -> None:
        """Give up what is in flight as well; those calls end as failed (`stopping`)."""
        self.stop()
        self._crew.abandon()

    def snapshot(self) -> Snapshot:
        """Return what there is to see of the scheduler at this moment."""
        return self._scheduler.snapshot()

    def operations(self) -> tuple[Operation, ...]:
        """Return the operations that this engine covers, in the order of the tenants file."""
        return self._roster.operations()

    # --- a pass's side of it (see passes.Yard) -------------------------------------------------

    async def open(self, records: Run[Any], order: RunOrder) -> OpenRun:
        """Begin or take up a run, which from now on is told when it is to stop."""
        self._check_open()
        opened = await self._state.open_run(order)
        self._endings.passes[records.lane] = records
        if self._endings.stopped:
            records.stop()
            records.lane.closed = True
        return opened

    async def look(self, calls: Collection[Call]) -> None:
        """Have the state read what is known of the calls' tokens, and mind what it says of them."""
        tokens = {call.operation.token: call for call in self._roster.all_current(calls)}
        await self._state.look([token.id for token in tokens if not self._scheduler.knows(token)])
        now = self._clock.now()
        for token, call in tokens.items():
            if (refused := self._permits.refusal(call)) is not None:
                failure, until = refused
                self._endings.unsent(self._scheduler.close(token, failure, now=now, until=until))

    async def queue(self, records: Run[Any], calls: list[Call]) -> None:
        """Queue a pass's calls, once the state has read what is known of their tokens."""
        if not records.lane.closed:
            await self.look(calls)
        if self._endings.stopped:
            records.stop()
            records.lane.closed = True
        current = self._roster.all_current(calls)
        self._state.expect(records.run, current)
        if records.lane.closed:  # there may be very many of them
            self._endings.unsent([Ended(wanted, records.lane, STOPPING, 0) for wanted in current])
            return
        now = self._clock.now()  # one number for all of them
        for wanted in current:
            self._add(wanted, records.lane, now=now)
        self._crew.dispatch()

    async def appetite(self, records: Run[Any]) -> None:
        """Wait until more calls of a pass are of use."""
        await self._appetite.wait(records.lane)

    def room(self, lane: Lane, units: int) -> None:
        """Take back room that delivered batches took up."""
        if units:
            self._scheduler.release(lane, units)
            if self._scheduler.ready or self._appetite.is_waited_for:
                self._crew.dispatch()

    def delivered(self, records: Run[Any], marks: Sequence[Mark], position: int | None) -> None:
        """Settle calls that were delivered."""
        self._deliveries.delivered(records.lane, records.run, marks, position)

    def undelivered(self, records: Run[Any], marks: Sequence[Mark]) -> None:
        """Take back that calls were delivered."""
        self._deliveries.undelivered(records.run, marks)

    def ended(self, marks: Sequence[SlotMark]) -> None:
        """Note slots whose end was delivered."""
        if marks:
            self._state.note_slots(marks)

    def give_up(self, records: Run[Any], call: Call) -> GapReason | None:
        """Take back a call of a slot that is over; return what it waited for if it was never sent."""
        now = self._clock.now()
        for wanted in {
            call.operation.token: call,
            (current := self._roster.current(call)).operation.token: current,
        }.values():
            match self._scheduler.give_up(wanted, records.lane, now=now):
                case Ended() as ended:
                    self._endings.unsent((ended,))
                    return None
                case GapReason() as reason:
                    self._endings.forget(call, records.lane)
                    return reason
                case None:
                    self._endings.give_up(call)
        return None

    def end(self, records: Run[Any]) -> None:
        """Forget what a pass has not called yet; its calls in flight are finished."""
        if not records.finished:
            self._endings.unsent(self._scheduler.drain(records.lane, now=self._clock.now()))
            # Calls of others may have waited behind those of this pass.
            self._crew.dispatch()
        if records.finished:
            self._endings.passes.pop(records.lane, None)
        self._deliveries.forget(records.lane)

    async def close(self, records: Run[Any]) -> None:
        """Let go of the pass's run."""
        if records.opened is not None and self._failure is None:
            await self._state.close_run(records.run, complete=records.complete)

    # --- small things -------------------------------------------------------------------------

    async def _call_when_due(self, asked: Question) -> CallResult:
        run = self._new_id()
        wanted = self._roster.call(asked.operation, asked.api, asked.dates, run=run, now=self._clock.utc())
        return await self._make(run, replace(wanted, paced=True))

    async def _make(self, run: str, wanted: Call) -> CallResult:
        is_new = not self._scheduler.knows(wanted.operation.token)
        await self.look((wanted,))
        self._check_open()
        if is_new:
            self._state.expect(run, (wanted,))
        lane = Lane(Budget(1), closed=self._endings.stopped)
        caller: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        self._endings.callers[lane] = caller
        self._add(wanted, lane)
        self._crew.dispatch()
        try:
            settlement = await caller
        except asyncio.CancelledError:
            self._withdraw(wanted, lane)
            self._deliveries.forget(lane)
            raise
        if not isinstance(settlement.outcome, Skipped):
            self._deliveries.delivered(lane, run, (mark_of(run, settlement),), None)
        return CallResult(run, settlement)

    def _add(
        self, wanted: Call, lane: Lane, attempts: int = 0, now: float | None = None, *, first: bool = False
    ) -> None:
        now, due = self._clock.now() if now is None else now, None
        verdict = self._permits.verdict(wanted)
        if lane.yields and not attempts and not isinstance(verdict, Skipped):
            verdict = self._endings.spared(wanted, lane) or verdict
        if isinstance(verdict, Skipped) and not lane.closed:
            self._endings.unsent((Ended(wanted, lane, verdict, attempts),))
            return
        if isinstance(verdict, Later):
            due = now + verdict.seconds
        refused = self._scheduler.add(wanted, lane, now=now, attempts=attempts, due=due, first=first)
        if refused is not None:
            self._endings.unsent((refused,))

    def _withdraw(self, wanted: Call, lane: Lane) -> None:
        """Forget the call of a caller who was cancelled; in flight it goes on, for nobody."""
        now = self._clock.now()
        # Its token may have been replaced while it waited.
        if any(self._scheduler.withdraw(call, lane, now=now) for call in (wanted, self._roster.current(wanted))):
            self._endings.forget(wanted, lane)
            self._crew.dispatch()

    def _break(self, error: StateError) -> None:
        """Call nothing more, and say why to everybody who waits: the state cannot be used."""
        if self._failure is not None:
            return
        self._failure = error
        self._endings.break_off(error)
        self._scheduler.drain(now=self._clock.now())
        self._crew.abandon()

    def _check_open(self) -> None:
        if self._life is None or self._left:
            raise UsageError("the engine is not open: use it inside `async with open_engine(...)`")
        if self._failure is not None:
            raise self._failure
        if self._life.done():
            raise RuntimeError("the engine broke down: the exception that leaves its block says why")

    def _new_id(self) -> str:
        chance = self._parts.crew.chance
        return ulid(int(self._clock.utc().timestamp() * 1000), int(chance() * 2**40) << 40 | int(chance() * 2**40))
