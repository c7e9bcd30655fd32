"""What was written to a reader who may go away: he has read it when he is still there a while later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from wolkvox_async.marks import Mark, SlotMark
from wolkvox_async.ports import Alarm, Clock

A_WHILE: Final = 1.0  # seconds: what was written to a reader that went away within them did not arrive


class Pipe:
    """Marks of what is on its way to a reader; `ended` is told of slots whose end has arrived."""

    def __init__(self, clock: Clock, ended: Callable[[Sequence[SlotMark]], None]) -> None:
        self._clock: Final = clock
        self._ended: Final = ended
        self._marks: Final[deque[tuple[float, Sequence[Mark], Sequence[SlotMark]]]] = deque()
        self._alarm: Alarm | None = None

    def add(self, marks: Sequence[Mark], slots: Sequence[SlotMark]) -> None:
        """Take in what was written just now."""
        now = self._clock.now()
        self._marks.append((now, marks, slots))
        if self._alarm is None:
            self._alarm = self._clock.alarm(now + A_WHILE, self._pass_by)

    def take_back(self) -> list[Mark]:
        """Remove what did not arrive, because the reader has gone, and return the marks of its calls."""
        since = self._clock.now() - A_WHILE
        lost = [mark for at, marks, _ in self._marks if at >= since for mark in marks]
        self._marks.clear()
        return lost

    def arrived(self) -> None:
        """Take everything as read: the reader is there to the end."""
        if self._alarm is not None:
            self._alarm.cancel()
        for _, _, slots in self._marks:
            self._ended(slots)
        self._marks.clear()

    def _pass_by(self) -> None:
        now, marks = self._clock.now(), self._marks
        while marks and marks[0][0] <= now - A_WHILE:
            self._ended(marks.popleft()[2])
        self._alarm = self._clock.alarm(marks[0][0] + A_WHILE, self._pass_by) if marks else None
