"""When the tenants file is read again: on SIGHUP, when it has changed, and for reasons that others see.

A changed file is looked for every few seconds, by what the system says of it; it counts
as changed once it stays the same from one look to the next, so that half a file is not
taken for a whole one.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

LOOK_EVERY: Final = 2.0  # seconds

Signs: TypeAlias = tuple[int, int, int] | None
"""What tells one version of a file from another; None when it is not there."""

Reason: TypeAlias = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]
"""Goes on for ever and asks, by what it is given, to have the file read again."""


class Rereading:
    """For the length of a block, has `reread` called whenever there is a reason to; one call at a time."""

    def __init__(
        self,
        path: Path | None,
        reread: Callable[[], Awaitable[None]],
        *,
        seen: Signs = None,
        every: float = LOOK_EVERY,
        reasons: Iterable[Reason] = (),
    ) -> None:
        """Take what the file was like when it was read (`seen`); None: as it is now."""
        self._reasons: Final = tuple(reasons)
        self._seen: Final = seen
        self._path: Final = path
        self._reread: Final = reread
        self._every: Final = every
        self._asked: Final = asyncio.Event()
        self._tasks: Final[list[asyncio.Task[None]]] = []

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._asked.set)
        self._tasks.append(asyncio.create_task(self._obey(), name="wolkvox-async rereading"))
        if self._path is not None:
            self._tasks.append(asyncio.create_task(self._look(self._path), name="wolkvox-async tenants file"))
        for reason in self._reasons:
            self._tasks.append(asyncio.create_task(reason(self.ask), name="wolkvox-async tokens"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what is being stopped is not to be killed
        for task in self._tasks:
            task.cancel()

    def ask(self) -> None:
        """Have it read again, soon."""
        self._asked.set()

    async def _obey(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._reread()

    async def _look(self, path: Path) -> None:
        seen = signs_of(path)
        read = self._seen or seen
        while True:
            await asyncio.sleep(self._every)
            now = signs_of(path)
            if now is not None and now == seen != read:
                read = now
                self._asked.set()
            seen = now


def signs_of(path: Path) -> Signs:
    """Return what tells this version of a file from others."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
