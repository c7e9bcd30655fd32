"""What a simulated operation has used, made up and believable. Pure.

A *usage* starts at 0 when the month turns and only grows, most on weekdays and between
seven in the morning and nine at night. A *level* stays for weeks and moves by a step.
Both follow from the operation's salt, the endpoint and the moment alone.
"""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from wolkvox_async.catalog import Kind
from wolkvox_async.windows import DEFAULT_TIMEZONE

_DAY_WEIGHTS: Final = (1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.2)
_OPENS: Final = 7 / 24
_CLOSES: Final = 21 / 24


class MonthProgress:
    """How far the month has come in the vendor's timezone, in working days.

    Remembers the last second asked for, because calls come many to a second.
    """

    __slots__ = ("_second", "_zone", "day", "growth", "month", "ordinal")

    def __init__(self, zone: str = DEFAULT_TIMEZONE) -> None:
        self._zone = ZoneInfo(zone)
        self._second = -1
        self.growth = 0.0
        self.ordinal = 0
        self.day = b""
        self.month = b""

    def move(self, unix: float) -> None:
        """Go to a moment, in Unix seconds."""
        second = int(unix)
        if second == self._second:
            return
        self._second = second
        local = datetime.fromtimestamp(second, self._zone)
        self.growth = working_days(local)
        self.ordinal = local.toordinal()
        self.day = f"{local:%Y-%m-%d}".encode()
        self.month = f"{local:%Y-%m}".encode()


def working_days(local: datetime) -> float:
    """Return the working days, with fraction, from the start of `local`'s month to `local`."""
    first = local.replace(day=1)
    whole = sum(_DAY_WEIGHTS[(first + timedelta(days=n)).weekday()] for n in range(local.day - 1))
    part = (local.hour * 3600 + local.minute * 60 + local.second) / 86_400
    return whole + _DAY_WEIGHTS[local.weekday()] * _share_of_day(part)


def _share_of_day(part: float) -> float:
    x = min(1.0, max(0.0, (part - _OPENS) / (_CLOSES - _OPENS)))
    return x * x * (3 - 2 * x)


def reading(kind: Kind, api: bytes, salt: int, progress: MonthProgress) -> int:
    """Return what the endpoint `api` counts for the operation with that `salt`."""
    chance = zlib.crc32(api, salt)
    if kind is Kind.USAGE:
        return int((20 + chance % 2_000) * progress.growth)
    step = 20 + (chance >> 8) % 20
    return 1 + chance % 60 + (progress.ordinal // step) % 3
