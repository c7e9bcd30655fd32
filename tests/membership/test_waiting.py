"""Pauses grow and begin anew; whoever waits for something to be so looks when it may be."""

from __future__ import annotations

import asyncio

from wolkvox_async.membership.backoff import Backoff
from wolkvox_async.membership.bell import Bell

from .virtually import virtually


def test_each_pause_is_twice_as_long_up_to_the_longest() -> None:
    backoff = Backoff(1.0, 5.0)
    assert [backoff.pause() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    backoff.reset()
    assert backoff.pause() == 1.0


@virtually
async def test_who_waits_goes_on_when_it_is_so_and_not_before() -> None:
    bell, seen = Bell(), list[int]()
    waiting = asyncio.create_task(bell.until(lambda: len(seen) > 1))
    for number in range(2):
        await asyncio.sleep(1.0)
        assert not waiting.done()
        seen.append(number)
        bell.ring()
    await asyncio.wait_for(waiting, 1.0)
    await bell.until(lambda: True)
    assert waiting.done()


@virtually
async def test_who_stopped_waiting_is_not_rung_for() -> None:
    bell = Bell()
    waiting = asyncio.create_task(bell.until(lambda: False))
    await asyncio.sleep(1.0)
    waiting.cancel()
    await asyncio.wait([waiting])
    bell.ring()
    assert (waiting.cancelled(), bell._waiting) == (True, set())
