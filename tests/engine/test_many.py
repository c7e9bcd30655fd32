"""A hundred thousand operations, and the event loop that they share with others."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Self

from wolkvox_async.model import Answer, Call
from wolkvox_async.scheduling.decisions import Limits

from .stage import GOOD, Stage, many, settle_down

MANY = 100_000


class Heartbeat:
    """Counts how often the event loop goes round; a block of work between two beats is one that nobody else can use."""

    def __init__(self) -> None:
        self.beats = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.beats += 1


async def test_a_hundred_thousand_operations_enter_a_few_hundred_between_two_rounds_of_the_loop() -> None:
    async def never(_call: Call, _number: int) -> Answer:
        await asyncio.Event().wait()
        return GOOD

    stage = Stage(many(MANY, servers=100), never, limits=Limits(max_in_flight=50))
    queued = []
    async with stage.engine() as engine:
        records = engine.fetch()
        async with Heartbeat() as heart:
            entering = asyncio.create_task(records.__aenter__())
            while not entering.done():
                await asyncio.sleep(0)
                queued.append(engine.snapshot().queued)
        await entering
        assert records.planned == queued[-1] == MANY
        assert heart.beats >= 2 * MANY / 500, "once for planning, once for queueing"
        assert max(later - earlier for earlier, later in pairwise(queued)) <= 500
        engine.abandon()
        await settle_down()
        assert engine.snapshot().queued == 0
        assert records.counters.skipped == MANY - 50
