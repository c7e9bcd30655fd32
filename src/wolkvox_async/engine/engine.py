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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from wolkvox_async.errors import StateError
from wolkvox_async.identity import ulid
from wolkvox_async.model import Operation
from wolkvox_async.planning import DateRange, MonthWord, Subscription
from wolkvox_async.scheduling.decisions import Snapshot

from .callers import Callers
from .crew import Crew
from .deliveries import Deliveries
from .endings import EndingParts, Endings
from .enlisting import Selection
from .entrance import Entrance
from .feeding import Appetite
from .lifetime import Lifetime
from .newest import Newest
from .orders import Orders, OrdersParts, RunName
from .parts import EngineParts
from .passes import Records
from .permits import Permits
from .result import CallResult
from .roster import Asked, Holds, Roster
from .runs import Runs
from .watching import Watch
from .works import Works


class Engine:
    """Fetches for many operations at once, each token strictly one call after the other.

    `open_engine` makes it; it may be used inside that block, by any number of tasks of its event loop.
    """

    def __init__(self, subscriptions: Iterable[Subscription], parts: EngineParts) -> None:
        crew = parts.crew
        self._parts: Final = parts
        self._clock: Final = crew.clock
        self._scheduler: Final = crew.scheduler
        self._lifetime: Final = Lifetime(self._live)
        self._roster: Final = Roster(subscriptions, parts.catalog, parts.interval)
        permits = Permits(crew.state, crew.clock, crew.terms)
        deliveries = Deliveries(crew.state, permits.holder, self._break)
        entrance = Entrance(crew.scheduler, crew.clock, crew.state, self._roster, permits)
        self._endings: Final = Endings(
            EndingParts(
                scheduler=crew.scheduler,
                roster=self._roster,
                clock=crew.clock,
                hook=crew.hook,
                tokens=parts.tokens,
                state=crew.state,
                deliveries=deliveries,
                max_attempts=parts.max_attempts,
                add=entrance.add,
                add_first=entrance.add_first,
                broke=self._break,
            )
        )
        entrance.endings = self._endings
        self._appetite: Final = Appetite(crew.scheduler, parts.limits.max_in_flight)
        self._crew: Final = Crew(crew, permits, self._endings, self._appetite)
        works = Works(
            lifetime=self._lifetime,
            scheduler=crew.scheduler,
            clock=crew.clock,
            state=crew.state,
            roster=self._roster,
            entrance=entrance,
            endings=self._endings,
            deliveries=deliveries,
            appetite=self._appetite,
            dispatch=self._crew.dispatch,
        )
        self._runs: Final = Runs(works)
        self._callers: Final = Callers(works)
        self._orders: Final = Orders(OrdersParts(parts, self._roster, self._runs, self._lifetime, self._new_id))
        self._newest: Final = Newest(self._call_when_due, crew.clock)

    async def __aenter__(self) -> Self:
        self._lifetime.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lifetime.leave()
        try:
            self.stop()
        finally:
            self._crew.leave()
            try:
                await self._lifetime.over()
            finally:
                await self._newest.close()
        self._lifetime.tell()

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
        not open, or in another event loop. Entering raises `RunError` for a run that cannot be taken up.
        Where machines share the tokens, `holds` says which are ours.
        """
        self._lifetime.check()
        named = RunName(run) if isinstance(run, str) else run or RunName()
        return self._orders.fetch(Selection.asked(only, apis, dates, holds), named)

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
        self._lifetime.check()
        return self._orders.watch(Selection.asked(only, apis, dates, holds), only_changes=only_changes, output=output)

    async def call(
        self,
        operation: str,
        api: str,
        *,
        dates: DateRange | MonthWord | None = None,
        params: Mapping[str, str] | None = None,
    ) -> CallResult:
        """Make one call in its token's turn and return how it ended; safe from any number of tasks.

        It is made even if the same was asked a moment ago: whoever writes it knows why. For
        passes it counts. `operation` is `tenant/operation`; `params` are values of parameters that the
        endpoint has in the tenants file, the others stay as they stand there. Raises `UsageError` for an
        unknown operation or endpoint and when the engine is not open, `ValueError` for wrong, missing or
        too many dates or parameters, `StateError` when the state
        cannot be used. Cancelled while it waits in the queue, the call is forgotten; in
        flight, it is finished for the token's sake and its result dropped.
        """
        self._lifetime.check()
        asked, run = self._roster.asked(operation, api, dates, params), self._new_id()
        return await self._callers.make(run, self._roster.call(asked, run=run, now=self._clock.utc()))

    async def read(
        self,
        operation: str,
        api: str,
        *,
        dates: DateRange | MonthWord | None = None,
        params: Mapping[str, str] | None = None,
        max_age: float = 0.0,
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
        self._lifetime.check()
        return await self._newest.read(self._roster.asked(operation, api, dates, params), max_age)

    def stop(self) -> None:
        """Take nothing more: calls not yet made end as skipped, those in flight may end well."""
        self._endings.stopped = True
        self._runs.stop()
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

    # --- how it lives -----------------------------------------------------------------------

    async def _live(self) -> None:
        try:
            await self._crew.live()
        finally:
            self._endings.break_off(RuntimeError("the engine broke down: leaving its block says why"))
            await self._parts.crew.transport.close()
        if self._lifetime.failure is None:
            await self._parts.crew.state.flush()

    def _break(self, error: StateError) -> None:
        """Call nothing more, and say why to everybody who waits: the state cannot be used."""
        if self._lifetime.failure is not None:
            return
        self._lifetime.failure = error
        self._endings.break_off(error)
        self._scheduler.drain(now=self._clock.now())
        self._crew.abandon()

    async def _call_when_due(self, asked: Asked) -> CallResult:
        run = self._new_id()
        wanted = self._roster.call(asked, run=run, now=self._clock.utc())
        return await self._callers.make(run, replace(wanted, paced=True))

    def _new_id(self) -> str:
        chance = self._parts.crew.chance
        return ulid(int(self._clock.utc().timestamp() * 1000), int(chance() * 2**40) << 40 | int(chance() * 2**40))
