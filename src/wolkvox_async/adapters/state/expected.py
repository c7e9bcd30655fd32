"""Calls that are about to be made, for people to see, until they are made or some time has passed.

Most calls end within a second from when they were queued. What was written of those would
be written over at once, for as much work as the outcome itself takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from wolkvox_async.marks import Mark
from wolkvox_async.model import Call

SOON: Final = 1.0
"""Seconds until a call that has not ended is written down."""


class Expected:
    """By run; `write` is given those that are to be written down."""

    def __init__(self, write: Callable[[str, Sequence[Call]], None]) -> None:
        """To be called in the event loop that it is used in."""
        self._loop: Final = asyncio.get_running_loop()
        self._write: Final = write
        self._calls: Final[dict[str, dict[str, Call]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, run: str, calls: Iterable[Call]) -> None:
        """Take in calls that `run` is about to make."""
        self._calls.setdefault(run, {}).update((call.id, call) for call in calls)
        if self._timer is None:
            self._timer = self._loop.call_later(SOON, self.write_down)

    def drop(self, run: str, marks: Iterable[Mark]) -> None:
        """Forget those of `run` that have ended."""
        calls = self._calls.get(run)
        if calls:
            for mark in marks:
                calls.pop(mark.call, None)

    def write_down(self) -> None:
        """Have all that are left written down now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for run, calls in self._calls.items():
            if calls:
                self._write(run, tuple(calls.values()))
        self._calls.clear()
