"""Time, as the event loop and the machine tell it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime


class LoopClock:
    """The running event loop's monotonic time, and the machine's wall clock."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        """Return the loop's monotonic seconds."""
        return self._loop.time()

    def utc(self) -> datetime:
        """Return the wall clock's time in UTC."""
        return datetime.now(UTC)

    def alarm(self, when: float, ring: Callable[[], None]) -> asyncio.TimerHandle:
        """Have `ring` called by the loop at `when`."""
        return self._loop.call_at(when, ring)
