"""Runs in memory, and how far outputs were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from wolkvox_async.counters import Counters
from wolkvox_async.marks import Mark
from wolkvox_async.ports import OpenRun, Place, RunOrder

from .runs import Settled, add, alive_elsewhere, no_run, nothing_to_resume, other_output, taken_id


@dataclass(slots=True)
class _Run:
    """A run; `holder` is the state in which it is alive."""

    order: RunOrder
    settled: Settled
    counters: Counters = field(default_factory=Counters)
    holder: object | None = None
    complete: bool = False


class MemoryRuns:
    """The runs of states that stand beside one another."""

    __slots__ = ("_runs", "positions")

    def __init__(self) -> None:
        self._runs: Final[dict[str, _Run]] = {}  # in the order in which they began
        self.positions: Final[dict[Place, int]] = {}

    def open(self, order: RunOrder, holder: object) -> OpenRun:
        """Begin or take up a run; raises `RunError`."""
        run = self._wanted(order)
        if run is None:
            return self._begin(order, holder)
        if run.order.output != order.output:
            raise other_output(order.name or run.order.id, run.order.output)
        if run.holder is not None:
            raise alive_elsewhere(order.name or run.order.id)
        run.holder, run.complete = holder, False
        # What failed or was skipped is tried again, and then counts as it ends then.
        sums = run.counters
        run.counters = Counters(ok=sums.ok, empty=sums.empty, rows=sums.rows, attempts=sums.attempts)
        run.settled = Settled(0, order.output, run.settled.all())
        return OpenRun(
            id=run.order.id,
            at=run.order.at,
            resumed=True,
            settled=run.settled.before,
            counters=Counters(ok=sums.ok, empty=sums.empty, rows=sums.rows, attempts=sums.attempts),
        )

    def _begin(self, order: RunOrder, holder: object) -> OpenRun:
        if order.id in self._runs:
            raise taken_id(order.id)
        self._runs[order.id] = _Run(order, Settled(0, order.output, frozenset()), holder=holder)
        return OpenRun(id=order.id, at=order.at)

    def _wanted(self, order: RunOrder) -> _Run | None:
        runs = self._runs.values()
        if order.name is not None:
            named = next((run for run in runs if run.order.name == order.name), None)
            if named is None and order.resume:
                raise no_run(order.name)
            return named
        if not order.resume:
            return None
        place = (order.tenants, order.output)
        for run in reversed(runs):
            if not run.complete and (run.order.tenants, run.order.output) == place:
                return run
        raise nothing_to_resume()

    def count(self, run: str, marks: Sequence[Mark], sign: int) -> None:
        """Settle `marks` of the run, or (`sign` -1) take them back."""
        if (found := self._runs.get(run)) is not None:
            add(found.counters, found.settled.count(marks, sign).sums)

    def close(self, run: str, *, complete: bool) -> None:
        """Let go of the run. A complete one without a name is never taken up again: it is forgotten."""
        if (found := self._runs.get(run)) is not None:
            found.holder, found.complete = None, complete
            if complete and found.order.name is None:
                del self._runs[run]

    def let_go(self, holder: object) -> None:
        """Let go of all runs that are alive in `holder`."""
        for run in self._runs.values():
            if run.holder is holder:
                run.holder = None

    def move(self, run: str, position: int) -> None:
        """Note where the run's output ends now, if it was ever read."""
        if (found := self._runs.get(run)) is not None:
            for place in [place for place in self.positions if place.path == found.order.output]:
                self.positions[place] = position

    def place(self, output: Place, position: int) -> None:
        """Note up to where `output` was read; another file that had its path is forgotten."""
        for place in [place for place in self.positions if place.path == output.path]:
            del self.positions[place]
        self.positions[output] = position
