"""Half-open time windows, calendar months, timezones and the vendor's date notation.

Inside the program a window is `[start, end)` in an operation's timezone. The vendor's
`date_end` is the last second that is included, so notation and program differ by one
second, here and nowhere else. The vendor writes `YYYYmmddHHiiss` in PHP letters, in
which `ii` are minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

VENDOR_FORMAT: Final = "%Y%m%d%H%M%S"
DEFAULT_TIMEZONE: Final = "America/Bogota"

_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)
_VENDOR_DATE: Final = re.compile(r"[0-9]{14}")
_DAY_ONLY: Final = re.compile(r"[0-9]{4}-?(?:[0-9]{2}-?[0-9]{2}|W[0-9]{2}-?[0-9])")
_BARE_WEEK: Final = re.compile(r"[0-9]{4}-?W[0-9]{2}(?!-?[0-9])")
_YEARS: Final = range(1000, 9999)  # four digits, and room for the turn of the last month


@dataclass(frozen=True, slots=True)
class Window:
    """The time range of a dated call, half-open, both ends in one timezone."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window needs a timezone")
        if self.start >= self.end:
            raise ValueError("a window starts before it ends")

    @property
    def date_ini(self) -> str:
        """The vendor's first second."""
        return self.start.strftime(VENDOR_FORMAT)

    @property
    def date_end(self) -> str:
        """The vendor's last second, which is included."""
        return (self.end - _SECOND).strftime(VENDOR_FORMAT)


def timezone(name: str) -> tzinfo:
    """Return the timezone `name` of the IANA database; `ValueError` when there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"no timezone is called {name!r}") from None


def parse_start(text: str, zone: tzinfo) -> datetime:
    """Read the first moment of a range: `YYYYmmddHHMMSS` or ISO 8601, a day being its midnight."""
    return _parse(text, zone)


def parse_end(text: str, zone: tzinfo) -> datetime:
    """Read the last second that is included and return the first moment after it.

    `2026-11-30` means 23:59:59 of that day, as the vendor's `date_end` does.
    """
    moment = _parse(text, zone)
    return moment + (_DAY if _DAY_ONLY.fullmatch(text) else _SECOND)


def _parse(text: str, zone: tzinfo) -> datetime:
    try:
        moment = _read(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date: write 2026-11-30, 2026-11-30T08:00:00 or 20261130080000") from None
    if moment.year not in _YEARS:
        raise ValueError(f"{text!r} lies outside the years {_YEARS[0]} to {_YEARS[-1]}")
    local = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
    return local.replace(microsecond=0)


def _read(text: str) -> datetime:
    if _VENDOR_DATE.fullmatch(text):
        return datetime.strptime(text, VENDOR_FORMAT)  # noqa: DTZ007 - the caller knows the timezone
    if _BARE_WEEK.match(text):
        raise ValueError("a week is neither a first moment nor a last second")
    return datetime.fromisoformat(text)


def month_start(moment: datetime) -> datetime:
    """Return the first moment of `moment`'s calendar month, in its timezone."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)


def next_month_start(moment: datetime) -> datetime:
    """Return the first moment of the calendar month after `moment`'s."""
    first = month_start(moment)
    if first.month == 12:
        return first.replace(year=first.year + 1, month=1)
    return first.replace(month=first.month + 1)


def current_month(now: datetime) -> Window:
    """Return the month of `now` up to its end."""
    return Window(month_start(now), next_month_start(now))


def previous_month(now: datetime) -> Window:
    """Return the whole calendar month before `now`'s."""
    end = month_start(now)
    return Window(month_start(end - _DAY), end)


def by_month(window: Window) -> Iterator[Window]:
    """Split `window` at the turns of calendar months; the parts cover it exactly."""
    start = window.start
    while start < window.end:
        end = min(next_month_start(start), window.end)
        yield Window(start, end)
        start = end


def by_days(window: Window, days: int) -> Iterator[Window]:
    """Split `window` at midnights so that no part touches more than so many days; the parts cover it exactly."""
    start = window.start
    while start < window.end:
        end = min(start.replace(hour=0, minute=0, second=0, fold=0) + days * _DAY, window.end)
        yield Window(start, end)
        start = end


def in_days(days: int) -> str:
    """Write so many days, for people."""
    return "1 day" if days == 1 else f"{days} days"


def halved(window: Window) -> tuple[Window, Window] | None:
    """Return the two halves of `window`, in whole seconds; None when it is a single second."""
    seconds = (window.end - window.start) // _SECOND
    if seconds < 2:
        return None
    middle = window.start + seconds // 2 * _SECOND
    return Window(window.start, middle), Window(middle, window.end)


def next_midnight(moment: datetime) -> datetime:
    """Return the first moment of the next day in `moment`'s timezone."""
    return (moment + _DAY).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
