"""Partitions on their way back: from the word that they are to be finished to when nothing of them goes on.

The engine is asked anew what is ours, for several partitions at once. From then on nothing of them
begins. They are quiet when no token is in use, the vendor is at work on nothing, and all that has
ended is delivered and stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from wolkvox_async.membership.bell import Bell
from wolkvox_async.ports import Clock

from .labour import Labour
from .state import JoinedState
from .tenancies import Tenancy

_LOOK_AGAIN: Final = 0.02  # seconds


class Finishing:
    """Keeps an engine's work in step with what is ours; `released` is called with each partition that is quiet."""

    def __init__(self, labour: Labour, state: JoinedState, clock: Clock, released: Callable[[int], None]) -> None:
        self._labour: Final = labour
        self._state: Final = state
        self._clock: Final = clock
        self._released: Final = released
        self._asked = self._answered = 0  # how often what is ours was to be asked anew, and was
        self._bell: Final = Bell()
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._failed: Callable[[BaseException], None] = lambda _error: None

    def start(self, failed: Callable[[BaseException], None]) -> None:
        """Begin; `failed` hears of what went wrong."""
        self._failed = failed
        self._start(self._rehold())

    def changed(self) -> None:
        """Take in that something else is ours."""
        self._asked += 1
        self._bell.ring()

    def finish(self, partition: int) -> None:
        """Bring a partition to its end."""
        tenancy = self._state.tenancies.get(partition)
        if tenancy is None:
            return
        tenancy.is_finishing = True
        self.changed()
        self._start(self._finish(tenancy, self._asked))

    async def close(self) -> None:
        """Leave off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _rehold(self) -> None:
        clock = self._clock
        while True:
            await self._bell.until(lambda: self._answered < self._asked)
            asked, began = self._asked, clock.now()
            await self._labour.rehold()
            self._answered = asked
            self._bell.ring()
            await asyncio.sleep(clock.now() - began)  # with very many operations it takes a while

    async def _finish(self, tenancy: Tenancy, asked: int) -> None:
        await self._bell.until(lambda: self._answered >= asked)
        state = self._state
        while state.is_taking or not self._labour.is_drained() or not tenancy.is_quiet(self._clock.now()):  # noqa: ASYNC110 - nobody tells when the vendor is done
            await asyncio.sleep(_LOOK_AGAIN)
        if state.tenancies.get(tenancy.partition) is tenancy:
            state.tenancies.drop(tenancy.partition)
            self._released(tenancy.partition)

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)
