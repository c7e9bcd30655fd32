"""How long an engine lives, and waiting for a task to end, whatever cancels the one who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import anyio

from wolkvox_async.errors import StateError, UsageError


class Lifetime:
    """Whether an engine is open: it was entered, was not left, and nothing broke it."""

    def __init__(self, live: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Take what an engine does as long as it lives."""
        self._live: Final = live
        self._life: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_left = False
        self.failure: StateError | None = None
        """Why the state cannot be used."""

    def begin(self) -> None:
        """Enter the engine; raises `UsageError` for a second time."""
        if self._life is not None:
            raise UsageError("an engine is entered once: open another one")
        self._loop = asyncio.get_running_loop()
        self._life = self._loop.create_task(self._live(), name="wolkvox_async engine")

    def leave(self) -> None:
        """Leave it; raises `UsageError` when it is not open."""
        if self._life is None or self._is_left:
            raise UsageError("the engine is not open: it was left already, or never entered")
        self._is_left = True

    async def over(self) -> None:
        """Return when it has come to its end."""
        if self._life is not None:
            await outlast(self._life)

    def tell(self) -> None:
        """Raise what broke it down, if anything did."""
        if self._life is not None and not self._life.cancelled() and (breakdown := self._life.exception()) is not None:
            raise breakdown

    def check(self) -> None:
        """Raise what stands in the way of using it."""
        if self._life is None or self._is_left:
            raise UsageError("the engine is not open: use it inside `async with open_engine(...)`")
        if self.failure is not None:
            raise self.failure
        if self._life.done():
            raise RuntimeError("the engine broke down: the exception that leaves its block says why")
        if _running_loop() is not self._loop:  # whoever waited there would never be woken
            raise UsageError(
                "the engine lives in the event loop in which its block was entered: ask it there, "
                "from a thread with asyncio.run_coroutine_threadsafe(...)"
            )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # as in a thread
        return None


async def outlast(task: asyncio.Task[Any]) -> None:
    """Return when `task` is done, with its exception still in it.

    A cancellation that comes meanwhile, from anyio or from asyncio, is raised once the
    task is done.
    """
    cancellation: asyncio.CancelledError | None = None
    # The shield is for anyio, which cancels again and again; asyncio cancels through it.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancellation = error
    if cancellation is not None:
        raise cancellation
