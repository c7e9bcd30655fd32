"""A hundred thousand operations, and the event loop that they share with others."""

from __future__ import annotations

import asyncio
from typing import Self

from wolkvox_async.model import Answer, Call
from wolkvox_async.scheduling.decisions import Limits

from .stage import GOOD, Stage, many, settle_down, subscription

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


async def test_a_hundred_thousand_operations_are_planned_as_the_scheduler_has_use_for_them() -> None:
    async def never(_call: Call, _number: int) -> Answer:
        await asyncio.Event().wait()
        return GOOD

    stage = Stage(many(MANY, servers=100), never, limits=Limits(max_in_flight=50))
    async with stage.engine() as engine:
        async with Heartbeat() as heart:
            records = engine.fetch()
            await records.__aenter__()
            assert heart.beats >= MANY / 5_000
            await settle_down()
            assert (records.planned, records.finished) == (MANY, False)
            assert 50 < engine.snapshot().queued <= 500
            before = heart.beats
            engine.abandon()
            while not records.finished:
                await asyncio.sleep(0)
            assert heart.beats - before >= MANY / 500
        assert engine.snapshot().queued == 0
        assert records.counters.skipped == MANY - 50


class Bin:
    """A sink that keeps nothing."""

    async def write(self, _lines: bytes) -> None:
        await asyncio.sleep(0)


async def test_tokens_that_cannot_start_do_not_keep_others_from_being_planned() -> None:
    async def stuck(call: Call, _number: int) -> Answer:
        if call.operation.server == "0000":
            await asyncio.Event().wait()
        return GOOD

    dead = [subscription(f"dead{n}/main", server="0000") for n in range(2_000)]
    alive = [subscription(f"alive{n}/main", server="0001") for n in range(1_000)]
    stage = Stage([*dead, *alive], stuck, limits=Limits(max_in_flight=50, per_server=5))
    async with stage.engine() as engine, engine.fetch() as records:
        reading = asyncio.create_task(records.write_to(Bin()))
        while records.counters.ok < 1_000:
            await asyncio.sleep(0)
        engine.abandon()
        assert (await reading).counters.skipped == 2_000 - 5
