"""A server that is down: a probe now and then, slots for everybody else, and an end to patience."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from wolkvox_async.model import Answer, Breakdown, Call, ErrorKind
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import RetryPolicy

from .stage import DOWN, GOOD, Stage, broke, ends, kind_of, many, read_all

SILENT = broke(ErrorKind.CONNECT)


def on(call: Call) -> str:
    return call.operation.server


@pytest.mark.looptime
@pytest.mark.parametrize("met", [SILENT, DOWN], ids=["nobody listens", "503"])
async def test_calls_on_a_dead_server_wait_without_slots_and_end_with_patience(met: Answer | Breakdown) -> None:
    stage = Stage(
        many(400, servers=2),
        lambda call, _n: met if on(call) == "0001" else GOOD,
        retry=RetryPolicy(patience=120),
        limits=Limits(max_in_flight=40, per_server=20),
    )
    async with stage.engine() as engine:
        found = ends(await read_all(engine))
    dead = [end for end in found if end["server"] == "0001"]
    assert Counter(end["outcome"] for end in found if end["server"] == "0000") == {"ok": 200}
    assert sum(end["attempts"] for end in dead) <= 1.1 * len(dead)
    never = [end for end in dead if kind_of(end) == "server_down"]
    assert {end["attempts"] for end in never} == {0}
    assert {kind_of(end) for end in dead if end["attempts"]} == {"connect" if met is SILENT else "server_error"}
    assert len(never) > 100
    assert asyncio.get_running_loop().time() == pytest.approx(120, abs=5)


@pytest.mark.looptime
async def test_an_outage_of_minutes_is_ridden_out() -> None:
    def vendor(call: Call, _number: int) -> Answer | Breakdown:
        return SILENT if on(call) == "0001" and asyncio.get_running_loop().time() < 200 else GOOD

    stage = Stage(many(100, servers=2), vendor)
    async with stage.engine() as engine:
        found = ends(await read_all(engine))
    assert Counter(end["outcome"] for end in found) == {"ok": 100}
    assert asyncio.get_running_loop().time() < 200 + 61


@pytest.mark.looptime
async def test_healthy_servers_do_not_notice() -> None:
    async def vendor(call: Call, _number: int) -> Answer | Breakdown:
        if on(call) == "0003":
            return SILENT
        healthy.append(asyncio.get_running_loop().time())
        await asyncio.sleep(1)
        return GOOD

    healthy = list[float]()
    stage = Stage(many(160, servers=4), vendor, limits=Limits(max_in_flight=30, per_server=10))
    async with stage.engine() as engine, engine.fetch() as records:
        async for _ in records:
            if len(healthy) == 120:
                break
    assert max(healthy) <= 1.05 * 4
