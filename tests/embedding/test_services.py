"""Services with an engine in their lifespan: they answer, stream and stop, and have nothing to complain about."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import orjson
import pytest

from wolkvox_async.testing import FAULTS, Fixed, Profile, SimulatedOperation, Simulator

from .service import Service, get, get_lines

APPS = ("fastapi_app.py", "litestar_app.py", "aiohttp_app.py")
PROFILE = Profile(servers=2, operations=12, latency=Fixed(0.005), interval=0, limit=1.0, faults={"3": FAULTS["html"]})


@pytest.fixture
async def vendor() -> AsyncIterator[Simulator]:
    async with Simulator(PROFILE) as simulator:
        yield simulator


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def usage(service: Service, operation: SimulatedOperation, api: str = "interactions") -> str:
    return f"{service.url}/usage/{operation.path}/{api}"


@pytest.mark.parametrize("app", APPS)
async def test_a_service_answers_streams_and_stops_without_a_word(
    app: str, vendor: Simulator, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    healthy = [operation for n, operation in enumerate(vendor.operations) if n != 3]
    async with Service(app, vendor.write_tenants(tmp_path), vendor.base_url) as service:
        status, found = await get(session, usage(service, healthy[0]))
        assert (status, found["outcome"], found["error"]) == (200, "ok", None)
        assert [row["operation"] for row in found["rows"]] == [healthy[0].vendor_name]

        status, found = await get(session, usage(service, vendor.operations[3]))
        assert (status, found["outcome"], found["rows"]) == (200, "failed", [])
        assert "a web page" in found["error"]

        assert (await get(session, f"{service.url}/usage/nobody/nowhere/interactions"))[0] == 404
        assert (await get(session, usage(service, healthy[0], "no_such_endpoint")))[0] == 404

        await _hit_at_once(session, service, healthy)
        await _leave_in_the_middle(session, service)
        assert (await get(session, usage(service, healthy[1])))[1]["outcome"] == "ok"

        assert await service.stop() in (0, -2, 130)
    verdict = vendor.verdict()
    assert service.complaints == []
    assert verdict.ok, verdict
    assert verdict.in_flight_now == 0
    assert max(verdict.max_in_flight_by_server.values()) > 1


async def _hit_at_once(session: aiohttp.ClientSession, service: Service, operations: list[SimulatedOperation]) -> None:
    calls = [get(session, usage(service, operation, api)) for operation in operations for api in ("vision", "nlp_ai")]
    streams = [get_lines(session, f"{service.url}/records") for _ in range(3)]
    answers, lines = await asyncio.gather(asyncio.gather(*calls), asyncio.gather(*streams))
    assert [found["rows"][0]["operation"] for _, found in answers] == [
        operation.vendor_name for operation in operations for _ in range(2)
    ]
    for stream in lines:
        records = [orjson.loads(line) for line in stream]
        assert (records[0]["event"], records[-1]["event"]) == ("started", "finished")
        ends = Counter(record["outcome"] for record in records if record["type"] == "call")
        assert ends == {"ok": 2 * len(operations), "failed": 2}
        names = {(row["tenant"], row["operation"]): row["row"]["operation"] for row in records if row["type"] == "row"}
        assert names == {(one.tenant, one.name): one.vendor_name for one in operations}


async def _leave_in_the_middle(session: aiohttp.ClientSession, service: Service) -> None:
    for _ in range(5):
        async with session.get(f"{service.url}/records") as response:
            await response.content.readline()
            response.close()


@pytest.mark.parametrize("app", APPS)
async def test_a_service_that_is_stopped_while_it_is_at_work_finishes_that_first(
    app: str, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with (
        Simulator(replace(PROFILE, latency=Fixed(0.2))) as vendor,
        Service(app, vendor.write_tenants(tmp_path), vendor.base_url) as service,
    ):
        stream = asyncio.create_task(get_lines(session, f"{service.url}/records"))
        calls = [asyncio.create_task(get(session, usage(service, one, "vision"))) for one in vendor.operations[:3]]
        while not _is_at_work(vendor):
            await asyncio.sleep(0.001)
        assert await service.stop() in (0, -2, 130)
        assert orjson.loads((await stream)[-1])["event"] == "finished"
        assert [found["outcome"] for _, found in await asyncio.gather(*calls)] == ["ok"] * 3
    assert service.complaints == []
    assert vendor.verdict().ok, vendor.verdict()


def _is_at_work(vendor: Simulator) -> bool:
    asked = Counter(api for sent in vendor.verdict().sent.values() for api in sent)
    return asked["vision"] == 3 and asked["interactions"] > 0
