"""Watching: a pass that never ends, because everything in it comes due again.

    async with engine.watch() as records:
        async for record in records: ...

It is used and read as a pass is. Its calls come from a timekeeper; what it hands out
beside rows and `call` records are gaps. A slot has ended when the reader asks for what
comes behind it; only then the state knows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import ClassVar, Final

import orjson

from wolkvox_async.errors import UsageError
from wolkvox_async.model import Call, GapReason, Ok
from wolkvox_async.planning import Subscription
from wolkvox_async.ports import Hook, LastSlot, OpenRun, SlotKey, SlotMissed, State
from wolkvox_async.records import WatchRecord
from wolkvox_async.scheduling.leads import Leads, LeadTerms
from wolkvox_async.scheduling.missing import reason_of
from wolkvox_async.scheduling.rounds import Rounds
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.scheduling.subjects import Subject
from wolkvox_async.settlements import Gap, Settlement

from .enlisting import Enlistment
from .passes import Run
from .timekeeping import Timekeeper
from .yard import PassParts, Yard


@dataclass(frozen=True, slots=True)
class WatchParts:
    """What a watch needs beside what a pass does; `only_changes` leaves out rows that are as in the reading before."""

    scheduler: Scheduler
    state: State
    hook: Hook
    leads: LeadTerms
    enlistment: Enlistment
    current: Callable[[Call], Call]
    only_changes: bool = False


class Watch(Run[WatchRecord]):
    """The records of everything that is watched, as they come; used and read as the `Records` of a pass.

    What is watched may be replaced meanwhile.
    """

    watches: ClassVar = True
    cuts: ClassVar = False  # a slot has one end

    def __init__(self, parts: PassParts, yard: Yard, watch: WatchParts) -> None:
        super().__init__(parts, yard)
        self._watch: Final = watch
        self._changes: Final = Changes() if watch.only_changes else None
        self._timekeeper: Timekeeper | None = None

    def supply(self, opened: OpenRun) -> Timekeeper:
        """Return what makes the calls of this watch."""
        rounds, subjects = Rounds(Leads(self._watch.leads)), self._watch.enlistment.subjects()
        self._total = len(subjects)
        self._timekeeper = Timekeeper(rounds, subjects, opened.id, self._parts.clock, self)
        if self.stopped:
            self._timekeeper.finish()
        return self._timekeeper

    async def replace(self, subscriptions: Iterable[Subscription]) -> None:
        """Watch these operations from now on.

        A slot of what stays is neither dropped nor doubled; what is new begins with its next
        slot. Raises `SelectionError` when nothing is left, or dates are wrong; then everything
        stays as it was.
        """
        await self._entered_timekeeper().replace(self._watch.enlistment.replaced(tuple(subscriptions)))

    async def rehold(self) -> None:
        """Ask again what is ours, and watch that from now on; others go on with the rest, and take up what is new."""
        await self._entered_timekeeper().replace(self._watch.enlistment.subjects(), others_go_on=True)

    # --- looking in -----------------------------------------------------------------------

    @property
    def started(self) -> int:
        """When the watching began (Unix milliseconds)."""
        return self._entered_timekeeper().started

    @property
    def version(self) -> int:
        """A number that grows when other things are watched."""
        return self._entered_timekeeper().version

    def subjects(self) -> list[Subject]:
        """Return what is watched."""
        return [watched.subject for watched in self._entered_timekeeper().all()]

    @property
    def size(self) -> int:
        """How many endpoints are watched, each of an operation."""
        return self._entered_timekeeper().size

    def next_at(self) -> int | None:
        """Return when something is due next (Unix milliseconds)."""
        return self._entered_timekeeper().next_at()

    def next_due(self, key: str) -> int | None:
        """Return when the next slot of a subject is due (Unix milliseconds); None when it is not watched."""
        watched = self._entered_timekeeper().get(key)
        return None if watched is None else watched.next.due

    def waits(self, key: str) -> GapReason | None:
        """Return what keeps back the call of a subject's slot; None when there is none, or it is in flight."""
        watched = self._entered_timekeeper().get(key)
        call = None if watched is None else watched.call
        return None if call is None else self._watch.scheduler.waits_for(self._watch.current(call))

    def in_flight(self, key: str) -> bool:
        """Tell whether the call of a subject's slot is in flight."""
        watched = self._entered_timekeeper().get(key)
        return watched is not None and watched.call is not None and self.waits(key) is None

    # --- in -------------------------------------------------------------------------------

    def settle(self, settlement: Settlement, units: int) -> None:
        """Take in that the call of a slot ended; one that was never sent leaves a gap."""
        timekeeper = self._entered_timekeeper()
        if not settlement.attempts:
            self._settled += 1
            timekeeper.unsent(settlement.call, reason_of(settlement.outcome))
            self._wake()
            return
        timekeeper.before(settlement.call)
        super().settle(settlement if self._changes is None else self._changes.only(settlement), units)
        timekeeper.settled(settlement)

    def miss(self, gap: Gap) -> None:
        """Take in that nothing was captured in a slot."""
        self.counters.gaps += 1
        self._watch.hook.observe(SlotMissed(gap.operation, gap.api, gap.slot, gap.reason))
        if not self.is_left:
            self.backlog.add(gap, 0)
            self._wake()

    def give_up(self, call: Call) -> GapReason | None:
        """Take back a call; return what it waited for if it was never sent, None if it was, or is in flight."""
        return self._yard.give_up(self, call)

    def take_back(self) -> None:
        """Take in that a call was given up."""
        self._settled += 1

    async def last_slots(self) -> Mapping[SlotKey, LastSlot]:
        """Return the last slots that are known of."""
        return await self._watch.state.last_slots()

    def stop(self) -> None:
        """Let nothing more come due; what is open ends by itself."""
        super().stop()
        if self._timekeeper is not None:
            self._timekeeper.finish()

    @property
    def complete(self) -> bool:
        """Whether it is never to be taken up again: a slot that is over does not come again."""
        return True

    def _entered_timekeeper(self) -> Timekeeper:
        if self._timekeeper is None:
            raise UsageError("a watch is a block: async with engine.watch() as records")
        return self._timekeeper


class Changes:
    """Leaves out the rows of a reading that are as in the one before; per question, a digest is kept."""

    def __init__(self) -> None:
        self._last: Final[dict[tuple[str, str], bytes]] = {}

    def only(self, settlement: Settlement) -> Settlement:
        """Return the settlement with its rows, or without them if nothing has changed."""
        call, outcome = settlement.call, settlement.outcome
        if not isinstance(outcome, Ok):
            return settlement
        digest = blake2b(orjson.dumps(outcome.rows), digest_size=16).digest()
        key = (call.operation.path, call.question)
        if self._last.get(key) == digest:
            return replace(settlement, outcome=replace(outcome, rows=[]))
        self._last[key] = digest
        return settlement
