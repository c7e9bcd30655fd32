"""Whatever way a pass or a call is used, and wherever it is cancelled, nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import anyio
import pytest

from wolkvox_async.engine import Engine
from wolkvox_async.errors import UsageError
from wolkvox_async.model import Answer, Call
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import RetryPolicy

from .consumers import (
    INTERRUPTED,
    USES,
    Consumer,
    EnoughError,
    Use,
    breaking,
    cancelled,
    cancelled_twice,
    full,
    raising,
)
from .stage import BROKEN, GOOD, Stage, left, many, outcomes, read_all, settle_down

THREE = ("interactions", "gamification", "ivr_calls")
MOST_STEPS = 40


async def script(call: Call, number: int) -> Answer:
    for _ in range(2):
        await asyncio.sleep(0)
    return BROKEN if (call.api, number) == ("gamification", 1) else GOOD


def stage() -> Stage:
    return Stage(many(3, THREE), script, limits=Limits(max_in_flight=2), retry=RetryPolicy(backoff=0))


async def is_as_before(of: Stage, engine: Engine) -> bool:
    """Tell whether the engine still does its work, and nothing that was broken off goes on."""
    await settle_down(200)
    idle = engine.snapshot().queued == 0
    whole = outcomes(await read_all(engine)) == {"ok": 9}
    single = (await engine.call("t1/main", "vision")).ok
    return idle and whole and single and of.scripted.overlaps == 0 and of.ear.settled_once


def how_often() -> Iterator[int]:
    return iter(range(MOST_STEPS))


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_used_to_its_end_it_leaves_nothing(use: Use) -> None:
    before = left()
    of = stage()
    async with of.engine() as engine:
        for _ in range(3):
            await full(use, engine, 0)
        assert await is_as_before(of, engine)
    assert left() == before


@pytest.mark.parametrize("way", INTERRUPTED.values(), ids=INTERRUPTED)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_cancelled_at_any_await_it_leaves_nothing_and_the_engine_goes_on(use: Use, way: Consumer) -> None:
    before = left()
    for count in how_often():
        of = stage()
        async with of.engine() as engine:
            idle = left()
            await way(use, engine, count)
            await settle_down(100)
            assert left().timers == idle.timers, count
            assert await is_as_before(of, engine), count
        assert left() == before, count


@pytest.mark.parametrize("after", [1, 2, 3, 10])
async def test_left_by_break_it_leaves_nothing_and_the_engine_goes_on(after: int) -> None:
    before = left()
    of = stage()
    async with of.engine() as engine:
        await breaking(after)(engine)
        assert await is_as_before(of, engine)
    assert left() == before


@pytest.mark.parametrize("after", [1, 2, 3])
async def test_left_by_an_exception_it_passes_that_on_as_it_is(after: int) -> None:
    before = left()
    of = stage()
    async with of.engine() as engine:
        with pytest.raises(EnoughError) as caught:
            await raising(after)(engine)
        assert type(caught.value) is EnoughError
        assert await is_as_before(of, engine)
    assert left() == before


async def whole_life(of: Stage) -> None:
    async with of.engine() as engine, asyncio.TaskGroup() as group:
        group.create_task(_quietly(engine.call("t2/main", "vision")))
        group.create_task(_quietly(USES["lines"](engine)))
        await USES["records"](engine)


async def _quietly(work: object) -> None:
    try:
        await work  # type: ignore[misc]
    except UsageError:
        return


@pytest.mark.parametrize("way", [cancelled, cancelled_twice])
async def test_cancelled_at_any_await_of_an_engines_life_nothing_is_left(way: Consumer) -> None:
    before = left()
    for count in how_often():
        of = stage()
        await way(lambda _none, of=of: whole_life(of), None, count)  # type: ignore[misc,arg-type]
        assert of.scripted.overlaps == 0
        assert left() == before, count


async def test_cancelled_from_outside_its_scope_an_engines_life_leaves_nothing() -> None:
    before = left()
    for count in how_often():
        of = stage()
        async with anyio.create_task_group() as group:
            group.start_soon(whole_life, of)
            await settle_down(count)
            group.cancel_scope.cancel()
        assert left() == before, count


async def test_many_consumers_cancelled_at_different_times_do_not_disturb_each_other() -> None:
    before = left()
    of = Stage(many(10, THREE), script, limits=Limits(max_in_flight=4), retry=RetryPolicy(backoff=0))
    ways = list(INTERRUPTED.values())
    uses = list(USES.values())
    async with of.engine() as engine:
        undisturbed = asyncio.create_task(read_all(engine))
        await asyncio.gather(*[ways[n % 4](uses[n // 4 % 4], engine, n % 37) for n in range(60)])
        assert outcomes(await undisturbed) == {"ok": 30}
        await settle_down(200)
        assert engine.snapshot().queued == 0
    assert of.scripted.overlaps == 0
    assert of.ear.settled_once
    assert left() == before
