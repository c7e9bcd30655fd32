"""Asks what is watched when it comes due, and says of every slot how it ended.

A slot lasts until the next one of its subject. Then a call that was never sent is taken
back and leaves a gap that says what it waited for; one that was tried ends with its last
failure; one in flight goes on, and it is the new slot that becomes a gap (`overrun`). So
slots drop and calls never overlap. The ends of a subject's slots stand in the output in
their order: gaps behind a call in flight wait for it.

Time is the wall clock's, because slots are pinned to it. It is looked at every few
seconds at least, for it may be set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final, Protocol

from wolkvox_async.identity import CallIds
from wolkvox_async.marks import asked_beside
from wolkvox_async.model import Call, GapReason, Slot
from wolkvox_async.ports import Alarm, Clock, LastSlot, SlotKey
from wolkvox_async.scheduling.rounds import Due, Rounds, Watched
from wolkvox_async.scheduling.subjects import Subject
from wolkvox_async.settlements import Gap, Settlement

from .backlog import Backlog
from .feeding import PORTION
from .lifetime import outlast

LOOK_AGAIN: Final = 10.0  # seconds after which the wall clock is looked at, whatever is due
_ENLISTED_AT_ONCE: Final = 1_000
_STANDSTILL: Final = 3 * LOOK_AGAIN  # seconds: whoever looks so seldom was kept from it
_OWN_REASONS: Final = frozenset({GapReason.OVERRUN, GapReason.INFEASIBLE})
_MANY: Final = 10_000  # items that the reader has not taken: nothing more comes due until he has


class Watcher(Protocol):
    """Whose slots these are: a watch."""

    @property
    def backlog(self) -> Backlog:
        """What the reader has not taken yet."""

    async def queue(self, calls: list[Call]) -> None:
        """Look the tokens of `calls` up and queue them."""

    def give_up(self, call: Call) -> GapReason | None:
        """Take back a call; return what it waited for if it was never sent, None if it was, or is in flight."""

    def miss(self, gap: Gap) -> None:
        """Take in that nothing was captured in a slot."""

    def take_back(self) -> None:
        """Take in that a call was given up."""

    async def last_slots(self) -> Mapping[SlotKey, LastSlot]:
        """Return the last slots that are known of."""

    def fed(self) -> None:
        """Take in that there are no more calls; those queued may all have ended by now."""

    def break_down(self, why: Exception) -> None:
        """Take in that nothing more comes due."""


class Timekeeper:
    """The supply of a watch."""

    spared: Final = 0

    def __init__(self, rounds: Rounds, subjects: Sequence[Subject], run: str, clock: Clock, watcher: Watcher) -> None:
        self.begun = 0
        self.is_over = False
        self.started = 0
        self.version = 0
        self._rounds: Final = rounds
        self._subjects: Final = subjects
        self._ids: Final = CallIds(run)
        self._clock: Final = clock
        self._watcher: Final = watcher
        self._open: Final[dict[str, Watched]] = {}  # by call id
        self._former: Final[dict[str, Watched]] = {}  # what is watched no more, and may come back
        self._left: Final[dict[str, Watched]] = {}  # what others watch
        self._looked_at = 0  # when what was due was taken last
        self._stood_still = False  # between that and now: what was not sent could not be
        self._blocked_from: int | None = None  # the reader took nothing since then, for a while
        self._woken: Final = asyncio.Event()
        self._replacing: Final = asyncio.Lock()
        self._is_stopping = False
        self._task: asyncio.Task[None] | None = None

    # --- a supply -------------------------------------------------------------------------

    async def begin(self) -> None:
        """Begin to watch."""
        self.started = self._looked_at = self.now()
        await self._enlist(self._subjects, await self._watcher.last_slots())
        self._task = asyncio.create_task(self._live(), name="wolkvox_async timekeeper")

    def finish(self) -> None:
        """Let nothing more come due; what is open ends by itself."""
        self._is_stopping = True
        self._woken.set()

    def stop(self) -> None:
        """Let nothing more come due, at once: the watch was left."""
        self.is_over = True
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        """Return when nothing goes on in the background any more."""
        if self._task is not None:
            await outlast(self._task)

    # --- what is watched ------------------------------------------------------------------

    def all(self) -> list[Watched]:
        """Return everything that is watched."""
        return list(self._rounds)

    @property
    def size(self) -> int:
        """How much is watched."""
        return len(self._rounds)

    def next_at(self) -> int | None:
        """Return when something is due next."""
        return self._rounds.next_at()

    def get(self, key: str) -> Watched | None:
        """Return what is watched under `key`."""
        return self._rounds.get(key)

    async def replace(self, subjects: Sequence[Subject], *, others_go_on: bool = False) -> None:
        """Watch these from now on; a slot of what stays is neither dropped nor doubled.

        Where others go on with what is left out, nothing is told of slots that did not end here.
        """
        async with self._replacing:
            last_slots = await self._watcher.last_slots()
            wanted = {subject.key for subject in subjects}
            for watched in [watched for watched in self._rounds if watched.subject.key not in wanted]:
                if others_go_on:
                    self._leave_to_others(watched)
                else:
                    self._drop(watched)
            await self._enlist(subjects, last_slots)
            self._woken.set()

    def _drop(self, watched: Watched) -> None:
        self._forget(watched)
        if watched.call is not None and self._watcher.give_up(watched.call) is not None:
            self._gone(watched.call, GapReason.STOPPED)

    def _leave_to_others(self, watched: Watched) -> None:
        self._rounds.remove(watched.subject.key)
        if watched.call is None or self._watcher.give_up(watched.call) is None:
            self._left[watched.subject.key] = watched
        else:
            self._watcher.take_back()
            del self._open[watched.call.id]

    async def _enlist(self, subjects: Sequence[Subject], last_slots: Mapping[SlotKey, LastSlot]) -> None:
        known, now = _Known(last_slots), self.now()
        self._rounds.announce(subjects)
        for number, subject in enumerate(subjects, 1):
            self._enrol(subject, known, now)
            if number % _ENLISTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        self.version += 1

    def _enrol(self, subject: Subject, known: _Known, now: int) -> None:
        watched = self._rounds.get(subject.key)
        if watched is not None and watched.subject.timetable == subject.timetable:
            self._rounds.replace(subject)
            return
        if watched is not None:
            self._forget(watched)
        former, left = self._former.pop(subject.key, None), self._left.pop(subject.key, None)
        last = _later(known.last(subject, now), None if left is None else left.last)
        if former is None or former.last is None:  # the state may not know of its last slot yet
            heir = self._rounds.add(subject, last, now)
        else:
            heir = self._rounds.add(subject, _moved(subject, former.last), now, missed=False)
        for before in (former, left):
            if before is not None and before.call is not None:
                # What was missed since that call was sent is told behind its end.
                heir.call, heir.behind = before.call, [*before.behind, *self._rounds.take_missed(heir)]
                self._open[before.call.id] = heir

    def _forget(self, watched: Watched) -> None:
        self._tell_missed(watched)
        self._rounds.remove(watched.subject.key)
        self._former[watched.subject.key] = watched

    # --- what comes due -------------------------------------------------------------------

    async def _live(self) -> None:
        try:
            while not self._is_stopping:
                if await self._come_due() or self._catch_up():
                    await asyncio.sleep(0)
                else:
                    await self._until_next()
        except Exception as error:  # noqa: BLE001 - whoever reads the watch gets it
            self._watcher.break_down(error)  # and it is not over, for that would be an end in order
        else:
            self.is_over = True
            self._watcher.fed()

    async def _come_due(self) -> bool:
        """Take what is due, a portion at a time; return whether there may be more."""
        now = self.now()
        self._stood_still, self._looked_at = now - self._looked_at > _STANDSTILL * 1000, now
        while (turned := self._rounds.turned(now)) is not None:
            self._ended(turned)
        calls, due = [], None
        for _ in range(PORTION):
            if (due := self._rounds.take(now)) is None:
                self._blocked_from = None
                break
            if (call := self._begin_slot(due)) is not None:
                calls.append(call)
        if calls:
            self.begun += len(calls)
            await self._watcher.queue(calls)
        if len(self._watcher.backlog) > _MANY:
            self._blocked_from = self.now() if self._blocked_from is None else self._blocked_from
            await self._watcher.backlog.taken()
            self._looked_at = self.now()
        return due is not None

    def _catch_up(self) -> bool:
        """Tell something of what was missed while nobody watched; return whether there was any."""
        if len(self._watcher.backlog) > _MANY or (watched := self._rounds.behind()) is None:
            return False
        self._tell_missed(watched, PORTION)
        return True

    def _tell_missed(self, watched: Watched, most: int | None = None) -> None:
        if watched.missed is not None:
            for slot, reason in islice(self._rounds.take_missed(watched), most):
                self._watcher.miss(_gap(watched, slot, reason))

    async def _until_next(self) -> None:
        at, now = self._rounds.next_at(), self.now()
        seconds = LOOK_AGAIN if at is None else min(max((at - now) / 1000, 0.0), LOOK_AGAIN)
        alarm: Alarm = self._clock.alarm(self._clock.now() + seconds, self._woken.set)
        await self._woken.wait()
        self._woken.clear()
        alarm.cancel()

    def _begin_slot(self, due: Due) -> Call | None:
        """Return the call of a slot that came due, unless there is none to be made."""
        watched, slot, gap = due.watched, due.slot, due.gap
        watched.last = slot
        if not slot.dropped and not self._ended(watched):
            gap = gap or GapReason.OVERRUN
        if gap is GapReason.SUSPENDED and self._blocked_from is not None and slot.due >= self._blocked_from:
            gap = GapReason.SINK
        if gap is not None:
            self._miss(watched, slot, gap)
            return None
        call = watched.call = watched.subject.call(self._ids, slot)
        self._open[call.id] = watched
        return call

    def _ended(self, watched: Watched) -> bool:
        """Take back the call of a slot that is over; return whether it has ended now, or had before."""
        call = watched.call
        if call is not None and (reason := self._watcher.give_up(call)) is not None:
            overslept = self._stood_still and reason in _OWN_REASONS
            self._gone(call, GapReason.SUSPENDED if overslept else reason)
        return call is None or call.id not in self._open

    # --- how slots end --------------------------------------------------------------------

    def settled(self, settlement: Settlement) -> None:
        """Take in that the call of a slot ended; to be called when that stands in the backlog."""
        watched = self._open.pop(settlement.call.id)
        self._rounds.measured(watched, settlement.seconds)
        self._flush(watched)

    def before(self, call: Call) -> None:
        """Tell what is to stand in the backlog before the end of a call that was sent."""
        self._tell_missed(self._open[call.id])

    def unsent(self, call: Call, reason: GapReason) -> None:
        """Take in that the call of a slot ended without having been sent."""
        watched = self._open.pop(call.id)
        self._tell_missed(watched)
        if call.slot is not None:
            self._watcher.miss(_gap(watched, call.slot, reason))
        self._flush(watched)

    def _gone(self, call: Call, reason: GapReason) -> None:
        self._watcher.take_back()
        self.unsent(call, reason)

    def _miss(self, watched: Watched, slot: Slot, reason: GapReason) -> None:
        if watched.call is None:
            self._tell_missed(watched)
            self._watcher.miss(_gap(watched, slot, reason))
        else:
            watched.behind.append((slot, reason))

    def _flush(self, watched: Watched) -> None:
        watched.call = None
        behind, watched.behind = watched.behind, []
        for slot, reason in behind:
            self._watcher.miss(_gap(watched, slot, reason))

    def now(self) -> int:
        """Return the wall clock's time in Unix milliseconds."""
        return int(self._clock.utc().timestamp() * 1000)


