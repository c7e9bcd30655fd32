"""Statements: a month of a tenant, line by line, with what is missing. Pure.

- A line is an endpoint of an operation. Its number is the month's last reading. Where that came to
  no number, the line has none either, and says which number was the last. Of a month between two others of
  which nothing was read there is a line as well, for that it is missing.
- A month that is over wants a closing reading of every endpoint that knows the current month only: what was
  consumed behind another last reading is told of nowhere.
- A number is compared with that of the month before. While a month is not over, what it consumed so far is
  compared with what the month before had consumed by the same day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import groupby
from typing import Final

from wolkvox_async.catalog import Catalog, Kind

from .alphabet import alphabetical
from .books import Books
from .contents import Content, Lack, Number
from .months import Calendar, days_in
from .outages import Outage, outages
from .pages import Fall, Page, Reading
from .runs import Run
from .spans import Trouble, counted
from .subjects import Key, Subject
from .tariffs import Charge, Tariff


class State(StrEnum):
    """What a line's number is worth.

    `closing`: it closes its month; `last`: the month is over, and the endpoint needs no closing reading;
    `open`: the month is not over; `unclosed`: the month is over, and its closing reading is missing;
    `none`: there is no reading at all.
    """

    CLOSING = "closing"
    LAST = "last"
    OPEN = "open"
    UNCLOSED = "unclosed"
    NONE = "none"


class Basis(StrEnum):
    """What a number is compared with: the whole month before, or its first days, as many."""

    MONTH = "month"
    DAYS = "days"


@dataclass(frozen=True, slots=True)
class Line:
    """An endpoint of an operation in a month.

    `reading` is the last one, `number` the last one that came to a number. `days` has a value for each day of the
    month; on `covered` of `wanted` days there was a reading. `previous` is what it is compared with.
    `left` (ms) lay between the last reading and the end of the month, `astride` answers were under way
    when it turned. `rows` has of each row of the answer its number in the month before.
    """

    key: Key
    kind: Kind
    counts: str
    state: State
    reading: Reading | None
    number: Reading | None
    days: tuple[float | None, ...]
    covered: int
    wanted: int
    readings: int
    left: int
    previous: Number | None
    basis: Basis
    rows: tuple[Number | None, ...]
    fall: Fall | None
    astride: int
    gaps: int
    failed: int
    skipped: int
    charge: Charge | None

    @property
    def content(self) -> Content | None:
        """What the last reading said."""
        return None if self.reading is None else self.reading.content

    @property
    def value(self) -> Number | None:
        """Its number, if it has one."""
        return None if self.reading is None else self.reading.content.value

    @property
    def change(self) -> Number | None:
        """By how much it is more than what it is compared with."""
        return None if self.value is None or self.previous is None else self.value - self.previous

    @property
    def is_missing(self) -> bool:
        """Whether its number may not be that of the whole month."""
        return self.state in (State.UNCLOSED, State.NONE)

    @property
    def is_wanting(self) -> bool:
        """Whether there should be a number, and is none: an empty answer where there was a number before is one too."""
        if self.value is not None:
            return False
        told = self.content is not None and self.content.lack in (Lack.EMPTY, Lack.NOT_COUNTED)
        return not told or self.number is not None


@dataclass(frozen=True, slots=True)
class Section:
    """An operation in a month; `amount` adds up what its lines cost, None without prices."""

    operation: str
    server: str
    lines: tuple[Line, ...]
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Statement:
    """A tenant in a month; `is_over` says whether the month is."""

    tenant: str
    month: int
    is_over: bool
    sections: tuple[Section, ...]
    outages: tuple[Outage, ...]
    amount: Decimal | None

    @property
    def lines(self) -> Iterator[Line]:
        """Every line."""
        return (line for section in self.sections for line in section.lines)

    def troubled(self) -> tuple[int, int, int, int]:
        """Return how many lines miss their closing reading, slots are gaps, calls failed, calls were not made."""
        lines = list(self.lines)
        return (
            sum(line.is_missing for line in lines) if self.is_over else 0,
            sum(line.gaps for line in lines),
            sum(line.failed for line in lines),
            sum(line.skipped for line in lines),
        )

    @property
    def without(self) -> int:
        """How many lines have no number where there should be one, beside those that miss their closing reading."""
        return sum(line.is_wanting and not (line.is_missing and self.is_over) for line in self.lines)

    @property
    def is_troubled(self) -> bool:
        """Whether anything is missing in it."""
        return bool(self.outages) or any(line.is_missing or line.is_wanting for line in self.lines)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything: statements by tenant, the newest month first; `as_of` is the moment (Unix ms) it is of."""

    statements: tuple[Statement, ...]
    months: tuple[int, ...]
    runs: tuple[Run, ...]
    dropped_runs: int
    unmarked: int
    as_of: int


