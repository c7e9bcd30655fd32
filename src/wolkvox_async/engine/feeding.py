"""From a plan to the scheduler: no more calls at a time than it has use for.

A pass may be of a million calls. What is not queued yet is a place in its plan and costs
nothing, so calls are planned in portions, and the next one when the scheduler has few
tokens left that could start at once. Tokens that wait for something else (their time, a
server that is down or has all its slots in use) do not count: behind them there may be
others that could go.

Whatever is planned ends: a pass that is stopped goes through the rest of its plan, so
that each of its calls is said to be skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Final, Protocol

from wolkvox_async.model import Call
from wolkvox_async.planning import left_of
from wolkvox_async.scheduling.queues import Lane
from wolkvox_async.scheduling.scheduler import Scheduler

from .lifetime import outlast

PORTION: Final = 500  # calls that are planned before others have a turn


class Appetite:
    """Waits until the scheduler has use for more; `enough` ready tokens are enough."""

    def __init__(self, scheduler: Scheduler, enough: int) -> None:
        self._scheduler: Final = scheduler
        self._enough: Final = enough
        self._waiting: Final[dict[Lane, asyncio.Future[None]]] = {}

    async def wait(self, lane: Lane) -> None:
        """Wait until a portion of `lane` is of use, or is to be gone through because the lane is closed."""
        while not self._wants(lane):
            waiting = self._waiting[lane] = asyncio.get_running_loop().create_future()
            try:
                await waiting
            finally:
                del self._waiting[lane]

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def look(self) -> None:
        """Wake whoever waits, if it is time; to be called when everything that can start was started."""
        for lane, waiting in self._waiting.items():
            if not waiting.done() and self._wants(lane):
                waiting.set_result(None)

    def _wants(self, lane: Lane) -> bool:
        return lane.closed or (self._scheduler.has_use_for(lane, self._enough) and lane.budget.free)


class Eater(Protocol):
    """Whose calls are fed: a pass."""

    @property
    def run(self) -> str:
        """The run's id."""

    async def queue(self, calls: list[Call]) -> None:
        """Look the tokens of `calls` up and queue them."""

    async def appetite(self) -> None:
        """Wait until more calls are of use."""

    def fed(self) -> None:
        """Take in that there are no more calls; those queued may all have ended by now."""

    def break_down(self, why: Exception) -> None:
        """Take in that no more can be queued."""


class Feed:
    """A pass's calls; what the run has `settled` of them before is left out."""

    def __init__(self, calls: Iterator[Call], settled: frozenset[str], eater: Eater) -> None:
        self._calls: Final = calls
        self._settled: Final = settled
        self._eater: Final = eater
        self._task: asyncio.Task[None] | None = None
        self.begun = 0  # calls that were queued
        self.spared = 0  # calls that the run has settled before
        self.is_over = False

    async def begin(self) -> None:
        """Queue the first portion, and go on in the background."""
        await self.feed()
        await asyncio.sleep(0)  # what was started just now is under way, whatever the reader does first
        if not self.is_over:
            self._task = asyncio.create_task(self._rest(), name="wolkvox_async feed")

    async def feed(self) -> None:
        """Queue the next portion."""
        portion = list(islice(self._calls, PORTION))
        self.is_over = len(portion) < PORTION
        wanted = self._left_of(portion) if self._settled else portion
        self.begun += len(wanted)
        if wanted:
            await self._eater.queue(wanted)
        if self.is_over:
            self._eater.fed()

    def _left_of(self, portion: list[Call]) -> list[Call]:
        run, left = self._eater.run, list[Call]()
        for call in portion:
            before = len(left)
            left.extend(left_of(call, run, self._settled))
            self.spared += len(left) == before
        return left

    async def _rest(self) -> None:
        try:
            while not self.is_over:
                await self._eater.appetite()
                await self.feed()
                await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 - whoever reads the pass gets it
            self._eater.break_down(error)

    def stop(self) -> None:
        """Queue nothing more."""
        self.is_over = True
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        """Return when nothing goes on in the background any more."""
        if self._task is not None:
            await outlast(self._task)
