"""What is kept of one subject in one month: its last reading, a value per day, what went wrong. Pure.

Readings may come in any order, and more than once: what counts is when they were taken. A
page has 600 bytes and its spans.
"""

from __future__ import annotations

from array import array
from math import isnan, nan
from typing import Final, NamedTuple

from .contents import Content, Number
from .spans import Span

_DAYS: Final = 31


class Reading(NamedTuple):
    """An answer: `until` is the end of its window, empty where none was asked for; `at` in Unix ms."""

    until: str
    at: int
    content: Content
    closing: bool = False
    since: str = ""


class Fall(NamedTuple):
    """A number that grew less."""

    at: int
    before: Number
    after: Number


class Page:
    """One month of a subject.

    `last` is the last reading, `number` the last one that came to a number, `closing` the one
    that closed the month. `astride` answers were under way when the month turned.
    """

    __slots__ = ("_days", "_stamps", "astride", "closing", "fall", "last", "number", "readings", "spans")

    def __init__(self) -> None:
        self.readings = 0
        self.last: Reading | None = None
        self.number: Reading | None = None
        self.closing: Reading | None = None
        self.astride = 0
        self.fall: Fall | None = None
        self.spans: list[Span] = []
        self._days: Final = array("d", [nan]) * _DAYS
        self._stamps: Final = array("I", bytes(4 * _DAYS))  # Unix seconds; 0: no reading that day

    def take(self, reading: Reading, day: int) -> None:
        """Note a reading of `day`; 0: of no day of this month."""
        self.readings += 1
        value = reading.content.value
        stamp = reading.at // 1000
        if day and stamp >= self._stamps[day - 1]:
            self._stamps[day - 1] = stamp
            self._days[day - 1] = nan if value is None else float(value)
        if reading.closing:
            self.closing = reading
        if self.last is None or reading[:2] >= self.last[:2]:
            self.last = reading
        if value is not None and (self.number is None or reading[:2] >= self.number[:2]):
            self._note(reading, value)

    def _note(self, reading: Reading, value: Number) -> None:
        before = None if self.number is None else self.number.content.value
        self.number = reading
        if before is not None and value < before and self.fall is None and not reading.until:
            self.fall = Fall(reading.at, before, value)

    def days(self, length: int) -> tuple[float | None, ...]:
        """Return the last value of each of the month's days; None where there is no number."""
        return tuple(None if isnan(value) else value for value in self._days[:length])

    @property
    def covered(self) -> int:
        """On how many days there was a reading."""
        return sum(1 for stamp in self._stamps if stamp)
