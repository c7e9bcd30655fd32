"""The parent's part in a run that machines have in common: what is done is told to all, and heard from all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from wolkvox_async.apps.working.frames import Post
from wolkvox_async.planning import Subscription

from .errand import RunWanted, Shared
from .runs import CommonRun, Runs

_LOOK_EVERY: Final = 1.0  # seconds


class Running:
    """One run; `say` stores a record of it."""

    def __init__(self, runs: Runs, wanted: RunWanted, subscriptions: Sequence[Subscription], partitions: int) -> None:
        self.run: CommonRun
        self.partitions: Final = wanted.wanted(subscriptions, partitions)
        self._runs: Final = runs
        self._wanted: Final = wanted
        self._subscriptions: Final = subscriptions
        self._done: Final[asyncio.Queue[tuple[Sequence[int], Mapping[str, float]]]] = asyncio.Queue()

    async def open(self, shared: Shared, say: Callable[[str, bytes], None]) -> None:
        """Take part in the run, or begin it; raises `RunError`."""
        self.run, is_new = await self._runs.open(self._wanted.new(self._subscriptions))
        if is_new:
            at = datetime.fromtimestamp(shared.wall(), UTC)
            say(self.run.id, self._wanted.started(self.run, self._subscriptions, at))

    def done(self, partitions: Sequence[int], counts: Mapping[str, float]) -> None:
        """Have it told to all that these partitions are done."""
        self._done.put_nowait((partitions, counts))

    async def follow(self, post: Post, shared: Shared, say: Callable[[str, bytes], None]) -> None:
        """Tell, and hear, until the run is complete."""
        told: CommonRun | None = None
        while True:
            try:
                done = await asyncio.wait_for(self._done.get(), _LOOK_EVERY)
            except TimeoutError:
                self.run = await self._runs.read(self.run)
            else:
                self.run, is_last = await self._runs.add(self.run, *done, self.partitions)
                if is_last:
                    say(self.run.id, self._wanted.finished(self.run, datetime.fromtimestamp(shared.wall(), UTC)))
            if self.run != told:
                post("run", list(self.run.done), self.run.complete)
                told = self.run
