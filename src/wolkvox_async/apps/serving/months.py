"""The calendar month of a moment in a timezone, found once a month and not once an event. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from wolkvox_async.windows import month_start, next_month_start, timezone


class Month(NamedTuple):
    """A month as half-open Unix milliseconds, and its name (`2026-11`)."""

    start: int
    end: int
    name: str


class Months:
    """Knows the month that was last asked for in each timezone."""

    def __init__(self) -> None:
        self._last: Final[dict[str, Month]] = {}  # as many as there are timezones in use

    def of(self, zone: str, moment: int) -> Month:
        """Return the month of `moment` (Unix ms) in the timezone called `zone`."""
        last = self._last.get(zone)
        if last is None or not last.start <= moment < last.end:
            last = self._last[zone] = _month(zone, moment)
        return last


def _month(zone: str, moment: int) -> Month:
    local = datetime.fromtimestamp(moment / 1000, UTC).astimezone(timezone(zone))
    start, end = month_start(local), next_month_start(local)
    return Month(round(start.timestamp() * 1000), round(end.timestamp() * 1000), f"{start:%Y-%m}")
