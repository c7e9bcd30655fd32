"""How calls end: who gets the outcome, and what happens when the vendor refused a token.

A call ends once, with a settlement, which goes to its pass or to the task that asked for
it. Two kinds of calls go on instead. A refused one, when the reference of its token gives
another one by now; and one whose answer is as large as answers get, so that rows may be
missing, or larger than may be kept: its rows are dropped, and in its place the halves of
its window are asked for, down to a second. Halves go before what else is queued of the
token, so that however much there is only one window is open at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from wolkvox_async.errors import StateError
from wolkvox_async.model import Call, Empty, ErrorKind, Failed, Ok, Operation, Skipped
from wolkvox_async.planning import cut_id
from wolkvox_async.ports import CallCut, CallSettled, Clock, Hook, State, TokenSource
from wolkvox_async.scheduling.decisions import Ended, Settled
from wolkvox_async.scheduling.queues import Lane
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.scheduling.skipping import REFUSALS
from wolkvox_async.settlements import Settlement

from .crew import Rest
from .deliveries import Deliveries
from .passes import UNIT, Run
from .roster import Roster

BIG: Final = 1_048_576  # bytes: such an answer is delivered before another of its kind is read


@dataclass(frozen=True, slots=True)
class EndingParts:
    """What it takes to end calls; `add` queues a call, as the engine does, `add_first` before others of its token."""

    scheduler: Scheduler
    roster: Roster
    clock: Clock
    hook: Hook
    tokens: TokenSource
    state: State
    deliveries: Deliveries
    max_attempts: int
    add: Callable[[Call, Lane, int], None]
    add_first: Callable[[Call, Lane], None]
    broke: Callable[[StateError], None]


class Endings:
    """Ends calls; knows the passes and tasks that wait for them."""

    def __init__(self, parts: EndingParts) -> None:
        self._parts: Final = parts
        self._scheduler: Final = parts.scheduler
        self.passes: Final[dict[Lane, Run[Any]]] = {}  # those with calls that have not ended
        self.callers: Final[dict[Lane, asyncio.Future[Settlement]]] = {}
        self._refused: Final[dict[str, Failed]] = {}  # why calls, by id, go on under another token
        self._renewing: Final[set[str]] = set()  # calls, by id, whose token is being looked for
        self._over: Final[set[str]] = set()  # those of them that nobody wants any more: their slot is over
        self.stopped = False  # nothing goes on any more

    def ended(self, settled: Settled, settlement: Settlement, size: int) -> Rest | None:
        """Take in a call that an attempt ended; return what to wait for before the next one, if anything."""
        lane, outcome, units = settled.ended.lane, settlement.outcome, 1 + size // UNIT
        if isinstance(outcome, Failed) and outcome.error.kind in REFUSALS and not self.stopped:
            return lambda: self._renew_or_settle(settled, settlement, units)
        if settlement.call.reach is not None and self._is_to_be_cut(lane, settlement):
            settlement = self._cut(lane, settlement)
        self._settle(lane, settlement, units)
        if settled.skipped:
            self.unsent(settled.skipped)
        if size <= BIG:
            return None
        records = self.passes.get(lane)
        return None if records is None else records.backlog.taken

    def unsent(self, calls: Iterable[Ended]) -> None:
        """End calls that were not sent, or not again."""
        at = None
        for ended in calls:
            at = at or self._parts.clock.utc()
            # A call that was tried was not skipped.
            outcome = self._refused.get(ended.call.id, ended.outcome)
            self._settle(ended.lane, Settlement(ended.call, outcome, ended.attempts, at, 0.0), 0)

    def caught_up(self, lane: Lane) -> asyncio.Future[bool] | None:
        """Return what is done when the reader of a lane's records has taken what there is; see `crew.Office`."""
        records = self.passes.get(lane)
        return None if records is None else records.backlog.caught_up()

    def broke(self, error: StateError) -> None:
        """Take in that the state cannot be used: nothing more may be called."""
        self._parts.broke(error)

    def spared(self, call: Call, lane: Lane) -> Skipped | None:
        """Take a call of its token's quota for the backfill of that lane, or say why it is not to be made."""
        records = self.passes.get(lane)
        return None if records is None or records.spare is None else records.spare.refusal(call)

    def forget(self, call: Call, lane: Lane) -> None:
        """Forget a caller who does not wait any more."""
        self.callers.pop(lane, None)
        self._refused.pop(call.id, None)

    def give_up(self, call: Call) -> None:
        """Let a call not go on under another token, if one is being looked for."""
        if call.id in self._renewing:
            self._over.add(call.id)

    def break_off(self, why: Exception) -> None:
        """Let nobody wait for what will not come; after an orderly end there is nobody."""
        for records in self.passes.values():
            records.break_down(why)
        for caller in self.callers.values():
            if not caller.done():
                caller.set_exception(why)
        self.callers.clear()

    # --- a refused token -------------------------------------------------------------------

    async def _renew_or_settle(self, settled: Settled, settlement: Settlement, units: int) -> None:
        """Look whether the references of refused calls give another token by now; if so, their calls go on."""
        renewed: dict[str, Operation] = {}
        ids = {settled.ended.call.id, *(ended.call.id for ended in settled.skipped)}
        self._renewing.update(ids)
        try:
            renewed = await self._renew(settled)
        finally:
            self._settle_refused(settled, settlement, units, renewed)
            self._renewing.difference_update(ids)
            self._over.difference_update(ids)

    async def _renew(self, settled: Settled) -> dict[str, Operation]:
        calls = [settled.ended.call, *(ended.call for ended in settled.skipped)]
        renewed: dict[str, Operation] = {}
        for operation in {c.operation.path: c.operation for c in calls}.values():
            token = await self._parts.tokens.resolve(operation)
            if token is not None and token != operation.token:
                renewed[operation.path] = replace(operation, token=token)
        await self._parts.state.look([operation.token.id for operation in renewed.values()])
        roster = self._parts.roster
        roster.renew(renewed.values(), settled.ended.call.operation.token)
        return {path: operation for path, operation in renewed.items() if roster.knows(path)}

    def _settle_refused(
        self, settled: Settled, settlement: Settlement, units: int, renewed: dict[str, Operation]
    ) -> None:
        ended = settled.ended
        tries_left = ended.attempts < self._parts.max_attempts
        if tries_left and isinstance(ended.outcome, Failed) and self._goes_on(ended, renewed):
            self._refused[ended.call.id] = ended.outcome
            self._scheduler.release(ended.lane)
            self._parts.add(self._parts.roster.current(ended.call), ended.lane, ended.attempts)
        else:
            self._settle(ended.lane, settlement, units)
        for skipped in settled.skipped:
            if self._goes_on(skipped, renewed):
                self._parts.add(self._parts.roster.current(skipped.call), skipped.lane, skipped.attempts)
            else:
                self.unsent((skipped,))

    def _goes_on(self, ended: Ended, renewed: dict[str, Operation]) -> bool:
        return ended.call.operation.path in renewed and ended.call.id not in self._over and not self.stopped

    # --- an answer that was cut off ---------------------------------------------------------

    def _is_to_be_cut(self, lane: Lane, settlement: Settlement) -> bool:
        records, call = self.passes.get(lane), settlement.call
        if records is None or not records.cuts or records.is_left:
            return False
        match settlement.outcome:
            case Ok(rows=rows):
                return len(rows) >= call.most_rows and records.parting.allow(call)
            case Failed(error=error):
                return error.kind is ErrorKind.TOO_LARGE and records.parting.allow(call)
            case _:
                return False

    def _cut(self, lane: Lane, settlement: Settlement) -> Settlement:
        """Queue the parts of a call; return how it has ended itself, without its rows."""
        records, call, outcome = self.passes[lane], settlement.call, settlement.outcome
        rows = len(outcome.rows) if isinstance(outcome, Ok) else 0
        self._parts.hook.observe(CallCut(call, rows, settlement.attempts, settlement.seconds))
        left = [self._parts.roster.current(part) for part in records.cut(call)]
        self._parts.state.expect(records.run, left)
        for part in reversed(left):
            self._parts.add_first(part, lane)
        answered = (
            Ok([], outcome.status or 0, outcome.code, outcome.msg) if not isinstance(outcome, Skipped) else outcome
        )
        return replace(settlement, outcome=answered, cut_id=cut_id(call, records.run))

    # --- the end ----------------------------------------------------------------------------

    def _settle(self, lane: Lane, settlement: Settlement, units: int) -> None:
        # Of a slot whose call was never sent its watch tells, and of a call that was cut its parts.
        if settlement.cut_id is None and (settlement.attempts or settlement.call.slot is None):
            self._parts.hook.observe(
                CallSettled(settlement.call, settlement.outcome, settlement.attempts, settlement.seconds)
            )
        if self._refused:
            self._refused.pop(settlement.call.id, None)
        if units > 1:
            self._scheduler.charge(lane, units - 1)
        records = self.passes.get(lane)
        if records is None:
            self._answer(lane, settlement)
            return
        is_left, deliveries = records.is_left, self._parts.deliveries
        if isinstance(settlement.outcome, (Ok, Empty)):
            if is_left:
                deliveries.drop(settlement.call)
            else:
                deliveries.keep(lane, settlement.call)
        records.settle(settlement, units)
        if is_left and records.finished:
            del self.passes[lane]

    def _answer(self, lane: Lane, settlement: Settlement) -> None:
        caller = self.callers.pop(lane, None)
        is_answer = isinstance(settlement.outcome, (Ok, Empty))
        if caller is not None and not caller.done():
            if is_answer:
                self._parts.deliveries.keep(lane, settlement.call)
            caller.set_result(settlement)
        elif is_answer:
            self._parts.deliveries.drop(settlement.call)
