"""Other people's code, which may block, raise anything, or never come back: in a thread of its own.

What it raises is not kept, only the name of its class, because its text, its arguments
and the frames behind it may hold a token. A thread that does not end cannot be ended; it
is left to itself, keeps nobody from leaving the program, and is counted: with `most` of
them nothing more is started, so there are never twice as many.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class Came:
    """It came back, with this."""

    value: object = field(repr=False)


@dataclass(frozen=True, slots=True)
class Raised:
    """It raised something of this class; `kinds` are the names of that and of what it descends from."""

    kind: str
    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class Silent:
    """It has not come back in time."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """It was not called, because so many calls before have not come back yet."""

    many: int


Return: TypeAlias = Came | Raised | Silent | Stuck


class Threads:
    """Runs one piece of foreign code, at most `most` times at once; others wait for their turn."""

    __slots__ = ("_left", "_most", "_places")

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._places: Final = asyncio.Semaphore(most)  # noqa: TID251 - these are lookups, not calls
        self._left = 0  # threads that nobody waits for any more

    async def run(self, work: Callable[[], object], seconds: float) -> Return:
        """Return what became of `work`, which has so many seconds. A call that is cancelled is left to itself."""
        async with self._places:
            if self._left >= self._most:
                return Stuck(self._left)
            return await self._run(work, seconds)

    async def _run(self, work: Callable[[], object], seconds: float) -> Return:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Return] = loop.create_future()
        is_left = False

        def take(came: Return) -> None:
            if not ended.done():
                ended.set_result(came)
            if is_left:
                self._left -= 1

        def run() -> None:
            came = _made_of(work)
            with suppress(RuntimeError):  # the loop is closed: nobody is there any more
                loop.call_soon_threadsafe(take, came)

        thread = threading.Thread(target=run, name="wolkvox-async secret", daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(seconds):
                came = await asyncio.shield(ended)
        except TimeoutError:
            is_left = True
            self._left += 1
            return Silent()
        except asyncio.CancelledError:
            is_left = not ended.done()
            self._left += is_left
            raise
        thread.join()  # it has nothing left to do: whoever forks next finds one thread
        return came


def _made_of(work: Callable[[], object]) -> Return:
    try:
        return Came(work())
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends this lookup and nothing else
        return Raised(type(error).__name__, frozenset(kind.__name__ for kind in type(error).__mro__))
