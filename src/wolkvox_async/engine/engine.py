"""The engine: many passes and single calls over one scheduler.

    async with Engine(...) as engine:
        async with engine.fetch() as records: ...
        result = await engine.call("acme/bogota", "interactions")

Every token has one queue for as long as the engine lives, whichever pass or task asks.
A call that fails is a value; what is raised is the caller's mistake. Leaving the block
gives up what is in flight and leaves no task, socket or timer behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

import anyio
from anyio.abc import TaskGroup

from wolkvox_async.catalog import Catalog
from wolkvox_async.errors import UsageError
from wolkvox_async.identity import ulid
from wolkvox_async.model import Call, ErrorKind, Failed, Operation
from wolkvox_async.planning import DateRange, MonthWord, Subscription, call, plan, windows
from wolkvox_async.ports import CallSettled, TokenSource
from wolkvox_async.records import Settlement
from wolkvox_async.scheduling.decisions import Ended, Limits, Snapshot
from wolkvox_async.scheduling.queues import Budget, Lane
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.selection import select, subscribed
from wolkvox_async.windows import timezone

from .crew import Crew, CrewParts, Report
from .passes import UNIT, PassParts, Records
from .result import CallResult
from .roster import Roster

BIG: Final = 1_048_576  # bytes: such an answer is delivered before its worker goes on
_LEAVING_ROUNDS: Final = 1_000


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
        self._roster: Final = Roster(subscriptions)
        self._parts: Final = parts
        self._scheduler: Final[Scheduler] = parts.crew.scheduler
        self._clock: Final = parts.crew.clock
        self._passes: Final[dict[Lane, Records]] = {}
        self._callers: Final[dict[Lane, asyncio.Future[Settlement]]] = {}
        self._group: TaskGroup | None = None
        self._crew: Crew | None = None
        self._stopped = self._left = False

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise UsageError("an engine is entered once: open another one")
        self._group = await anyio.create_task_group().__aenter__()
        self._crew = Crew(self._parts.crew, self._group, self._report)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        group, crew = self._running()
        self._left = True
        with anyio.CancelScope(shield=True):
            self.stop()
            await self._give_up(crew)
        crew.stop()
        group.cancel_scope.cancel()
        try:
            swallowed = await group.__aexit__(kind, error, trace)
        finally:
            with anyio.CancelScope(shield=True):
                await self._parts.crew.transport.close()
        return swallowed

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
        Raises `SelectionError`, here or when the block is entered.
        """
        self._running()
        chosen = subscribed(select(self._roster.subscriptions(), only or ()), apis or (), self._parts.catalog)
        run = self._new_id()
        lane = Lane(Budget(2 * self._parts.limits.max_in_flight))
        now = self._clock.utc()
        parts = PassParts(
            run, lane, self._clock, self._parts.version, lambda: plan(chosen, run=run, now=now, dates=dates)
        )
        return Records(parts, self)

    async def call(self, operation: str, api: str, *, dates: DateRange | MonthWord | None = None) -> CallResult:
        """Make one call in its token's turn and return how it ended; safe from any number of tasks.

        `operation` is `tenant/operation`. Raises `UsageError` for an unknown operation or
        endpoint and when the engine is not open, `ValueError` for dates that span months.
        Cancelled while it waits in the queue, the call is forgotten; in flight, it is
        finished for the token's sake and its result dropped.
        """
        self._running()
        run = self._new_id()
        wanted = self._call(operation, api, dates, run)
        lane = Lane(Budget(1), closed=self._stopped)
        caller: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        self._callers[lane] = caller
        self._add(wanted, lane)
        self._dispatch()
        try:
            return CallResult(run, await caller)
        except asyncio.CancelledError:
            if self._scheduler.withdraw(wanted, lane, now=self._clock.now()):
                self._callers.pop(lane, None)
                self._dispatch()
            raise

    def stop(self) -> None:
        """Take nothing more: calls not yet made end as skipped, those in flight may end well."""
        self._stopped = True
        now = self._clock.now()
        for records in tuple(self._passes.values()):
            records.stop()
            self._settle_unsent(self._scheduler.drain(records.lane, now=now))
        self._settle_unsent(self._scheduler.drain(now=now))

    def abandon(self) -> None:
        """Give up what is in flight as well; those calls end as failed (`stopping`)."""
        self.stop()
        self._running()[1].abandon()

    def snapshot(self) -> Snapshot:
        """Return what there is to see of the scheduler at this moment."""
        return self._scheduler.snapshot()

    def operations(self) -> tuple[Operation, ...]:
        """Return the operations that this engine covers."""
        return tuple(subscription.operation for subscription in self._roster.subscriptions())

    # --- a pass's side of it (see passes.Yard) -------------------------------------------------

    def begin(self, records: Records, calls: list[Call]) -> None:
        """Queue a pass's calls."""
        self._passes[records.lane] = records
        if self._stopped:
            records.stop()
            records.lane.closed = True
        for wanted in calls:
            self._add(wanted, records.lane)
        self._dispatch()

    def room(self, lane: Lane, units: int) -> None:
        """Take back room that delivered batches took up."""
        if units:
            self._scheduler.release(lane, units)
            self._dispatch()

    def end(self, records: Records) -> None:
        """Forget what a pass has not called yet; its calls in flight are finished."""
        self._settle_unsent(self._scheduler.drain(records.lane, now=self._clock.now()))
        if records.finished:
            self._passes.pop(records.lane, None)

    # --- how calls end ------------------------------------------------------------------------

    async def _report(self, report: Report) -> None:
        ended = report.settled.ended
        refused = isinstance(ended.outcome, Failed) and ended.outcome.error.kind in (
            ErrorKind.UNAUTHORIZED,
            ErrorKind.FORBIDDEN,
        )
        renewed = await self._renew(report) if refused else {}
        if ended.call.operation.path in renewed and ended.attempts < self._parts.max_attempts:
            self._scheduler.release(ended.lane)
            self._add_renewed(ended, renewed)
        else:
            self._settle(ended.lane, report.settlement, 1 + report.size // UNIT)
        for skipped in report.settled.skipped:
            if skipped.call.operation.path in renewed:
                self._add_renewed(skipped, renewed)
            else:
                self._settle_unsent([skipped])
        if report.settled.following is None or renewed:
            self._dispatch()
        if report.size > BIG and (records := self._passes.get(ended.lane)) is not None:
            await records.taken()

    async def _renew(self, report: Report) -> dict[str, Operation]:
        """Resolve the token references of the calls that a refusal ended; keep those that changed."""
        calls = [report.settled.ended.call, *(ended.call for ended in report.settled.skipped)]
        renewed: dict[str, Operation] = {}
        for operation in {c.operation.path: c.operation for c in calls}.values():
            token = await self._parts.tokens.resolve(operation)
            if token is not None and token != operation.token:
                renewed[operation.path] = replace(operation, token=token)
        self._roster.renew(renewed.values())
        return renewed

    def _add_renewed(self, ended: Ended, renewed: dict[str, Operation]) -> None:
        self._add(replace(ended.call, operation=renewed[ended.call.operation.path]), ended.lane, ended.attempts)

    def _add(self, wanted: Call, lane: Lane, attempts: int = 0) -> None:
        refused = self._scheduler.add(wanted, lane, now=self._clock.now(), attempts=attempts)
        if refused is not None:
            self._settle_unsent([refused])

    def _settle_unsent(self, calls: Iterable[Ended]) -> None:
        at = self._clock.utc()
        for ended in calls:
            self._settle(ended.lane, Settlement(ended.call, ended.outcome, ended.attempts, at, 0.0), 0)

    def _settle(self, lane: Lane, settlement: Settlement, units: int) -> None:
        self._parts.crew.hook.observe(
            CallSettled(settlement.call, settlement.outcome, settlement.attempts, settlement.seconds)
        )
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

    def _running(self) -> tuple[TaskGroup, Crew]:
        if self._group is None or self._crew is None or self._left:
            raise UsageError("the engine is not open: use it inside `async with open_engine(...)`")
        return self._group, self._crew

    def _dispatch(self) -> None:
        if self._crew is not None:
            self._crew.dispatch()

    async def _give_up(self, crew: Crew) -> None:
        """Have the attempts in flight end as failed, so that nobody waits for them for ever."""
        crew.abandon()
        for _ in range(_LEAVING_ROUNDS):
            if not self._scheduler.snapshot().in_flight:
                return
            await asyncio.sleep(0)

    def _new_id(self) -> str:
        chance = self._parts.crew.chance
        return ulid(int(self._clock.utc().timestamp() * 1000), int(chance() * 2**40) << 40 | int(chance() * 2**40))

    def _call(self, path: str, api: str, dates: DateRange | MonthWord | None, run: str) -> Call:
        operation = self._roster.operation(path)
        endpoint = self._parts.catalog.get(api)
        if endpoint is None:
            raise UsageError(f"no endpoint is called {api!r}: `wolkvox-async apis` lists them")
        now = self._clock.utc().astimezone(timezone(operation.timezone))
        (window, *more) = windows(dates, now)
        if more:
            raise ValueError("one call covers one calendar month: use fetch() for longer ranges")
        return call(operation, endpoint, run=run, window=window)
