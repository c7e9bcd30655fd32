"""An open state folder with its thread, from the event loop's side."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self, TypeVar

from wolkvox_async.errors import StateError

from .clocks import Clocks
from .committer import Committer, Work
from .folder import Folder
from .opening import Opened, open_state
from .schema import checkpoint
from .works import Asked, Noted, combine, copied

_Answer = TypeVar("_Answer")


class Keeper:
    """Opens the folder, hands work to the thread and its answers back, and closes everything."""

    opened: Opened

    def __init__(self, root: Path, clocks: Clocks, *, power: bool) -> None:
        """To be called in the event loop that all answers go to."""
        self._root: Final = root
        self._clocks: Final = clocks
        self._power: Final = power
        self._loop: Final = asyncio.get_running_loop()
        self._committer: Final = Committer(Folder(root), self._tell, combine)
        self._opening: Final[asyncio.Future[None]] = self._loop.create_future()
        self._ended: Final[asyncio.Future[None]] = self._loop.create_future()
        # A daemon: an embedder that forgets to close is not kept from exiting.
        self._thread: Final = threading.Thread(target=self._live, name="wolkvox-state", daemon=True)
        self._gone: StateError | None = None

    async def start(self) -> Self:
        """Open; raises `StateError`."""
        self._thread.start()
        try:
            await asyncio.shield(self._opening)
        except StateError:
            self._thread.join()  # it has just said its last word
            raise
        except BaseException:
            # Given up on while it opens, the thread ends as soon as it has.
            self._opening.cancel()
            self._committer.stop()
            raise
        os.register_at_fork(after_in_child=_Disown(self))
        return self

    def check(self) -> None:
        """Raise `StateError` when nothing more can be done."""
        if self._gone is None and self._committer.failure is None:
            return
        raise copied(self._committer.failure or self._gone or StateError("the state was closed"))

    def write(self, work: Work) -> None:
        """Have `work` done some milliseconds from now; it is told at once when everything is over."""
        if self._gone is not None:
            self._loop.call_soon(work.told, self._gone)
            return
        self._committer.write(work)

    def sync(self) -> None:
        """Have all that is committed survive a power cut."""
        if self._gone is None:
            self._committer.read(Noted(checkpoint))

    async def ask(self, work: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        """Return what `work` does in a transaction, behind everything written so far; raises `StateError`."""
        self.check()
        future: asyncio.Future[_Answer] = self._loop.create_future()
        self._committer.write(Asked(work, future), hurry=True)
        return await future

    async def read(self, work: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        """Return what `work` reads, perhaps ahead of what is being written; raises `StateError`."""
        self.check()
        future: asyncio.Future[_Answer] = self._loop.create_future()
        self._committer.read(Asked(work, future))
        return await future

    async def stop(self) -> None:
        """Do what is queued, and close everything; raises `StateError` when that failed."""
        first = self._gone is None
        if first:
            self._gone = StateError("the state was closed")
            self._committer.stop()
        if self._thread.is_alive():
            await asyncio.shield(self._ended)
            self._thread.join()
        if first and self._committer.failure is not None:
            raise copied(self._committer.failure)

    def disown(self) -> None:
        """Be nothing any more, in a process that was forked from the one that opened."""
        if self._gone is None:
            self._gone = StateError("the state was opened before this process was forked: open it anew here")
            self.opened.close()

    # --- in the thread

    def _live(self) -> None:
        try:
            self.opened, db = open_state(self._root, self._clocks, power=self._power)
        except StateError as error:
            self._call(_fail, self._opening, error)
            return
        self._call(_resolve, self._opening)
        try:
            self._committer.run(db)
        finally:
            self._close(db)
            self._call(_resolve, self._ended)

    def _close(self, db: sqlite3.Connection) -> None:
        with suppress(sqlite3.Error):
            db.close()
        self.opened.close()

    def _tell(self, works: Sequence[Work], failure: StateError | None) -> None:
        self._call(self._told, works, failure)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        # The loop may have been closed without us.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    # --- in the event loop

    def _told(self, works: Sequence[Work], failure: StateError | None) -> None:
        for work in works:
            try:
                work.told(failure)
            except Exception as error:  # noqa: BLE001 - whose callback it was, the others are told all the same
                context = {"message": "a callback of the state failed", "exception": error}
                self._loop.call_exception_handler(context)


class _Disown:
    """What is called in a forked child; a weak reference, because nothing takes it back."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper: Final = weakref.ref(keeper)

    def __call__(self) -> None:
        if (keeper := self._keeper()) is not None:
            keeper.disown()


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: StateError) -> None:
    if not future.done():
        future.set_exception(error)
