"""How late slots begin, and which would be lost: watching, rehearsed in virtual time. Pure.

As `watch` does it: a subject has one open call at most. When its next slot comes due and
the call was never sent, that one is taken back and is a gap; while it is in flight, the
new slot is one. What was asked late is asked an interval later at the earliest, and a slot
that would so begin later than a tenth of its interval is a gap as well. A closing reading
goes ahead of what its token has queued. Nothing fails: what outages and retries cost comes
on top.

An ordinary stretch of the longest interval there is (shorter where there are very many
slots) is gone through, between two of the shortest, so that it neither begins nor ends with
nothing queued; and the minutes before each turn of a month, with the closing readings in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from wolkvox_async.model import Call, Slot
from wolkvox_async.scheduling.leads import Leads
from wolkvox_async.scheduling.rounds import grace
from wolkvox_async.scheduling.subjects import Subject

from .rehearsal import Audience, Flying, Rehearsal, Scene
from .timetables import Due, dated, ordinary, turns

MOST_SLOTS: Final = 400_000  # that are gone through for each figure, about 15 us each
_RUN_UP: Final = 300_000  # milliseconds before the first closing reading, and behind the turn


@dataclass(slots=True)
class Delays:
    """By the number of a subject: the longest delay (s) of a slot and how many were lost; `slots` of all.

    `answered` is when closing readings were there (Unix ms).
    """

    worst: list[float]
    lost: list[int]
    slots: int = 0
    answered: dict[int, float] = field(default_factory=dict)
    flying: Flying = field(default_factory=Flying)


@dataclass(frozen=True, slots=True)
class Closing:
    """The turn of a month (Unix ms): how many readings it closes, when the first is due and the last is there.

    `late` are the numbers of the subjects that would not be read in time.
    """

    turn: int
    readings: int
    first: int
    last: float
    late: tuple[int, ...]
    delays: Delays


def steady(subjects: Sequence[Subject], scene: Scene, now: int) -> Delays:
    """Go through an ordinary stretch of watching `subjects` that begins at `now`."""
    intervals = [subject.timetable.grid.interval for subject in subjects] or [1]
    warm, longest = min(intervals), max(intervals)
    affordable = int(MOST_SLOTS / sum(1 / interval for interval in intervals))
    since = now + warm
    until = since + min(longest, max(warm, affordable))
    return _Stretch(subjects, scene, now, range(since, until)).go_through(ordinary(subjects, now, until + warm))


def closings(subjects: Sequence[Subject], scene: Scene, leads: Leads, now: int) -> Iterator[Closing]:
    """Go through the minutes before each turn of a month; of many turns, those with most readings."""
    left = MOST_SLOTS
    by_size = sorted(turns(subjects, now).items(), key=lambda found: -len(found[1]))
    for turn, numbers in by_size:
        first = turn - max(leads.of(subjects[number]) for number in numbers)
        since, until = first - _RUN_UP, turn + _RUN_UP
        dues = dated(subjects, leads, since, until)
        if left < len(dues) and left < MOST_SLOTS:
            return
        left -= len(dues)
        delays = _Stretch(subjects, scene, since, range(since, turn)).go_through(dues)
        yield _closing(turn, numbers, first, delays)


def _closing(turn: int, numbers: Sequence[int], first: int, delays: Delays) -> Closing:
    answered = {number: delays.answered[number] for number in numbers if number in delays.answered}
    late = tuple(number for number in numbers if answered.get(number, turn + 1) > turn)
    return Closing(turn, len(numbers), first, max(answered.values(), default=first), late, delays)


def worst_by_operation(subjects: Sequence[Subject], found: Iterable[Delays]) -> dict[str, float]:
    """Return the longest delay (s) of each operation, by path."""
    worst = {subject.operation.path: 0.0 for subject in subjects}
    for delays in found:
        for subject, late in zip(subjects, delays.worst, strict=True):
            path = subject.operation.path
            worst[path] = max(late, worst[path])
    return worst


class _Stretch(Audience):
    """Slots that come due one after the other from `since` (Unix ms) on; those due in `counts` are judged."""

    def __init__(self, subjects: Sequence[Subject], scene: Scene, since: int, counts: range) -> None:
        self._subjects: Final = subjects
        self._since: Final = since
        self._counts: Final = counts
        self._open: Final[list[Call | None]] = [None] * len(subjects)
        self._due: Final = [0] * len(subjects)
        self._sent: Final = [-inf] * len(subjects)
        self._rehearsal: Final = Rehearsal(scene, self)
        self._delays: Final = Delays([0.0] * len(subjects), [0] * len(subjects), flying=self._rehearsal.flying)

    def go_through(self, dues: Iterable[Due]) -> Delays:
        for due in dues:
            self._rehearsal.go_on((due.at - self._since) / 1000)
            self._come_due(due)
        self._rehearsal.finish()
        return self._delays

    def _come_due(self, due: Due) -> None:
        number = due.number
        self._delays.slots += due.at in self._counts
        before = self._open[number]
        if before is not None:
            if not self._rehearsal.give_up(before):
                self._lose(number, due.at)
                return
            self._lose(number, self._due[number])
        subject = self._subjects[number]
        call = Call(str(number), subject.operation, subject.api, "", ())
        if due.closing:
            call.slot = Slot(due.at, due.at, closing=True)
        self._open[number], self._due[number] = call, due.at
        self._rehearsal.add((call,))

    def _lose(self, number: int, at: int) -> None:
        self._delays.lost[number] += at in self._counts

    def earliest(self, call: Call) -> float:
        number = int(call.id)
        return self._sent[number] + self._subjects[number].interval

    def patience(self, call: Call) -> float:
        closing = call.slot is not None
        return inf if closing else grace(self._subjects[int(call.id)].interval)

    def skipped(self, call: Call) -> None:
        number = int(call.id)
        self._open[number] = None
        self._lose(number, self._due[number])

    def began(self, call: Call, now: float) -> None:
        number = int(call.id)
        self._sent[number] = now
        if (due := self._due[number]) in self._counts:
            late = now - (due - self._since) / 1000
            self._delays.worst[number] = max(late, self._delays.worst[number])

    def ended(self, call: Call, now: float) -> None:
        number = int(call.id)
        self._open[number] = None
        if call.slot is not None:
            self._delays.answered[number] = self._since + now * 1000
