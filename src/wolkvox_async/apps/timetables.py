"""When what is watched is due: next, and for the closing reading of its month. Pure.

Times in Unix milliseconds. Slots come from the timetables that `watch` keeps to, and
leads are those that it has once every endpoint was read a few times: at first it guesses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log
from typing import Final, NamedTuple

from wolkvox_async.scheduling.leads import FADES, GUESS, Leads, LeadTerms
from wolkvox_async.scheduling.subjects import Subject

from .rehearsal import Seconds

_SWIFTEST: Final = 0.001  # seconds: faster readings are not told apart


@dataclass(frozen=True, slots=True)
class Row:
    """A subject, when it is due next, and when for the closing reading of this month (None: it has none)."""

    subject: Subject
    due: int
    closing: int | None


class Due(NamedTuple):
    """A slot of the subject with that number; in the order of `at`."""

    at: int
    number: int
    closing: bool = False


def settled(subjects: Iterable[Subject], terms: LeadTerms, seconds: Seconds) -> Leads:
    """Return the leads when every endpoint takes so many `seconds`, and was read often enough to know that."""
    leads = Leads(terms)
    for subject in subjects:
        leads.add(subject)
        if subject.monthly:
            took = seconds(subject.operation, subject.api)
            for _ in range(_readings(took)):
                leads.measured(subject, took)
    return leads


def _readings(took: float) -> int:
    """Return after how many readings the first guess is forgotten."""
    return max(1, ceil(log(max(took, _SWIFTEST) / GUESS, FADES)))


def rows(subjects: Iterable[Subject], leads: Leads, now: int) -> Iterator[Row]:
    """Yield when each subject is due from `now` on."""
    for subject in subjects:
        timetable, lead = subject.timetable, leads.of(subject)
        turn = timetable.turn(now)
        closing = None if turn is None else timetable.first(turn - lead, lead).due
        yield Row(subject, timetable.first(now, lead).due, closing)


def ordinary(subjects: Sequence[Subject], since: int, until: int) -> list[Due]:
    """Return the slots from `since` to before `until`, as they are when no month turns."""
    found: list[Due] = []
    for number, subject in enumerate(subjects):
        grid = subject.timetable.grid
        first = grid.before(since) + grid.interval
        found.extend(Due(place, number) for place in range(first, until, grid.interval))
    found.sort()
    return found


def dated(subjects: Sequence[Subject], leads: Leads, since: int, until: int) -> list[Due]:
    """Return the slots from `since` to before `until`, closing ones among them, without those that are dropped."""
    found = [
        Due(at, number, closing)
        for number, subject in enumerate(subjects)
        for at, closing in _slots(subject, leads.of(subject), since, until)
    ]
    found.sort()
    return found


def _slots(subject: Subject, lead: int, since: int, until: int) -> Iterator[tuple[int, bool]]:
    slot = subject.timetable.first(since, lead)
    while slot.due < until:
        if not slot.dropped:
            yield slot.due, slot.closing
        slot = subject.timetable.next(slot, lead)


def turns(subjects: Sequence[Subject], now: int) -> dict[int, list[int]]:
    """Return when months turn next, the first one first, each with the numbers of the subjects that it closes."""
    found: dict[int, list[int]] = {}
    for number, subject in enumerate(subjects):
        if (turn := subject.timetable.turn(now)) is not None:
            found.setdefault(turn, []).append(number)
    return dict(sorted(found.items()))
