"""What comes due when, of everything that is watched; and which slots are over before they began. Pure.

Each subject has one next slot; all of them stand in a heap. A slot that is taken is
followed by the next one at once, with the lead as it is then. Times in Unix milliseconds.

A slot is not begun:

* in the place behind a closing reading, where it would be too early (`closing`);
* when it comes up late by more than a tenth of its interval. Begun so late, it would make
  the next ones late as well, for the same is not asked twice within an interval. The
  program did not run when it was due (`stopped`); or the machine or the process stood
  still, or the clock was set forward (`suspended`).

A closing slot is begun as long as its month has not turned, whatever happened before. So
a restart that is over within a tenth of the interval costs nothing.

What was missed while nobody watched can be very much. So it does not stand in the heap: a
subject begins with the first slot that is not over, and what lies before is told of when
there is nothing else to do, or when that slot ends, whichever is first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from wolkvox_async.model import Call, GapReason, Slot

from .leads import Leads
from .subjects import Subject

REMEMBERED: Final = 62 * 86_400_000  # what was missed longer ago is not told of
_GRACE: Final = 0.1  # of an interval
_AT_LEAST: Final = 1.0  # seconds, or half of a short interval


def grace(interval: float) -> float:
    """Return how many seconds behind its due time a slot is still begun."""
    return max(interval * _GRACE, min(_AT_LEAST, interval / 2))


@dataclass(slots=True, eq=False)
class Watched:
    """A subject, its next and its last slot, a call that has not ended, and the gaps behind that.

    `missed` is the first of the slots that were missed while nobody watched, and not told of yet.
    """

    subject: Subject
    next: Slot
    since: int
    last: Slot | None = None
    missed: Slot | None = None
    alive_from: int = 0
    call: Call | None = None
    behind: list[tuple[Slot, GapReason]] = field(default_factory=list)


@dataclass(slots=True)
class Due:
    """A slot that came due; `gap` says why it is not begun."""

    watched: Watched
    slot: Slot
    gap: GapReason | None


class Rounds:
    """The slots of all subjects in the order in which they are due."""

    def __init__(self, leads: Leads) -> None:
        self._leads: Final = leads
        self._watched: Final[dict[str, Watched]] = {}
        self._missed: Final[deque[Watched]] = deque()
        self._heap: Final[list[tuple[int, int, Watched, Slot]]] = []
        self._turning: Final[list[tuple[int, int, Watched, Slot]]] = []  # closing slots, by when their month turns
        self._stamp = 0

    def __len__(self) -> int:
        return len(self._watched)

    def __iter__(self) -> Iterator[Watched]:
        return iter(self._watched.values())

    def get(self, key: str) -> Watched | None:
        """Return what is watched under `key`."""
        return self._watched.get(key)

    def announce(self, subjects: Iterable[Subject]) -> None:
        """Take in what is going to be watched, so that no lead is too short for those that come later."""
        for subject in subjects:
            self._leads.add(subject)

    def add(self, subject: Subject, last: Slot | None, now: int, *, missed: bool = True) -> Watched:
        """Watch a subject from `now` on; slots since the `last` one that is known of were missed, or not wanted."""
        self._leads.add(subject)
        lead, timetable = self._leads.of(subject), subject.timetable
        if last is None:
            watched = Watched(subject, timetable.first(now, lead), now)
        else:
            last = max(last, timetable.resumed(now - REMEMBERED, None), key=lambda slot: slot.place)
            alive = self._first_alive(subject, last, now)
            before = alive.place - timetable.grid.interval
            reached = last if last.due >= before else Slot(before, before, closed=last.closed)
            watched = Watched(subject, alive, now, reached)
            first = _missable(timetable.next(last, lead), now)
            if missed and first.place < alive.place:
                watched.missed, watched.alive_from = first, alive.place
                self._missed.append(watched)
        self._watched[subject.key] = watched
        self._push(watched)
        return watched

    def _first_alive(self, subject: Subject, last: Slot, now: int) -> Slot:
        """Return the first slot behind `last` that is not over."""
        timetable, lead = subject.timetable, self._leads.of(subject)
        turn = timetable.turn(now)
        if turn is not None and turn - lead <= now:
            closing = timetable.after(last, turn - lead, lead)
            if closing.closing and closing.due <= now:
                return closing
        return timetable.after(last, now - round(grace(subject.interval) * 1000), lead)

    def behind(self) -> Watched | None:
        """Return a subject of which missed slots are to be told, the same until all are."""
        while self._missed:
            watched = self._missed[0]
            if watched.missed is not None and self._watched.get(watched.subject.key) is watched:
                return watched
            self._missed.popleft()
        return None

    def take_missed(self, watched: Watched) -> Iterator[tuple[Slot, GapReason]]:
        """Yield the slots of a subject that were missed while nobody watched; whoever stops may go on later."""
        timetable, lead = watched.subject.timetable, self._leads.of(watched.subject)
        while (slot := watched.missed) is not None:
            following = _missable(timetable.next(slot, lead), watched.since)
            watched.missed = following if following.place < watched.alive_from else None
            yield slot, GapReason.CLOSING if slot.dropped else GapReason.STOPPED

    def remove(self, key: str) -> Watched | None:
        """Watch it no more."""
        watched = self._watched.pop(key, None)
        if watched is not None:
            self._leads.remove(watched.subject)
        return watched

    def replace(self, subject: Subject) -> None:
        """Have a subject that is watched be this one, on the same timetable."""
        watched = self._watched[subject.key]
        self._leads.remove(watched.subject)
        watched.subject = subject
        self._leads.add(subject)

    def measured(self, watched: Watched, seconds: float) -> None:
        """Take in how long a reading took."""
        self._leads.measured(watched.subject, seconds)

    def next_at(self) -> int | None:
        """Return when something is due next."""
        heap = self._heap
        while heap and not self._counts(heap[0]):
            heappop(heap)
        if not heap or not self._turning:
            return heap[0][0] if heap else None
        return min(heap[0][0], self._turning[0][0])

    def turned(self, now: int) -> Watched | None:
        """Remove and return a subject whose closing reading, if it has not ended, is over: the month has turned."""
        while self._turning and self._turning[0][0] <= now:
            _, _, watched, slot = heappop(self._turning)
            if watched.call is not None and watched.call.slot is slot:
                return watched
        return None

    def take(self, now: int) -> Due | None:
        """Remove and return the first slot that is due by `now`."""
        self.next_at()
        if not self._heap or self._heap[0][0] > now:
            return None
        _, _, watched, slot = heappop(self._heap)
        subject = watched.subject
        watched.next = subject.timetable.next(slot, self._leads.of(subject))
        self._push(watched)
        if slot.closing and slot.closed is not None:
            heappush(self._turning, (slot.closed, self._stamp, watched, slot))
        return Due(watched, slot, self._gap(watched, slot, now))

    def _gap(self, watched: Watched, slot: Slot, now: int) -> GapReason | None:
        if slot.dropped:
            return GapReason.CLOSING
        latest = slot.due + grace(watched.subject.interval) * 1000
        if slot.closing and slot.closed is not None:
            latest = slot.closed - 1
        if now <= latest:
            return None
        return GapReason.STOPPED if slot.due < watched.since else GapReason.SUSPENDED

    def _counts(self, entry: tuple[int, int, Watched, Slot]) -> bool:
        _, _, watched, slot = entry
        return slot is watched.next and self._watched.get(watched.subject.key) is watched

    def _push(self, watched: Watched) -> None:
        self._stamp += 1
        heappush(self._heap, (watched.next.due, self._stamp, watched, watched.next))


def _missable(slot: Slot, since: int) -> Slot:
    """Return a slot as one that was missed before `since`: no closing slot of a month that had not turned by then."""
    if slot.closing and slot.closed is not None and slot.closed > since:
        return Slot(slot.place, slot.place)
    return slot
