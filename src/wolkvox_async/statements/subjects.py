"""One endpoint of one operation through the months. Pure.

**Which month an answer is of.** The vendor counts the month that it is when it answers. So
that is the month of the answer's moment, in the timezone of the report, and of a dated
call that of its window. An answer that was under way when the month turned is of neither.

A record does not say which timezone its operation is in; but a closing reading says when
a month ends there. One that stands hours from where the month turns here shows that the operation
has another timezone, and what follows it is of the next month.

**The same as before.** A call that is `ok` without rows (`watch --only-changes`) repeats the
reading before it in its run.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from .contents import EMPTY, INCOMPLETE, UNSEEN, Content, Gathering
from .months import Calendar, Moment, days_in, is_whole_month, month_of_window
from .pages import Page, Reading
from .spans import Span, add_span

OTHER_ZONE: Final = 45 * 60_000
"""Closing readings are taken minutes before the turn (this is in ms); timezones are half an hour apart or more."""

LONGEST_HOLE: Final = 12
"""Months; what lies farther apart is two times of something, or a clock that went wrong."""

_FARTHEST: Final = 26 * 3_600_000
_REMEMBERED: Final = 16


@dataclass(frozen=True, slots=True)
class Key:
    """What a subject is: `params` as text, empty where there are none; `dated` where a window is asked for."""

    tenant: str
    operation: str
    api: str
    params: str = ""
    dated: bool = False


class CallName(NamedTuple):
    """What records call a call: its `id` within its run, and its slot where it is of a watch."""

    run: str
    id: str
    slot: str | None


class Told(NamedTuple):
    """A call that was answered, as its record tells it; `begun` (Unix ms) its last attempt."""

    call: CallName
    moment: Moment
    begun: int
    closing: bool
    rows: int
    window: tuple[str, str] | None
    truncated: bool


class Subject:
    """One endpoint of an operation."""

    __slots__ = ("_before", "_calendar", "_failed", "_ongoing", "_slot", "_turned", "key", "months", "server")

    def __init__(self, key: Key, server: str, calendar: Calendar) -> None:
        self.key: Final = key
        self.server = server
        self.months: Final[dict[int, Page]] = {}
        self._calendar: Final = calendar
        # The last answer with its run, for those that repeat it.
        self._before: tuple[str, Content] | None = None
        # Failed calls of passes, which may yet be taken up again: the last few.
        self._failed: Final[dict[CallName, Span]] = {}
        self._ongoing: tuple[int, Span] | None = None
        self._slot: str | None = None
        # The month that a closing reading ended elsewhere, and when.
        self._turned: tuple[int, int] | None = None

    def page(self, month: int) -> Page:
        """Return the page of a month, a new one if need be."""
        page = self.months.get(month)
        if page is None:
            page = self.months[month] = Page()
        return page

    def spanned(self) -> set[int]:
        """Return its months, and those missing between them where each month has to be read while it lasts."""
        found = set(self.months)
        if not self.key.dated:
            for before, after in pairwise(sorted(found)):
                if after - before <= LONGEST_HOLE:
                    found.update(range(before, after))
        return found

    def answered(self, told: Told, rows: Gathering | None, *, empty: bool) -> None:
        """Note a call that ended ok or empty, with the rows that stood before it."""
        self._settle(told.call)
        self._ongoing = None
        content = EMPTY if empty else self._content(told, rows)
        if told.window is not None:
            self._take_dated(told, told.window, content)
            return
        month, day, closing = self._place(told)
        if day:
            self.page(month).take(Reading("", told.moment.at, content, closing), day)
        else:
            self.page(month).astride += 1

    def _content(self, told: Told, rows: Gathering | None) -> Content:
        if rows is not None and rows.count == told.rows and not told.truncated:
            content = rows.content()
        elif rows is not None or told.rows:
            content = INCOMPLETE
        else:
            content = self._before[1] if self._before is not None and self._before[0] == told.call.run else UNSEEN
        self._before = (told.call.run, content)
        return content

    def _take_dated(self, told: Told, window: tuple[str, str], content: Content) -> None:
        since, until = window
        month = month_of_window(since)
        day = told.moment.day if told.moment.month == month else 0
        closing = told.moment.month > month and is_whole_month(since, until)
        self.page(month).take(Reading(until, told.moment.at, content, closing, since), day)

    def _place(self, told: Told) -> tuple[int, int, bool]:
        """Return the month and the day that an answer is of, and whether it closes that month; day 0: of none."""
        moment = told.moment
        if told.closing and (closed := self._closed(told)) is not None:
            return (*closed, True)
        if self._turned is not None and self._turned[0] == moment.month and moment.at > self._turned[1]:
            return moment.month + 1, 1, False
        if told.begun < self._calendar.turn(moment.month):
            return moment.month - 1, 0, False
        return moment.month, moment.day, False

    def _closed(self, told: Told) -> tuple[int, int] | None:
        """Return the month that a closing reading closes, and its day; None where it came too late for it."""
        at, month, day = told.moment
        since, left = at - self._calendar.turn(month), self._calendar.turn(month + 1) - at
        if left <= _FARTHEST:
            if left > OTHER_ZONE:
                self._turned = month, at
            return month, day
        if since > _FARTHEST or since < OTHER_ZONE:
            return None
        # What was taken for the new month so far was still the old one.
        early = self.months.pop(month, None)
        if early is not None:
            self.page(month - 1).spans.extend(early.spans)
        return month - 1, days_in(month - 1)

    def failed(self, span: Span, moment: Moment, call: CallName) -> None:
        """Note a `call` that brought no reading, at `moment`."""
        self._settle(call)
        found = self._missed(span, moment)
        if found is not None and call.slot is None:
            self._remember(call, found)

    def lacked(self, span: Span, moment: Moment, slot: str) -> None:
        """Note a `slot` without a reading, at `moment`; where it is told of as a call too, the call counts."""
        if slot != self._slot:
            self._missed(span, moment)

    def _missed(self, span: Span, moment: Moment) -> Span | None:
        month = self._month_closed(moment) if span.closing else moment.month
        ongoing = None if self._ongoing is None or self._ongoing[0] != month else self._ongoing[1]
        found = add_span(self.page(month).spans, span, ongoing)
        self._ongoing = None if found is None else (month, found)
        return found

    def _month_closed(self, moment: Moment) -> int:
        soon = self._calendar.turn(moment.month + 1) - moment.at <= _FARTHEST
        return moment.month if soon else moment.month - 1

    def _settle(self, call: CallName) -> None:
        """Forget that a call failed before: its last record counts."""
        self._slot = call.slot
        if call.slot is not None or not self._failed:
            return
        span = self._failed.pop(call, None)
        if span is None:
            return
        span.count -= 1
        if not span.count:
            self._ongoing = None
            for page in self.months.values():
                page.spans = [each for each in page.spans if each is not span]

    def _remember(self, call: CallName, span: Span) -> None:
        if len(self._failed) >= _REMEMBERED:
            del self._failed[next(iter(self._failed))]
        self._failed[call] = span
