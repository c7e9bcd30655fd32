"""A state folder in virtual time: its thread works in no time, and time does not go on before it is done."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from wolkvox_async.adapters.state.clocks import Clocks
from wolkvox_async.adapters.state.committer import Work
from wolkvox_async.adapters.state.keeper import Keeper
from wolkvox_async.adapters.state.sqlite import SqliteState
from wolkvox_async.errors import StateError

from .virtual_clock import VirtualClock

_Answer = TypeVar("_Answer")


async def open_virtual_state(folder: Path, clock: VirtualClock, *, boot: str = "virtual") -> SqliteState:
    """Open `folder`, on the machine that `clock` is of, in its boot of that name; raises `StateError`."""
    keeper = _PromptKeeper(folder, Clocks(clock.now, clock.elapsed, clock.wall, boot), power=False)
    clock.loop.busy.append(keeper.is_busy)
    return SqliteState(await keeper.start())


class _PromptKeeper(Keeper):
    """Lets nothing gather, and tells whether its thread is at work."""

    def __init__(self, root: Path, clocks: Clocks, *, power: bool) -> None:
        super().__init__(root, clocks, power=power)
        self._given: int = 0  # works, counted in the event loop
        self._done: int = 0  # counted in the thread
        self._has_opened = False

    def is_busy(self) -> bool:
        """Tell whether the thread has something to do, or has not said yet what came of it."""
        if self._has_opened and self._gone is None:
            return self._done != self._given
        return self._thread.is_alive()

    def write(self, work: Work) -> None:
        """Have `work` done at once."""
        if self._gone is not None:
            super().write(work)
            return
        self._given += 1
        self._committer.write(work, hurry=True)

    def sync(self) -> None:
        """Have all that is committed survive a power cut."""
        self._given += self._gone is None
        super().sync()

    async def ask(self, work: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        """Return what `work` does in a transaction; raises `StateError`."""
        self.check()
        self._given += 1
        return await super().ask(work)

    async def read(self, work: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        """Return what `work` reads; raises `StateError`."""
        self.check()
        self._given += 1
        return await super().read(work)

    # --- in the thread

    def _tell(self, works: Sequence[Work], failure: StateError | None) -> None:
        super()._tell(works, failure)
        self._done += len(works)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        super()._call(function, *arguments)
        self._has_opened = True
