"""The runs of an engine: how each is opened, gets its calls queued, is delivered, and ends.

It is the yard that passes and watches know of their engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from wolkvox_async.marks import Mark, SlotMark
from wolkvox_async.model import Call, GapReason
from wolkvox_async.ports import OpenRun, RunOrder
from wolkvox_async.scheduling.decisions import Ended
from wolkvox_async.scheduling.queues import Lane
from wolkvox_async.scheduling.skipping import STOPPING

from .passes import Run
from .works import Works


class Runs:
    """What passes need of their engine: a `yard.Yard`."""

    def __init__(self, works: Works) -> None:
        self._works: Final = works
        self._scheduler: Final = works.scheduler
        self._endings: Final = works.endings

    def stop(self) -> None:
        """Have every run take nothing more."""
        for records in self._endings.passes.values():
            _close(records)

    # --- from its opening to its end: see `yard.Yard` ---------------------------------------

    async def open(self, records: Run[Any], order: RunOrder) -> OpenRun:
        """Begin or take up a run, which from now on is told when it is to stop."""
        self._works.lifetime.check()
        opened = await self._works.state.open_run(order)
        self._endings.passes[records.lane] = records
        if self._endings.stopped:
            _close(records)
        return opened

    async def queue(self, records: Run[Any], calls: list[Call]) -> None:
        """Queue a pass's calls, once the state has read what is known of their tokens."""
        works, lane = self._works, records.lane
        if not lane.closed:
            await works.entrance.look(calls)
        if self._endings.stopped:
            _close(records)
        current = works.roster.all_current(calls)
        works.state.expect(records.run, current)
        if lane.closed:  # there may be very many of them
            self._endings.unsent([Ended(wanted, lane, STOPPING, 0) for wanted in current])
            return
        now, add = works.clock.now(), works.entrance.add  # one number for all of them
        for wanted in current:
            add(wanted, lane, now=now)
        works.dispatch()

    async def appetite(self, records: Run[Any]) -> None:
        """Wait until more calls of a pass are of use."""
        await self._works.appetite.wait(records.lane)

    def room(self, lane: Lane, units: int) -> None:
        """Take back room that delivered batches took up."""
        if units:
            self._scheduler.release(lane, units)
            if self._scheduler.ready or self._works.appetite.is_waited_for:
                self._works.dispatch()

    def delivered(self, records: Run[Any], marks: Sequence[Mark], position: int | None) -> None:
        """Settle calls that were delivered."""
        self._works.deliveries.delivered(records.lane, records.run, marks, position)

    def undelivered(self, records: Run[Any], marks: Sequence[Mark]) -> None:
        """Take back that calls were delivered."""
        self._works.deliveries.undelivered(records.run, marks)

    def ended(self, marks: Sequence[SlotMark]) -> None:
        """Note slots whose end was delivered."""
        if marks:
            self._works.state.note_slots(marks)

    def give_up(self, records: Run[Any], call: Call) -> GapReason | None:
        """Take back a call of a slot that is over; return what it waited for if it was never sent."""
        now, current = self._works.clock.now(), self._works.roster.current(call)
        for wanted in {call.operation.token: call, current.operation.token: current}.values():
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
            self._endings.unsent(self._scheduler.drain(records.lane, now=self._works.clock.now()))
            # Calls of others may have waited behind those of this pass.
            self._works.dispatch()
        if records.finished:
            self._endings.passes.pop(records.lane, None)
        self._works.deliveries.forget(records.lane)

    async def close(self, records: Run[Any]) -> None:
        """Let go of the pass's run."""
        if records.opened is not None and self._works.lifetime.failure is None:
            await self._works.state.close_run(records.run, complete=records.complete)


def _close(records: Run[Any]) -> None:
    records.stop()
    records.lane.closed = True
