"""Single calls, and the tasks that wait for them."""

from __future__ import annotations

import asyncio
from typing import Final

from wolkvox_async.marks import mark_of
from wolkvox_async.model import Call, Skipped
from wolkvox_async.scheduling.queues import Budget, Lane
from wolkvox_async.settlements import Settlement

from .result import CallResult
from .works import Works


class Callers:
    """Makes single calls, each on a lane of its own."""

    def __init__(self, works: Works) -> None:
        self._works: Final = works

    async def make(self, run: str, wanted: Call) -> CallResult:
        """Queue a call and return how it ended; cancelled, it is forgotten, or finished for nobody."""
        works = self._works
        is_new = not works.scheduler.knows(wanted.operation.token)
        await works.entrance.look((wanted,))
        works.lifetime.check()
        if is_new:
            works.state.expect(run, (wanted,))
        lane = Lane(Budget(1), closed=works.endings.stopped)
        caller: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        works.endings.callers[lane] = caller
        works.entrance.add(wanted, lane)
        works.dispatch()
        try:
            settlement = await caller
        except asyncio.CancelledError:
            self._withdraw(wanted, lane)
            works.deliveries.forget(lane)
            raise
        if not isinstance(settlement.outcome, Skipped):
            works.deliveries.delivered(lane, run, (mark_of(run, settlement),), None)
        return CallResult(run, settlement)

    def _withdraw(self, wanted: Call, lane: Lane) -> None:
        """Forget the call of a caller who was cancelled; in flight it goes on, for nobody."""
        works, now = self._works, self._works.clock.now()
        # Its token may have been replaced while it waited.
        if any(works.scheduler.withdraw(call, lane, now=now) for call in (wanted, works.roster.current(wanted))):
            works.endings.forget(wanted, lane)
            works.dispatch()
