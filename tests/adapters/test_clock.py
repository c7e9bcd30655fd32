"""The event loop's time, and the machine's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.ports import Clock


@pytest.mark.looptime
async def test_now_is_the_loops_own_time() -> None:
    clock: Clock = LoopClock()
    before = clock.now()
    await asyncio.sleep(125.5)
    assert clock.now() - before == pytest.approx(125.5)
    assert clock.now() == pytest.approx(asyncio.get_running_loop().time())


async def test_utc_is_the_wall_clock_and_knows_its_zone() -> None:
    moment = datetime(2026, 11, 21, 21, 43, 47, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        seen = LoopClock().utc()
    assert seen == moment
    assert seen.utcoffset() == timedelta(0)


@pytest.mark.looptime
async def test_an_alarm_rings_at_its_time_in_the_loop() -> None:
    clock = LoopClock()
    rung = asyncio.get_running_loop().create_future()
    when = clock.now() + 60
    clock.alarm(when, lambda: rung.set_result(clock.now()))
    assert await rung == pytest.approx(when)


@pytest.mark.looptime
async def test_a_cancelled_alarm_does_not_ring() -> None:
    clock = LoopClock()
    rung: list[float] = []
    alarm = clock.alarm(clock.now() + 5, lambda: rung.append(clock.now()))
    alarm.cancel()
    await asyncio.sleep(10)
    alarm.cancel()
    assert rung == []


@pytest.mark.looptime
async def test_an_alarm_in_the_past_rings_soon() -> None:
    clock = LoopClock()
    rung = asyncio.get_running_loop().create_future()
    clock.alarm(clock.now() - 5, lambda: rung.set_result(None))
    await rung
    assert rung.done()


def test_it_is_made_inside_a_running_loop() -> None:
    with pytest.raises(RuntimeError):
        LoopClock()