def draw_up(
    books: Books,
    *,
    now: int,
    months: Iterable[int] | None = None,
    tariff: Tariff | None = None,
    catalog: Catalog | None = None,
) -> Report:
    """Make statements of what was taken in, of those `months` or of all there are; `now` in Unix ms.

    `catalog` says what endpoints count; without it those that are built in.
    """
    as_of = max(now, books.latest)
    subjects = sorted(
        (subject for subject in books if subject.months),
        key=lambda subject: (alphabetical(subject.key.tenant), alphabetical(subject.key.operation)),
    )
    there = books.months()
    chosen = sorted(there if months is None else set(months) & there, reverse=True)
    clerk = _Clerk(books.calendar, as_of, tariff, catalog or Catalog())
    statements = tuple(
        statement
        for tenant, of_tenant in groupby(subjects, key=lambda subject: subject.key.tenant)
        for statement in clerk.statements(tenant, list(of_tenant), chosen)
    )
    return Report(statements, tuple(chosen), tuple(books.runs), books.runs.dropped, books.unmarked, as_of)


class _Clerk:
    """Draws up statements as of one moment (Unix ms)."""

    def __init__(self, calendar: Calendar, as_of: int, tariff: Tariff | None, catalog: Catalog) -> None:
        self._calendar: Final = calendar
        self._as_of: Final = as_of
        self._today: Final = calendar.of(as_of)
        self._tariff: Final = tariff
        self._endpoints: Final = {endpoint.name: (place, endpoint) for place, endpoint in enumerate(catalog)}

    def statements(self, tenant: str, subjects: list[Subject], months: list[int]) -> Iterator[Statement]:
        subjects.sort(key=lambda subject: (alphabetical(subject.key.operation), self._place(subject.key)))
        for month in months:
            sections = tuple(
                section
                for operation, own in groupby(subjects, key=lambda subject: subject.key.operation)
                if (section := self._section(operation, list(own), month)).lines
            )
            if sections:
                found = ((s.key, span) for s in subjects if month in s.months for span in s.months[month].spans)
                amount = self._sum(section.amount for section in sections)
                yield Statement(tenant, month, self._is_over(month), sections, outages(found), amount)

    def _place(self, key: Key) -> tuple[int, str, bool, str]:
        place, _ = self._endpoints.get(key.api, (len(self._endpoints), None))
        return place, key.api, key.dated, key.params

    def _is_over(self, month: int) -> bool:
        return self._as_of >= self._calendar.turn(month + 1)

    def _sum(self, amounts: Iterable[Decimal | None]) -> Decimal | None:
        if self._tariff is None:
            return None
        return sum((amount for amount in amounts if amount is not None), Decimal(f"0E-{self._tariff.decimals}"))

    def _section(self, operation: str, subjects: list[Subject], month: int) -> Section:
        lines = tuple(line for subject in subjects if (line := self._line(subject, month)) is not None)
        amount = self._sum(line.charge.amount for line in lines if line.charge is not None)
        return Section(operation, subjects[-1].server, lines, amount)

    def _line(self, subject: Subject, month: int) -> Line | None:
        page = subject.months.get(month)
        if page is None:
            if not min(subject.months) < month < max(subject.months):
                return None
            page = Page()  # a month between others, of which nothing is known
        _, endpoint = self._endpoints.get(subject.key.api, (0, None))
        kind = Kind.OTHER if endpoint is None else endpoint.kind
        needs_closing = page.closing is None and endpoint is not None and endpoint.monthly and not subject.key.dated
        state = self._state(page, month, needs_closing=needs_closing)
        value = None if page.last is None else page.last.content.value
        before = subject.months.get(month - 1)
        previous, basis = self._previous(page, before, kind, state)
        elapsed = self._today.day if self._today.month == month else days_in(month)
        return Line(
            subject.key,
            kind,
            "" if endpoint is None else endpoint.counts,
            state,
            page.last,
            page.number,
            page.days(days_in(month)),
            page.covered,
            elapsed,
            page.readings,
            0 if page.last is None else max(0, self._calendar.turn(month + 1) - page.last.at),
            previous,
            basis,
            _rows_before(page, before),
            page.fall if kind is Kind.USAGE else None,
            page.astride,
            counted(page.spans, Trouble.GAP),
            counted(page.spans, Trouble.FAILED),
            counted(page.spans, Trouble.SKIPPED),
            None if self._tariff is None or value is None else self._tariff.charge(subject.key.api, value),
        )

    def _state(self, page: Page, month: int, *, needs_closing: bool) -> State:
        if page.last is None:
            return State.NONE
        if page.closing is not None:
            return State.CLOSING
        if not self._is_over(month):
            return State.OPEN
        return State.UNCLOSED if needs_closing else State.LAST

    def _previous(self, page: Page, before: Page | None, kind: Kind, state: State) -> tuple[Number | None, Basis]:
        if before is None or before.last is None or page.last is None:
            return None, Basis.MONTH
        if state is not State.OPEN or kind is not Kind.USAGE:
            return before.last.content.value, Basis.MONTH
        day = self._calendar.of(page.last.at).day
        value = before.days(day)[-1]
        return (None if value is None else _plain(value)), Basis.DAYS


def _plain(value: float) -> Number:
    return int(value) if value.is_integer() else Decimal(repr(value))


def _rows_before(page: Page, before: Page | None) -> tuple[Number | None, ...]:
    if page.last is None or before is None or before.last is None or len(page.last.content.rows) == 1:
        return ()
    known = {row.label: row.items for row in before.last.content.rows}
    return tuple(known.get(row.label) for row in page.last.content.rows)
