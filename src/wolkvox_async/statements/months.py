"""Months and days of moments, in one timezone. Pure.

A month is a number (months since the year 0), so that the month before is one less. Records
come millions at a time and a few per second, so what a minute's month and day are is found
once; no timezone turns its day within a minute.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple

_LENGTH: Final = len("2026-11-21T21:43:47.733Z")
_TO_MINUTES: Final = len("2026-11-21T21:43")
_MOST_MINUTES: Final = 10_000
_YEARS: Final = range(2000, 2100)
_VENDOR_DATE: Final = re.compile(r"[0-9]{14}")
_NAME: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


class Moment(NamedTuple):
    """A moment in Unix milliseconds, and the month and the day of the month that it is in."""

    at: int
    month: int
    day: int


class Calendar:
    """Reads moments as records write them, and knows when months turn in its timezone."""

    __slots__ = ("_minutes", "_turns", "zone")

    def __init__(self, zone: tzinfo) -> None:
        self.zone: Final = zone
        self._minutes: Final[dict[str, Moment]] = {}
        self._turns: Final[dict[int, int]] = {}  # as many as there are months

    def moment(self, text: str) -> Moment:
        """Read an ISO 8601 timestamp; raises `ValueError` when it is none or has no offset."""
        if len(text) != _LENGTH or text[-1] != "Z":
            return self.of(_milliseconds(text))
        minute = self._minutes.get(text[:_TO_MINUTES])
        if minute is None:
            minute = self._minute(text)
        return Moment(minute[0] + int(text[17:19]) * 1000 + int(text[20:23]), minute[1], minute[2])

    def of(self, at: int) -> Moment:
        """Return the moment of Unix milliseconds."""
        local = datetime.fromtimestamp(at // 1000, UTC).astimezone(self.zone)
        if local.year not in _YEARS:
            raise ValueError("a record's moment lies outside this century")
        return Moment(at, local.year * 12 + local.month - 1, local.day)

    def turn(self, month: int) -> int:
        """Return when `month` begins (Unix ms)."""
        found = self._turns.get(month)
        if found is None:
            first = datetime(month // 12, month % 12 + 1, 1, tzinfo=self.zone)
            found = self._turns[month] = round(first.timestamp() * 1000)
        return found

    def _minute(self, text: str) -> Moment:
        if len(self._minutes) >= _MOST_MINUTES:
            self._minutes.clear()
        minute = self.of(_milliseconds(text) // 60_000 * 60_000)
        self._minutes[text[:_TO_MINUTES]] = minute
        return minute


def _milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a record's moment has no offset")
    return round(moment.timestamp() * 1000)


def month_named(text: str) -> int:
    """Read `2026-11`; raises `ValueError` for anything else."""
    found = _NAME.fullmatch(text)
    if found is None or found[1] == "0000":
        raise ValueError(f"{text!r} is no month: write 2026-11")
    return int(found[1]) * 12 + int(found[2]) - 1


def month_of_window(begin: str) -> int:
    """Return the month that a window begins in, from the vendor's notation; raises `ValueError` where it is none."""
    month = month_named(f"{begin[:4]}-{begin[4:6]}")
    if month // 12 not in _YEARS or not _VENDOR_DATE.fullmatch(begin):
        raise ValueError("this is no window of this century")
    return month


def is_whole_month(since: str, until: str) -> bool:
    """Whether a window, in the vendor's notation, is a month from its first second to its last."""
    return since[6:] == "01000000" and until == f"{since[:6]}{days_in(month_of_window(since))}235959"


def month_name(month: int) -> str:
    """Write a month: `2026-11`."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def days_in(month: int) -> int:
    """Return how many days a month has."""
    return calendar.monthrange(month // 12, month % 12 + 1)[1]
