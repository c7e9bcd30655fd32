"""Time: what tells it, and what wakes the engine up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol


class Alarm(Protocol):
    """A set alarm; cancelling one that has gone off does nothing."""

    def cancel(self) -> None:
        """Have it not ring."""
        ...


class Clock(Protocol):
    """Time: monotonic seconds for decisions, UTC for what people read."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    def utc(self) -> datetime:
        """Return the wall clock's time, aware, in UTC."""
        ...

    def alarm(self, when: float, ring: Callable[[], None]) -> Alarm:
        """Have `ring` called, from the event loop, once `now()` reaches `when`."""
        ...
