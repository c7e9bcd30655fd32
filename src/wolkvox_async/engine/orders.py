"""From what somebody asks an engine for to a pass or a watch that can be entered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from wolkvox_async.ports import OpenRun, RunOrder
from wolkvox_async.scheduling.leads import LeadTerms
from wolkvox_async.scheduling.queues import Budget, Lane

from .enlisting import Enlistment, Selection
from .feeding import Feed
from .lifetime import Lifetime
from .parts import EngineParts
from .passes import Records, Run
from .roster import Roster
from .runs import Runs
from .spare import Spare
from .watching import Watch, WatchParts
from .yard import PassParts


@dataclass(frozen=True, slots=True)
class RunName:
    """How a run is found again: by its name, or (`resume`) as the newest that is not complete.

    A run belongs to one `output`, told apart as text; empty for a service that keeps no file.
    """

    name: str | None = None
    resume: bool = False
    output: str = ""


@dataclass(frozen=True, slots=True)
class OrdersParts:
    """What orders are taken with; `new_id` gives a run's id."""

    engine: EngineParts
    roster: Roster
    runs: Runs
    lifetime: Lifetime
    new_id: Callable[[], str]


class Orders:
    """Makes passes and watches over the operations of an engine."""

    def __init__(self, parts: OrdersParts) -> None:
        self._parts: Final = parts
        self._engine: Final = parts.engine
        self._roster: Final = parts.roster

    def fetch(self, selection: Selection, named: RunName) -> Records:
        """Return a pass; raises `SelectionError` when nothing is selected, or dates do not fit."""
        check, roster, dates = self._parts.lifetime.check, self._roster, selection.dates
        chosen = selection.of(roster)

        def counts(opened: OpenRun) -> Iterator[int]:
            check()
            return roster.counts(chosen, now=opened.at, dates=dates)

        def supply(records: Run[Any], opened: OpenRun) -> Feed:
            return Feed(roster.plan(chosen, run=opened.id, now=opened.at, dates=dates), opened.settled, records)

        clock, tenants = self._engine.crew.clock, self._engine.tenants
        order = RunOrder(self._parts.new_id(), clock.utc(), named.name, named.resume, tenants, named.output)
        lane = Lane(Budget(self._room), yields=dates is not None)
        spare = Spare(roster, self._engine.interval) if lane.yields else None
        return Records(PassParts(order, lane, clock, self._engine.version, counts, supply, spare), self._parts.runs)

    def watch(self, selection: Selection, *, only_changes: bool, output: str) -> Watch:
        """Return a watch; raises `SelectionError` as `fetch` does."""
        engine, crew, limits = self._engine, self._engine.crew, self._engine.limits
        enlistment = Enlistment(self._roster, crew.clock, selection)
        tenants = f"watch {engine.tenants}"  # no pass takes it up again
        order = RunOrder(self._parts.new_id(), crew.clock.utc(), None, resume=False, tenants=tenants, output=output)
        lane = Lane(Budget(self._room), holds=False)
        parts = PassParts(order, lane, crew.clock, engine.version, lambda _: iter(()), Watch.supply)
        leads = LeadTerms(engine.timeout, crew.server_limit, limits.per_server, limits.max_in_flight)
        watch = WatchParts(
            crew.scheduler, crew.state, crew.hook, leads, enlistment, self._roster.current, only_changes=only_changes
        )
        return Watch(parts, self._parts.runs, watch)

    @property
    def _room(self) -> int:
        return 2 * self._engine.limits.max_in_flight
