"""The limits follow what the flow makes of the answers."""

from __future__ import annotations

import asyncio

import pytest

from wolkvox_async.model import Answer, Call
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.flow import Flow, FlowPolicy
from wolkvox_async.scheduling.level import Pace
from wolkvox_async.testing import ok_answer, refusal

from .stage import ROWS, Stage, many

TOO_MANY = refusal(429, "TOO MANY", error="TOO MANY REQUESTS")


def flow(*, ceiling: int) -> Flow:
    """Return what finds the limits."""
    return Flow(FlowPolicy(Pace(ceiling=ceiling), per_server=32), now=0.0)


@pytest.mark.looptime
async def test_a_pass_gets_more_calls_in_flight_while_they_pay() -> None:
    async def slowly(_call: Call, _number: int) -> Answer:
        await asyncio.sleep(0.2)
        return ok_answer(ROWS)

    stage = Stage(many(6_000, servers=100), slowly, limits=Limits(1_000), flow=flow(ceiling=1_000))
    async with stage.engine() as engine, engine.fetch() as records:
        started = stage.scheduler.in_flight
        async for _ in records:
            pass
    assert started <= 128 < stage.scripted.most_at_once <= 1_000
    assert (records.counters.ok, stage.scripted.overlaps) == (6_000, 0)


@pytest.mark.looptime
async def test_a_server_that_refuses_gets_fewer_and_the_others_do_not() -> None:
    at_once = 0

    async def weak(call: Call, _number: int) -> Answer:
        nonlocal at_once
        if call.operation.server != "0000":
            await asyncio.sleep(0.1)
            return ok_answer(ROWS)
        at_once += 1
        refused = at_once > 4
        await asyncio.sleep(0.01 if refused else 0.1)
        at_once -= 1
        return TOO_MANY if refused else ok_answer(ROWS)

    stage = Stage(many(2_000, servers=4), weak, limits=Limits(200), flow=flow(ceiling=200))
    async with stage.engine() as engine, engine.fetch() as records:
        async for _ in records:
            pass
    limits = {name: stage.scheduler._places.servers[name].limit for name in ("0000", "0001")}
    assert limits["0000"] <= 8 < limits["0001"]
    assert records.counters.ok + records.counters.failed + records.counters.skipped == 2_000