def _gap(watched: Watched, slot: Slot, reason: GapReason) -> Gap:
    subject = watched.subject
    return Gap(subject.operation, subject.api, slot, reason, subject.window(slot), subject.params)


def _moved(subject: Subject, last: Slot) -> Slot:
    """Return the last slot of a subject whose timetable is another now."""
    return subject.timetable.resumed(last.due, last.due if last.closing else None)


def _later(one: Slot | None, other: Slot | None) -> Slot | None:
    return max((slot for slot in (one, other) if slot is not None), key=lambda slot: slot.due, default=None)


def _beside(known: str) -> str:
    _, mark, params = known.partition("?")
    return mark + params


class _Known:
    """The last slots that are known of, by what is watched."""

    def __init__(self, last_slots: Mapping[SlotKey, LastSlot]) -> None:
        self._by_month: Final[dict[tuple[str, str, str], dict[str, LastSlot]]] = {}
        for (tenant, operation, api, month), last in last_slots.items():
            self._by_month.setdefault((tenant, operation, api), {})[month] = last

    def last(self, subject: Subject, now: int) -> Slot | None:
        """Return the last slot of a subject that is known of."""
        operation = subject.operation
        months = self._by_month.get((operation.tenant, operation.name, subject.api), {})
        month, beside = subject.month(now), asked_beside(subject.params)
        found = [
            last
            for known, last in months.items()
            if (_beside(known) == beside if month is None else known == month + beside)
        ]
        if not found:
            return None
        last = max(found, key=lambda one: one.due)
        return subject.timetable.resumed(last.due, last.closing)
