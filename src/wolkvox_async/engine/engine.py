"""The engine: many passes and single calls over one scheduler.

    async with Engine(...) as engine:
        async with engine.fetch() as records: ...
        result = await engine.call("acme/bogota", "interactions")

Every token has one queue for as long as the engine lives, whichever pass or task asks.
A call that fails is a value; what is raised is the caller's mistake. Leaving the block
gives up what is in flight and leaves no task, socket or timer behind.

The workers live in a task of their own, so the block may be entered in one task and left
in another, and no cancellation reaches them: whoever is cancelled while leaving still
waits until everything is closed. Should a worker break down after all, whoever waits for
records or a result gets an exception, and leaving the block raises what happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from wolkvox_async.catalog import Catalog
from wolkvox_async.errors import UsageError
from wolkvox_async.identity import ulid
from wolkvox_async.model import Call, ErrorKind, Failed, Operation
from wolkvox_async.planning import DateRange, MonthWord, Subscription
from wolkvox_async.ports import CallSettled, TokenSource
from wolkvox_async.records import Settlement
from wolkvox_async.scheduling.decisions import Ended, Limits, Snapshot
from wolkvox_async.scheduling.queues import Budget, Lane
from wolkvox_async.scheduling.scheduler import Scheduler

from .crew import Crew, CrewParts, Report, Rest
from .lifetime import outlast
from .passes import UNIT, PassParts, Records
from .result import CallResult
from .roster import Roster

BIG: Final = 1_048_576  # bytes: such an answer is delivered before another of its kind is read

_REFUSALS: Final = frozenset({ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN})


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What an engine is made of."""

    crew: CrewParts
    tokens: TokenSource
    catalog: Catalog
    limits: Limits
    max_attempts: int
    version: str


