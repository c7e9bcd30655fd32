"""A pass is fed to the scheduler a portion at a time, and ends when its last call has."""

from __future__ import annotations

import asyncio

import pytest

from wolkvox_async.engine import RunName
from wolkvox_async.engine.feeding import PORTION
from wolkvox_async.scheduling.decisions import Limits

from .stage import Stage, ends, many, read_all


@pytest.mark.parametrize("calls", [0, 1, PORTION - 1, PORTION, PORTION + 1, 2 * PORTION, 3 * PORTION])
@pytest.mark.parametrize("in_flight", [1, 7, 10_000])
async def test_a_pass_of_any_length_comes_to_its_end(calls: int, in_flight: int) -> None:
    stage = Stage(many(calls, servers=1 + calls // 20), limits=Limits(max_in_flight=in_flight))
    async with stage.engine() as engine, asyncio.timeout(60):
        records = await read_all(engine)
    assert len(ends(records)) == calls
    assert records[-1]["type"] == "run"


async def test_a_run_whose_last_portion_is_settled_comes_to_its_end() -> None:
    stage = Stage(many(2 * PORTION, servers=50))
    async with stage.engine() as engine, asyncio.timeout(60):
        async with engine.fetch(run=RunName("nightly")) as records:
            done = 0
            async for record in records:
                done += record["type"] == "call"
                if done == PORTION // 2:
                    break
        again = await read_all(engine, run=RunName("nightly"))
        once_more = await read_all(engine, run=RunName("nightly"))
    assert len(ends(again)) == 2 * PORTION - PORTION // 2
    assert len(ends(once_more)) == 0
