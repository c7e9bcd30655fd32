"""What is watched: every endpoint of every operation, each on a timetable of its own. Pure.

A subject's key names its operation and what it is asked, not the token: when a token is
replaced, its slots stay where they are. Where two entries of a tenants file ask the same
of one token, the first is the one that is watched: within one interval it may be asked once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from wolkvox_async.identity import CallIds, spelled
from wolkvox_async.model import DATE_NAMES, Call, Operation, Params, Slot
from wolkvox_async.model import question as as_text
from wolkvox_async.planning import DateRange, MonthWord, Question, Subscription, Wanted, windows
from wolkvox_async.windows import Window, in_days, parse_start, timezone

from .calendar import Grid, Timetable

SHORTEST: Final = 0.1  # seconds
LONGEST: Final = 31 * 86_400.0

_LONGEST_MONTH: Final = 31  # days


@dataclass(frozen=True, slots=True)
class Subject:
    """An endpoint of an operation, asked every `interval` seconds.

    Dates that span calendar months make one subject for each: `part` is which.
    """

    key: str
    operation: Operation
    wanted: Wanted
    part: int
    interval: float
    timetable: Timetable
    question: Question | None = None  # what is asked in every slot, where that is always the same

    @property
    def api(self) -> str:
        """The endpoint as records write it."""
        return self.wanted.endpoint.name

    @property
    def monthly(self) -> bool:
        """Whether what is not read before the month turns is never read."""
        return self.timetable.zone is not None

    def call(self, ids: CallIds, slot: Slot) -> Call:
        """Build the call of a slot; its windows are those of the slot's time."""
        question = self.question or Question.of(self.wanted.endpoint, self.window(slot), self.interval)
        made = question.call(self.operation, ids.of(f"{self.key}{slot.due}"))
        made.slot = slot
        if question.window is not None and self._is_open:
            params = self.wanted.endpoint.params
            made.remembered = as_text(self.api, (*params, (DATE_NAMES[0], question.window.date_ini)))
        return made

    @property
    def _is_open(self) -> bool:
        """Whether what is asked for goes on to now, and so is another thing in every slot."""
        return isinstance(self.wanted.dates, DateRange) and self.wanted.dates.end is None

    def window(self, slot: Slot) -> Window | None:
        """Return what is asked for in a slot, where dates are."""
        if self.wanted.dates is None:
            return None
        zone, dates = timezone(self.operation.timezone), self.wanted.dates
        local = slot.at.astimezone(zone)
        if isinstance(dates, DateRange):  # it may have begun since, if the slot was missed long ago
            local = max(local, parse_start(dates.start, zone))
        found = windows(dates, local, self.wanted.endpoint.days)
        return found[min(self.part, len(found) - 1)]

    @property
    def params(self) -> Params:
        """The parameters that are asked for."""
        return self.wanted.endpoint.params

    def month(self, now: int) -> str | None:
        """Return the month (YYYYmm) that is always asked for; empty without dates, None where it goes with the time."""
        if self.wanted.dates is None:
            return ""
        if not isinstance(self.wanted.dates, DateRange):
            return None
        window = self.window(Slot(now, now))
        return None if window is None else window.date_ini[:6]


@dataclass(frozen=True, slots=True)
class Double:
    """A subject that is not watched, because `first` asks the same of the same token."""

    path: str
    api: str
    first: str


class Subjects:
    """Works out what is watched of operations; many have their list of endpoints in common.

    `interval` is the least time in seconds between two calls that ask a token the same,
    greater than 0; an endpoint may have a longer one.
    """

    def __init__(self, interval: float, *, dates: DateRange | None = None) -> None:
        _check(interval)
        self._interval: Final = interval
        self._dates: Final = dates
        self._asked: Final[dict[tuple[str, str], str]] = {}  # by token and question: the operation that asks it
        # By the identity of what is wanted, which is kept so that nothing else gets it.
        self._questions: Final[dict[int, tuple[Wanted, Question]]] = {}
        self.doubles: Final[list[Double]] = []

    def of(self, subscriptions: Iterable[Subscription], now: datetime) -> Iterator[Subject]:
        """Yield what is watched of them at `now` (aware); raises `ValueError` for dates that are wrong then."""
        for subscription in subscriptions:
            for wanted in subscription.wanted:
                yield from self._of(subscription.operation, wanted.with_dates(self._dates), now)

    def _of(self, operation: Operation, wanted: Wanted, now: datetime) -> Iterator[Subject]:
        zone, interval = timezone(operation.timezone), wanted.endpoint.pause(self._interval)
        _check_days(wanted)
        for part in range(len(windows(wanted.dates, now.astimezone(zone), wanted.endpoint.days))):
            asked = _asked(wanted, part)
            first = self._asked.setdefault((operation.token.id, asked), operation.path)
            if first != operation.path:
                self.doubles.append(Double(operation.path, wanted.endpoint.name, first))
                continue
            _check(interval)
            key = spelled(operation.tenant) + spelled(operation.name) + asked
            yield Subject(
                key, operation, wanted, part, interval, _timetable(key, wanted, interval, zone), self._question(wanted)
            )

    def _question(self, wanted: Wanted) -> Question | None:
        """Return what is asked in every slot; the operations that want the same have it in common."""
        if wanted.dates is not None:
            return None
        known = self._questions.get(id(wanted))
        if known is None:
            made = Question.of(wanted.endpoint, None, wanted.endpoint.pause(self._interval))
            known = self._questions[id(wanted)] = (wanted, made)
        return known[1]


def _check(interval: float) -> None:
    if not SHORTEST <= interval <= LONGEST:
        raise ValueError(
            f"what is watched needs an interval of {SHORTEST:g} s to 31 days, not {interval:g} s (--interval)"
        )


def _check_days(wanted: Wanted) -> None:
    """Refuse whole months where that many calls go with them: months differ, and what is watched does not."""
    days, word = wanted.endpoint.days, wanted.dates
    if isinstance(word, str) and days is not None and days < _LONGEST_MONTH:
        raise ValueError(
            f"{wanted.endpoint.name} is asked for {in_days(days)} at most, so its {word} cannot be watched: "
            "name dates, or use fetch"
        )


def _asked(wanted: Wanted, part: int) -> str:
    """Write what is asked, so that nothing else is written alike; it stays the same while dates go on."""
    endpoint = wanted.endpoint
    return (
        spelled(endpoint.name) + "".join(spelled(f"{n}={v}") for n, v in endpoint.params) + _dates(wanted.dates, part)
    )


def _dates(dates: DateRange | MonthWord | None, part: int) -> str:
    if dates is None:
        return ""
    said = dates if isinstance(dates, str) else f"{dates.start}..{dates.end or ''}"
    return spelled(f"{said} {part}")


def _timetable(key: str, wanted: Wanted, interval: float, zone: tzinfo) -> Timetable:
    monthly = wanted.endpoint.monthly and wanted.dates is None
    return Timetable(Grid.of(key, round(interval * 1000)), zone if monthly else None)
