"""A clock that stands still until it is told to move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush


@dataclass(slots=True)
class ManualAlarm:
    """An alarm of a `ManualClock`."""

    ring: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Have it not ring."""
        self.cancelled = True


class ManualClock:
    """Time by hand: `advance` moves both clocks and rings what comes due on the way."""

    def __init__(self, *, now: float = 1000.0, utc: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)) -> None:
        self._now = now
        self._utc = utc
        self._sequence = 0
        self._alarms: list[tuple[float, int, ManualAlarm]] = []

    def now(self) -> float:
        """Return the monotonic seconds."""
        return self._now

    def utc(self) -> datetime:
        """Return the wall clock's time."""
        return self._utc

    def alarm(self, when: float, ring: Callable[[], None]) -> ManualAlarm:
        """Have `ring` called when `advance` passes `when`; by the next one, if that is past."""
        while self._alarms and self._alarms[0][2].cancelled:
            heappop(self._alarms)
        self._sequence += 1
        alarm = ManualAlarm(ring)
        heappush(self._alarms, (when, self._sequence, alarm))
        return alarm

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, ringing alarms in their order and at their time."""
        end = self._now + seconds
        while self._alarms and self._alarms[0][0] <= end:
            when, _, alarm = heappop(self._alarms)
            self._move_to(max(when, self._now))
            if not alarm.cancelled:
                alarm.ring()
        self._move_to(end)

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward (or back) without time passing."""
        self._utc += timedelta(seconds=seconds)

    def _move_to(self, now: float) -> None:
        self._utc += timedelta(seconds=now - self._now)
        self._now = now
