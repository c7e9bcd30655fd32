"""Connections that are kept between turns, for any token of their server (`--connections shared`).

HTTP has no names for questions: on a connection that was used before, an answer that
nobody asked for would pass for the answer to the next question, and that is another
token's. So a connection is kept only when nothing at all was odd about it, and taken only
when nothing has come on it since:

- Its last answer had an exact end, nothing came behind it, and both sides keep it open.
  A connection that broke down, or whose answer was doubted, is closed.
- It has been quiet for `QUIET`: what belongs to the same burst as the last answer, a
  second copy of it for instance, comes within that time. Whatever comes later while it is
  kept closes it at once, as does its end.
- In the moment in which it is taken the kernel is asked once more, and where that has
  anything (over TLS perhaps a mere record of the protocol), it is looked at first.
- It is no older than `MAX_AGE`, so that a server which has moved is followed, and has been
  kept no longer than `MAX_IDLE`: common servers close idle connections after 5 s, and a
  question that crosses the end of its connection is lost.

The one that was used last is taken first, so that what is not needed gets old and goes.
Before a connection that still has to be quiet for a moment is left lying and a new one is
opened, that moment is waited for: it is far cheaper than a handshake. So no server ever
has more connections than turns of it were open at once. And together with those in use
there are never more, for all servers, than were in use at once: a new one takes the place
of the one that was kept longest.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final, TypeAlias

from .deadlines import Deadline, Deadlines
from .wire import Wire

QUIET: Final = 0.005
"""Seconds without a byte, since the turn before, after which a connection may serve another token."""

MAX_IDLE: Final = 4.0
"""Seconds for which a connection is kept without being used."""

MAX_AGE: Final = 60.0
"""Seconds after its opening from which on a connection is not kept any more."""

_Row: TypeAlias = "OrderedDict[Wire, float]"  # oldest first, with the time from which on it has been kept


class _Shelf:
    """What is kept of one server: those that have been quiet for long enough, and those that have not."""

    __slots__ = ("quiet", "resting")

    def __init__(self) -> None:
        self.quiet: Final[_Row] = OrderedDict()
        self.resting: Final[_Row] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self.quiet or self.resting)

    def take(self, now: float) -> tuple[Wire, float] | None:
        """Take out the quiet one that was used last; if there is none, the one that will be quiet first."""
        while self.resting:
            wire, since = next(iter(self.resting.items()))
            if since + QUIET > now:
                break
            self.resting.popitem(last=False)
            self.quiet[wire] = since
        if self.quiet:
            return self.quiet.popitem()
        return self.resting.popitem(last=False) if self.resting else None

    def remove(self, wire: Wire) -> None:
        self.quiet.pop(wire, None)
        self.resting.pop(wire, None)


class Keeper:
    """Keeps connections, and counts those that are in use."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._shelves: Final[dict[str, _Shelf]] = {}  # only those that hold something
        self._all: Final[OrderedDict[Wire, tuple[str, float]]] = OrderedDict()  # oldest first
        self._idle: Final = Deadline(deadlines, self._close_idle)
        self._in_use = 0
        self._most_in_use = 0

    def __len__(self) -> int:
        return len(self._all)

    async def take(self, origin: str) -> Wire | None:
        """Take a connection to `origin` that may be asked at once; None when there is none, and one may be opened.

        Whoever calls this has a connection in use from now on, until `give_back`.
        """
        self._in_use += 1
        self._most_in_use = max(self._most_in_use, self._in_use)
        try:
            return await self._found(origin)
        except asyncio.CancelledError:
            self._in_use -= 1
            raise

    async def _found(self, origin: str) -> Wire | None:
        while (taken := self._take(origin)) is not None:
            wire, since = taken
            if await self._is_sound(wire, since):
                return wire
            wire.abort()
        while len(self._all) + self._in_use > self._most_in_use:
            self._close_oldest()
        return None

    def give_back(self, origin: str, wire: Wire | None) -> None:
        """Say that a connection is not in use any more; it is kept if it is given."""
        self._in_use -= 1
        if wire is None:
            return
        now = self._loop.time()
        if not wire.usable or wire.opened_at + MAX_AGE <= now:
            wire.abort()
            return
        wire.on_lost = self._forget
        self._shelves.setdefault(origin, _Shelf()).resting[wire] = now
        self._all[wire] = origin, now
        if len(self._all) == 1:
            self._idle.set(now + MAX_IDLE)

    def _take(self, origin: str) -> tuple[Wire, float] | None:
        shelf = self._shelves.get(origin)
        taken = None if shelf is None else shelf.take(self._loop.time())
        if taken is not None:
            self._forget(taken[0])
        return taken

    async def _is_sound(self, wire: Wire, since: float) -> bool:
        try:
            pause = since + QUIET - self._loop.time()
            if pause > 0:
                await asyncio.sleep(pause)
            is_young = self._loop.time() < min(since + MAX_IDLE, wire.opened_at + MAX_AGE)
            return is_young and (wire.is_silent() or await wire.is_quiet())
        except asyncio.CancelledError:
            wire.abort()
            raise

    def _forget(self, wire: Wire) -> None:
        """Take a connection off the shelf, whether it is still open or not."""
        wire.on_lost = None
        origin, _ = self._all.pop(wire)
        shelf = self._shelves[origin]
        shelf.remove(wire)
        if not shelf:
            del self._shelves[origin]
        if not self._all:
            self._idle.clear()

    def _close_oldest(self) -> None:
        wire = next(iter(self._all))
        self._forget(wire)
        wire.abort()

    def _close_idle(self) -> None:
        while self._all:
            _, since = next(iter(self._all.values()))
            if since + MAX_IDLE > self._loop.time():
                self._idle.set(since + MAX_IDLE)
                break
            self._close_oldest()
