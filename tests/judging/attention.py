"""Whether the vendor's loop turns in time: where it does not, what it saw tells when it looked, not what was so."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from .facts import Journal, StoodStill

EVERY: Final = 0.02
LATE: Final = 0.05
CAUGHT_UP: Final = 3
"""Ticks in time, one after the other, by when everything that lay there was read."""


class Attention:
    """Follows the ticks of a clock that is to tick every 20 ms."""

    def __init__(self, now: float) -> None:
        self._in_time = now  # the last tick before one was late
        self._last = now
        self._behind = 0  # ticks in time that are wanted until all is well

    def tick(self, now: float) -> StoodStill | None:
        """Take in a tick; returns what is to be written down, once all is well again."""
        late = now - self._last > EVERY + LATE
        self._last = now
        if late:
            self._behind = CAUGHT_UP
        elif self._behind:
            self._behind -= 1
            if not self._behind:
                since, self._in_time = self._in_time, now
                return StoodStill(now, since)
        else:
            self._in_time = now
        return None


async def watch(journal: Journal) -> None:
    """Write down when the loop stood still, for ever."""
    attention = Attention(time.monotonic())
    while True:
        await asyncio.sleep(EVERY)
        if (still := attention.tick(time.monotonic())) is not None:
            journal.note(still)
