"""From what an operation should be asked to the calls of one pass. Pure.

An entry of the tenants file says which endpoints an operation wants, and for dated ones
from when to when. A pass may narrow the endpoints and set dates for all of them. Every
window lies in the operation's timezone and within one calendar month, or within as many
days as its endpoint takes.

Some answers say that they were cut off, because they are as large as answers get. Then the
call is replaced by its parts: the same call for either half of its window. What is
remembered of that is an id of its own (`cut_id`), so that a run which is taken up again
goes on with the parts instead of asking for the whole again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from .catalog import Dates, Endpoint
from .identity import CallIds, spelled
from .model import DATE_NAMES, Call, DateNames, Operation, Params, Reach
from .model import question as as_text
from .spelling import shown
from .windows import (
    Window,
    by_days,
    by_month,
    current_month,
    halved,
    parse_end,
    parse_start,
    previous_month,
    timezone,
)

MonthWord: TypeAlias = Literal["current-month", "previous-month"]
_MONTHS: Final[Mapping[MonthWord, Callable[[datetime], Window]]] = {
    "current-month": current_month,
    "previous-month": previous_month,
}
MONTH_WORDS: Final = tuple(_MONTHS)

RECOMMENDED_INTERVAL: Final = 300.0  # seconds, as the vendor documents

Asked: TypeAlias = Callable[[Call], bool]

_SECOND: Final = timedelta(seconds=1)
_TAIL: Final = 16  # characters of a call's id that tell it from the others of its run


@dataclass(frozen=True, slots=True)
class DateRange:
    """Dates as a person wrote them; they become a window only in an operation's timezone.

    `YYYYmmddHHMMSS` or ISO 8601 (`2026-11-01`, `2026-11-01T08:00:00`). A day as `end` includes its
    last second, any other text the second that it names.
    """

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

    def variants(self) -> Iterator[Wanted]:
        """Yield it once for every combination of its endpoint's parameters that have several values."""
        for endpoint in self.endpoint.variants():
            yield self if endpoint is self.endpoint else Wanted(endpoint, self.dates)

    def with_dates(self, dates: DateRange | None) -> Wanted:
        """Return what is wanted when `dates` replace what it says, where the endpoint takes any."""
        takes_dates = dates is not None and self.endpoint.dates is not Dates.NEVER
        return Wanted(self.endpoint, dates) if takes_dates else self


@dataclass(frozen=True, slots=True)
class Subscription:
    """An operation, what it is asked for, the labels of its tenant, and its licences where they are known."""

    operation: Operation
    wanted: tuple[Wanted, ...]
    labels: tuple[tuple[str, str], ...] = ()
    licences: int | None = None

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
            for window in windows(each.with_dates(self._dates).dates, local, each.endpoint.days):
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
    remembered: str | None = None
    reach: Reach | None = None

    @classmethod
    def of(cls, endpoint: Endpoint, window: Window | None, interval: float) -> Question:
        """Return the question that asks `endpoint` for `window`, where `interval` is the least for all."""
        dated = _dated(endpoint.date_names, window)
        query = (("api", endpoint.api), *endpoint.params, *dated)
        key = _key(endpoint.name, window, endpoint.params)
        remembered = None
        if window is not None and endpoint.date_names != DATE_NAMES:
            remembered = _remembered(endpoint.name, endpoint.params, window)
        pause, reach = endpoint.pause(interval), endpoint.reach
        return cls(endpoint, window, endpoint.name, query, key, pause, remembered, reach)

    def call(self, operation: Operation, call_id: str) -> Call:
        """Build the call that asks `operation`."""
        endpoint = self.endpoint
        made = Call(
            call_id, operation, self.api, endpoint.file, self.query, self.window, endpoint.params, self.interval
        )
        if self.reach is not None:
            made.reach, made.remembered = self.reach, self.remembered
        return made


def _dated(names: DateNames, window: Window | None) -> Params:
    return () if window is None else ((names[0], window.date_ini), (names[1], window.date_end))


def _key(name: str, window: Window | None, params: Params) -> str:
    first, last = ("", "") if window is None else (window.date_ini, window.date_end)
    return spelled(repr((name, first, last, *params)))


def _remembered(name: str, params: Params, window: Window) -> str:
    """Return what a question is remembered as whatever the vendor calls its dates: records have one name for them."""
    return as_text(name, (*params, *_dated(DATE_NAMES, window)))


def _place(operation: Operation) -> str:
    return spelled(operation.tenant) + spelled(operation.name)


def windows(dates: DateRange | MonthWord | None, now: datetime, days: int | None = None) -> Sequence[Window | None]:
    """Return the windows to ask for, one per calendar month or for so many `days`; `(None,)` when undated."""
    if dates is None:
        return (None,)
    whole = _whole(dates, now)
    return tuple(by_month(whole) if days is None else by_days(whole, days))


def _whole(dates: DateRange | MonthWord, now: datetime) -> Window:
    if isinstance(dates, DateRange):
        return dates.window(now)
    month = _MONTHS.get(dates)
    if month is None:
        raise ValueError(f"dates are a DateRange, {' or '.join(map(repr, _MONTHS))}, not {shown(str(dates))}")
    return month(now)


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


# --- calls whose answer was cut off ---------------------------------------------------


def cut_id(call: Call, run: str) -> str:
    """Return the id under which it is remembered that `call` was replaced by its parts."""
    return CallIds(run).of(_place(call.operation) + _key(call.api, call.window, call.params) + spelled("cut"))


def cut_question(asked: str) -> str:
    """Return the text under which machines remember that the call which `asked` this was replaced by its parts."""
    return f"{asked} cut"


def is_divisible(call: Call) -> bool:
    """Tell whether `call` may be replaced by its parts."""
    window = call.window
    return call.reach is not None and call.reach.dates is not None and window is not None and halved(window) is not None


def parts(call: Call, run: str) -> tuple[Call, ...]:
    """Return the calls that ask for either half of the window of `call`; none when it cannot be cut."""
    reach, window = call.reach, call.window
    if reach is None or reach.dates is None or window is None or (halves := halved(window)) is None:
        return ()
    ids, place = CallIds(run), _place(call.operation)
    inner = reach if reach.part_of else replace(reach, part_of=call.id)
    return tuple(
        replace(
            call,
            id=ids.of(place + _key(call.api, half, call.params)),
            query=(*call.query[:-2], *_dated(reach.dates, half)),
            window=half,
            remembered=None if call.remembered is None else _remembered(call.api, call.params, half),
            reach=inner,
        )
        for half in halves
    )


def left_of(call: Call, run: str, settled: Collection[str]) -> Iterator[Call]:
    """Yield what of `call` is left to do in a run in which the calls with these tails of their ids are `settled`."""
    if call.id[-_TAIL:] in settled:
        return
    if call.reach is None or cut_id(call, run)[-_TAIL:] not in settled:
        yield call
        return
    for part in parts(call, run):
        yield from left_of(part, run, settled)


def tails_in(call: Call, run: str, *, answered: Asked, was_cut: Asked) -> Iterator[str]:
    """Yield the tails of what a run has settled of `call`; all that is known is what was answered, and what was cut."""
    if not answered(call):
        return
    if call.reach is None or not was_cut(call):
        yield call.id[-_TAIL:]
        return
    yield cut_id(call, run)[-_TAIL:]
    for part in parts(call, run):
        yield from tails_in(part, run, answered=answered, was_cut=was_cut)