class Engine:
    """Fetches for many operations at once, each token strictly one call after the other."""

    def __init__(self, subscriptions: Iterable[Subscription], parts: EngineParts) -> None:
        self._roster: Final = Roster(subscriptions, parts.catalog)
        self._parts: Final = parts
        self._scheduler: Final[Scheduler] = parts.crew.scheduler
        self._clock: Final = parts.crew.clock
        self._crew: Final = Crew(parts.crew, self._report)
        self._passes: Final[dict[Lane, Records]] = {}  # those with calls that have not ended
        self._callers: Final[dict[Lane, asyncio.Future[Settlement]]] = {}
        self._refused: Final[dict[str, Failed]] = {}  # why calls, by id, go on under another token
        self._life: asyncio.Task[None] | None = None
        self._stopped = self._left = False

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
            await outlast(self._life)
        if not self._life.cancelled() and (breakdown := self._life.exception()) is not None:
            raise breakdown

    async def _live(self) -> None:
        try:
            await self._crew.live()
        finally:
            self._break_off()
            await self._parts.crew.transport.close()

    # --- what it is for -------------------------------------------------------------------

    def fetch(
        self,
        *,
        apis: Sequence[str] | None = None,
        only: Sequence[str] | None = None,
        dates: DateRange | None = None,
    ) -> Records:
        """Return one pass over the operations, to be used as a block.

        `apis` restricts the endpoints, `only` the operations (`tenant`, `tenant/operation`,
        with wildcards, or `label=value`); `dates` apply to the endpoints that take dates.
        Raises `SelectionError`, here or (for wrong dates) when the block is entered, and
        `UsageError` when the engine is not open.
        """
        self._check_open()
        chosen = self._roster.choose(only or (), apis or (), dates)
        run = self._new_id()

        def planned() -> Iterator[Call]:
            self._check_open()
            return self._roster.plan(chosen, run=run, now=self._clock.utc(), dates=dates)

        lane = Lane(Budget(2 * self._parts.limits.max_in_flight))
        return Records(PassParts(run, lane, self._clock, self._parts.version, planned), self)

    async def call(self, operation: str, api: str, *, dates: DateRange | MonthWord | None = None) -> CallResult:
        """Make one call in its token's turn and return how it ended; safe from any number of tasks.

        `operation` is `tenant/operation`. Raises `UsageError` for an unknown operation or
        endpoint and when the engine is not open, `ValueError` for wrong dates, for dates
        that span months and for an endpoint that takes none.
        Cancelled while it waits in the queue, the call is forgotten; in flight, it is
        finished for the token's sake and its result dropped.
        """
        self._check_open()
        run = self._new_id()
        wanted = self._roster.call(operation, api, dates, run=run, now=self._clock.utc())
        lane = Lane(Budget(1), closed=self._stopped)
        caller: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        self._callers[lane] = caller
        self._add(wanted, lane)
        self._crew.dispatch()
        try:
            return CallResult(run, await caller)
        except asyncio.CancelledError:
            self._withdraw(wanted, lane)
            raise

    def stop(self) -> None:
        """Take nothing more: calls not yet made end as skipped, those in flight may end well."""
        self._stopped = True
        for records in self._passes.values():
            records.stop()
        self._settle_unsent(self._scheduler.drain(now=self._clock.now()))

    def abandon(self) -> None:
        """Give up what is in flight as well; those calls end as failed (`stopping`)."""
        self.stop()
        self._crew.abandon()

    def snapshot(self) -> Snapshot:
        """Return what there is to see of the scheduler at this moment."""
        return self._scheduler.snapshot()

    def operations(self) -> tuple[Operation, ...]:
        """Return the operations that this engine covers."""
        return self._roster.operations()

    # --- a pass's side of it (see passes.Yard) -------------------------------------------------

    def begin(self, records: Records, calls: list[Call]) -> None:
        """Queue a pass's calls."""
        self._passes[records.lane] = records
        if self._stopped:
            records.stop()
            records.lane.closed = True
        for wanted in calls:
            self._add(self._roster.current(wanted), records.lane)
        self._crew.dispatch()

    def room(self, lane: Lane, units: int) -> None:
        """Take back room that delivered batches took up."""
        if units:
            self._scheduler.release(lane, units)
            self._crew.dispatch()

    def end(self, records: Records) -> None:
        """Forget what a pass has not called yet; its calls in flight are finished."""
        if not records.finished:
            self._settle_unsent(self._scheduler.drain(records.lane, now=self._clock.now()))
            # Calls of others may have waited behind those of this pass.
            self._crew.dispatch()
        if records.finished:
            self._passes.pop(records.lane, None)

    # --- how calls end ------------------------------------------------------------------------

    def _report(self, report: Report) -> Rest | None:
        ended = report.settled.ended
        if isinstance(ended.outcome, Failed) and ended.outcome.error.kind in _REFUSALS and not self._stopped:
            return lambda: self._renew_or_settle(report)
        records = self._passes.get(ended.lane)
        self._settle_report(report, {})
        return records.taken if records is not None and report.size > BIG else None

    async def _renew_or_settle(self, report: Report) -> None:
        """Look whether the references of refused calls give another token by now; if so, their calls go on."""
        renewed: dict[str, Operation] = {}
        try:
            renewed = await self._renew(report)
        finally:
            self._settle_report(report, renewed)

    async def _renew(self, report: Report) -> dict[str, Operation]:
        calls = [report.settled.ended.call, *(ended.call for ended in report.settled.skipped)]
        renewed: dict[str, Operation] = {}
        for operation in {c.operation.path: c.operation for c in calls}.values():
            token = await self._parts.tokens.resolve(operation)
            if token is not None and token != operation.token:
                renewed[operation.path] = replace(operation, token=token)
        self._roster.renew(renewed.values())
        return renewed

    def _settle_report(self, report: Report, renewed: dict[str, Operation]) -> None:
        ended = report.settled.ended
        tries_left = ended.attempts < self._parts.max_attempts
        if tries_left and isinstance(ended.outcome, Failed) and self._goes_on(ended, renewed):
            self._refused[ended.call.id] = ended.outcome
            self._scheduler.release(ended.lane)
            self._add(self._roster.current(ended.call), ended.lane, ended.attempts)
        else:
            self._settle(ended.lane, report.settlement, 1 + report.size // UNIT)
        for skipped in report.settled.skipped:
            if self._goes_on(skipped, renewed):
                self._add(self._roster.current(skipped.call), skipped.lane, skipped.attempts)
            else:
                self._settle_unsent((skipped,))

    def _goes_on(self, ended: Ended, renewed: dict[str, Operation]) -> bool:
        return ended.call.operation.path in renewed and not self._stopped

    def _add(self, wanted: Call, lane: Lane, attempts: int = 0) -> None:
        refused = self._scheduler.add(wanted, lane, now=self._clock.now(), attempts=attempts)
        if refused is not None:
            self._settle_unsent((refused,))

    def _withdraw(self, wanted: Call, lane: Lane) -> None:
        """Forget the call of a caller who was cancelled; in flight it goes on, for nobody."""
        now = self._clock.now()
        # Its token may have been replaced while it waited.
        if any(self._scheduler.withdraw(call, lane, now=now) for call in (wanted, self._roster.current(wanted))):
            self._callers.pop(lane, None)
            self._refused.pop(wanted.id, None)
            self._crew.dispatch()

    def _settle_unsent(self, calls: Iterable[Ended]) -> None:
        at = self._clock.utc()
        for ended in calls:
            # A call that was tried was not skipped.
            outcome = self._refused.get(ended.call.id, ended.outcome)
            self._settle(ended.lane, Settlement(ended.call, outcome, ended.attempts, at, 0.0), 0)

    def _settle(self, lane: Lane, settlement: Settlement, units: int) -> None:
        self._parts.crew.hook.observe(
            CallSettled(settlement.call, settlement.outcome, settlement.attempts, settlement.seconds)
        )
        self._refused.pop(settlement.call.id, None)
        if units > 1:
            self._scheduler.charge(lane, units - 1)
        records = self._passes.get(lane)
        if records is not None:
            records.settle(settlement, units)
            if records.is_left and records.finished:
                del self._passes[lane]
        elif (caller := self._callers.pop(lane, None)) is not None and not caller.done():
            caller.set_result(settlement)

    # --- small things -------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._life is None or self._left:
            raise UsageError("the engine is not open: use it inside `async with open_engine(...)`")
        if self._life.done():
            raise RuntimeError("the engine broke down: the exception that leaves its block says why")

    def _break_off(self) -> None:
        """Let nobody wait for what will not come; after an orderly end there is nobody."""
        for records in self._passes.values():
            records.break_down()
        for caller in self._callers.values():
            if not caller.done():
                caller.set_exception(RuntimeError("the engine broke down: leaving its block says why"))
        self._callers.clear()

    def _new_id(self) -> str:
        chance = self._parts.crew.chance
        return ulid(int(self._clock.utc().timestamp() * 1000), int(chance() * 2**40) << 40 | int(chance() * 2**40))
