"""From what an operation should be asked to the calls of one pass. Pure.

An entry of the tenants file says which endpoints an operation wants, and for dated ones
from when to when. A pass may narrow the endpoints and set dates for all of them. Every
window lies in the operation's timezone and within one calendar month.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from .catalog import Dates, Endpoint
from .identity import CallIds, spelled
from .model import Call, Operation, Params
from .windows import Window, by_month, current_month, parse_end, parse_start, previous_month, timezone

MonthWord: TypeAlias = Literal["current-month", "previous-month"]
MONTH_WORDS: Final[tuple[MonthWord, ...]] = ("current-month", "previous-month")

RECOMMENDED_INTERVAL: Final = 300.0  # seconds, as the vendor documents

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class DateRange:
    """Dates as a person wrote them; they become a window only in an operation's timezone."""

    start: str
    end: str | None = None

    def window(self, now: datetime) -> Window:
        """Return the window in `now`'s timezone; without an end the second of `now` is its last.

        Raises `ValueError` for text that is no date, an end before the start, or a start
        in the future.
        """
        zone = now.tzinfo
        if zone is None:
            raise ValueError("now needs a timezone")
        start = parse_start(self.start, zone)
        if start > now:
            raise ValueError(f"from {self.start} lies in the future")
        if self.end is None:
            return Window(start, now.replace(microsecond=0) + _SECOND)
        end = parse_end(self.end, zone)
        if end <= start:
            raise ValueError(f"to {self.end} lies before from {self.start}")
        return Window(start, end)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An endpoint that an operation is asked for, and the dates to ask for, if any."""

    endpoint: Endpoint
    dates: DateRange | MonthWord | None = None

    def with_dates(self, dates: DateRange | None) -> Wanted:
        """Return what is wanted when `dates` replace what it says, where the endpoint takes any."""
        takes_dates = dates is not None and self.endpoint.dates is not Dates.NEVER
        return Wanted(self.endpoint, dates) if takes_dates else self


@dataclass(frozen=True, slots=True)
class Subscription:
    """An operation, what it is asked for, and the labels of its tenant."""

    operation: Operation
    wanted: tuple[Wanted, ...]
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def tenant(self) -> str:
        """The tenant's name."""
        return self.operation.tenant

    @property
    def name(self) -> str:
        """The operation's name."""
        return self.operation.name


def plan(
    subscriptions: Iterable[Subscription],
    *,
    run: str,
    now: datetime,
    dates: DateRange | None = None,
    interval: float = RECOMMENDED_INTERVAL,
) -> Iterator[Call]:
    """Yield the calls of one pass, operation by operation; `now` is aware.

    `dates` replaces what the entries say, for the endpoints that take dates. `interval` (s)
    is the least time between two calls that ask a token the same; an endpoint may have a
    longer one. Raises `ValueError` as `DateRange.window` does.
    """
    asked, ids = _Asked(now, dates, interval), CallIds(run)
    for subscription in subscriptions:
        operation = subscription.operation
        place = _place(operation)
        for question in asked.by(subscription):
            yield question.call(operation, ids.of(place + question.key))


def counts(subscriptions: Iterable[Subscription], *, now: datetime, dates: DateRange | None = None) -> Iterator[int]:
    """Yield how many calls `plan` yields for each operation; raises `ValueError` as it does."""
    asked = _Asked(now, dates)
    return (len(asked.by(subscription)) for subscription in subscriptions)


class _Asked:
    """What operations are asked; many are asked the same, which is worked out and kept once."""

    def __init__(self, now: datetime, dates: DateRange | None, interval: float = RECOMMENDED_INTERVAL) -> None:
        self._now: Final = now
        self._dates: Final = dates
        self._interval: Final = interval
        # By the identity of what is wanted, which is kept so that nothing else gets it, and timezone.
        self._known: Final[dict[tuple[int, str], tuple[tuple[Wanted, ...], list[Question]]]] = {}

    def by(self, subscription: Subscription) -> list[Question]:
        wanted, zone = subscription.wanted, subscription.operation.timezone
        known = self._known.get((id(wanted), zone))
        if known is None:
            known = self._known[id(wanted), zone] = (wanted, list(self._questions(wanted, zone)))
        return known[1]

    def _questions(self, wanted: Iterable[Wanted], zone: str) -> Iterator[Question]:
        local = self._now.astimezone(timezone(zone))
        for each in wanted:
            for window in windows(each.with_dates(self._dates).dates, local):
                yield Question.of(each.endpoint, window, self._interval)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of an operation: an endpoint, and from when to when; at most once in `interval` seconds."""

    endpoint: Endpoint
    window: Window | None
    api: str
    query: Params
    key: str  # what tells it from other questions, spelled
    interval: float

    @classmethod
    def of(cls, endpoint: Endpoint, window: Window | None, interval: float) -> Question:
        """Return the question that asks `endpoint` for `window`, where `interval` is the least for all."""
        first, last = ("", "") if window is None else (window.date_ini, window.date_end)
        dated: Params = () if window is None else (("date_ini", first), ("date_end", last))
        query = (("api", endpoint.api), *endpoint.params, *dated)
        key = spelled(repr((endpoint.name, first, last, *endpoint.params)))
        return cls(endpoint, window, endpoint.name, query, key, endpoint.pause(interval))

    def call(self, operation: Operation, call_id: str) -> Call:
        """Build the call that asks `operation`."""
        endpoint = self.endpoint
        return Call(
            call_id, operation, self.api, endpoint.file, self.query, self.window, endpoint.params, self.interval
        )


def _place(operation: Operation) -> str:
    return spelled(operation.tenant) + spelled(operation.name)


def windows(dates: DateRange | MonthWord | None, now: datetime) -> Sequence[Window | None]:
    """Return the windows to ask for, one per calendar month; `(None,)` when undated."""
    match dates:
        case None:
            return (None,)
        case "current-month":
            return (current_month(now),)
        case "previous-month":
            return (previous_month(now),)
        case DateRange():
            return tuple(by_month(dates.window(now)))


def call(
    operation: Operation,
    endpoint: Endpoint,
    *,
    run: str,
    window: Window | None = None,
    interval: float = RECOMMENDED_INTERVAL,
) -> Call:
    """Build a single call; its id is the same whenever `run` asks for the same thing."""
    question = Question.of(endpoint, window, interval)
    return question.call(operation, CallIds(run).of(_place(operation) + question.key))
