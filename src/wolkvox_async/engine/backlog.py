"""Settled calls, and gaps, that the reader of a pass has not taken yet, and who waits for him.

A reader who is a little behind is waited for: connections stay open meanwhile. One who
stands still is not: after a second whoever waits is told so, and those who come later
are told at once, until he takes something.
"""

from __future__ import annotations

import asyncio
from typing import Final

from wolkvox_async.ports import Alarm, Clock
from wolkvox_async.settlements import Item

STANDSTILL: Final = 1.0  # seconds for which a reader who is behind is waited for


class Backlog:
    """Items in the order in which they came."""

    __slots__ = ("_alarm", "_clock", "_items", "_stands_still", "_units", "_waiting")

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        self._items: list[Item] = []
        self._units = 0
        self._waiting: list[asyncio.Future[bool]] = []
        self._stands_still = False  # the reader, for a while now
        self._alarm: Alarm | None = None

    def __bool__(self) -> bool:
        return bool(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item, units: int) -> None:
        """Take in what takes up `units` of room until it is delivered."""
        self._items.append(item)
        self._units += units

    def take(self) -> tuple[list[Item], int]:
        """Remove and return everything, and the room that it takes up."""
        taken, self._items = self._items, []
        units, self._units = self._units, 0
        self._stands_still = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._waiting:
            self._tell(True)
        return taken, units

    def taken(self) -> asyncio.Future[bool]:
        """Return what is done when the reader has taken what there is, or others found that he stands still."""
        return self._wait() if self._items else _done(True)

    def caught_up(self) -> asyncio.Future[bool]:
        """Return what is done when the reader has taken what there is (True), or stands still (False)."""
        if not self._items or self._stands_still:
            return _done(not self._stands_still)
        if self._alarm is None:
            self._alarm = self._clock.alarm(self._clock.now() + STANDSTILL, self._stand_still)
        return self._wait()

    def _wait(self) -> asyncio.Future[bool]:
        waiting: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return waiting

    def _stand_still(self) -> None:
        self._alarm = None
        self._stands_still = True
        self._tell(False)

    def _tell(self, is_taken: bool) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(is_taken)


def _done(result: bool) -> asyncio.Future[bool]:
    future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future
