"""Draws up statements of what the books have. Pure.

- Of a month between two others of which nothing was read there is a line as well, for that it is missing.
- A month that is over wants a closing reading of every endpoint that knows the current month only: what was
  consumed behind another last reading is told of nowhere.
- A number is compared with that of the month before. While a month is not over, what it consumed so far is
  compared with what the month before had consumed by the same day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import groupby
from typing import Final

from wolkvox_async.catalog import Catalog, Kind

from .alphabet import alphabetical
from .books import Books
from .contents import Number
from .months import Calendar, days_in
from .outages import outages
from .pages import Page
from .spans import Trouble, counted
from .statement import Basis, Line, Report, Section, State, Statement
from .subjects import Key, Subject
from .tariffs import Charge, Tariff


def draw_up(
    books: Books,
    *,
    now: int,
    months: Iterable[int] | None = None,
    tariff: Tariff | None = None,
    catalog: Catalog | None = None,
) -> Report:
    """Make statements of what was taken in, of those `months` or of all there are; `now` in Unix ms.

    `catalog` has the endpoints with their kinds; without it those that are built in.
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
        return None if self._tariff is None else self._tariff.total(amounts)

    def _section(self, operation: str, subjects: list[Subject], month: int) -> Section:
        lines = tuple(line for subject in subjects if (line := self._line(subject, month)) is not None)
        amount = self._sum(line.charge.amount for line in lines if line.charge is not None)
        return Section(operation, subjects[-1].server, lines, amount)

    def _line(self, subject: Subject, month: int) -> Line | None:
        page = _page(subject, month)
        if page is None:
            return None
        _, endpoint = self._endpoints.get(subject.key.api, (0, None))
        kind = Kind.OTHER if endpoint is None else endpoint.kind
        needs_closing = page.closing is None and endpoint is not None and endpoint.monthly and not subject.key.dated
        state = self._state(page, month, needs_closing=needs_closing)
        before = subject.months.get(month - 1)
        previous, basis = self._previous(page, before, kind, state)
        return Line(
            key=subject.key,
            kind=kind,
            state=state,
            reading=page.last,
            number=page.number,
            days=page.days(days_in(month)),
            covered=page.covered,
            wanted=self._today.day if self._today.month == month else days_in(month),
            readings=page.readings,
            left=0 if page.last is None else max(0, self._calendar.turn(month + 1) - page.last.at),
            previous=previous,
            basis=basis,
            rows=_rows_before(page, before),
            fall=page.fall if kind is Kind.USAGE else None,
            astride=page.astride,
            gaps=counted(page.spans, Trouble.GAP),
            failed=counted(page.spans, Trouble.FAILED),
            skipped=counted(page.spans, Trouble.SKIPPED),
            charge=self._charge(subject.key.api, page),
        )

    def _charge(self, api: str, page: Page) -> Charge | None:
        value = None if page.last is None else page.last.content.value
        return None if self._tariff is None or value is None else self._tariff.charge(api, value)

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


def _page(subject: Subject, month: int) -> Page | None:
    """Return a month's page: an empty one for a month between others, of which nothing is known."""
    page = subject.months.get(month)
    if page is None and min(subject.months) < month < max(subject.months):
        return Page()
    return page


def _plain(value: float) -> Number:
    return int(value) if value.is_integer() else Decimal(repr(value))


def _rows_before(page: Page, before: Page | None) -> tuple[Number | None, ...]:
    if page.last is None or before is None or before.last is None or len(page.last.content.rows) == 1:
        return ()
    known = {row.label: row.items for row in before.last.content.rows}
    return tuple(known.get(row.label) for row in page.last.content.rows)
