"""The guide's services: they answer, stream and stop, leave nothing behind and have nothing to complain about."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import aiohttp
import orjson
import pytest

from wolkvox_async.testing import FAULTS, Fixed, Profile, SimulatedOperation, Simulator

from .service import STOPPED, Service, get, get_lines

TARGETS = ("fastapi_app:app", "litestar_app:app", "aiohttp_app:application", "django_app:application")


class Moody:
    """A latency that is another from one moment to the next."""

    def __init__(self) -> None:
        self.seconds = 0.005

    def draw(self, _chance: Random) -> float:
        return self.seconds


@pytest.fixture
def latency() -> Moody:
    return Moody()


@pytest.fixture
async def vendor(latency: Moody) -> AsyncIterator[Simulator]:
    faults = {"3": FAULTS["html"]}
    async with Simulator(Profile(2, 12, latency=latency, interval=0, limit=1.0, faults=faults)) as simulator:
        yield simulator


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def usage(service: Service, operation: SimulatedOperation, api: str = "interactions") -> str:
    return f"{service.url}/usage/{operation.path}/{api}"


@pytest.mark.parametrize("target", TARGETS)
async def test_a_service_answers_and_streams_and_finishes_what_it_is_at_when_it_is_stopped(
    target: str, vendor: Simulator, latency: Moody, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    healthy = [operation for n, operation in enumerate(vendor.operations) if n != 3]
    async with Service(target, vendor, tmp_path) as service:
        status, found = await get(session, usage(service, healthy[0]))
        assert status == 200, service.complaints
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

        latency.seconds = 0.4
        await _stop_at_work(session, service, vendor)
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


async def _stop_at_work(session: aiohttp.ClientSession, service: Service, vendor: Simulator) -> None:
    before = vendor.verdict().requests
    stream = asyncio.create_task(get_lines(session, f"{service.url}/records"))
    calls = [asyncio.create_task(get(session, usage(service, one, "pbx_licenses"))) for one in vendor.operations[:3]]
    while not (_asked(vendor)["pbx_licenses"] == 3 and vendor.verdict().requests > before + 3):
        await asyncio.sleep(0.001)
    assert await service.stop() in STOPPED
    assert orjson.loads((await stream)[-1])["event"] == "finished"
    assert [found["outcome"] for _, found in await asyncio.gather(*calls)] == ["ok"] * 3


def _asked(vendor: Simulator) -> Counter[str]:
    return Counter(api for sent in vendor.verdict().sent.values() for api in sent)


async def test_a_tenants_usage_is_served_to_five_hundred_at_once(tmp_path: Path) -> None:
    every_five_minutes = Profile(servers=2, operations=6, tenants=2, latency=Fixed(0.2), interval=300)
    async with (
        Simulator(every_five_minutes) as vendor,
        Service("usage:app", vendor, tmp_path, interval=300) as service,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        own = [one for one in vendor.operations if one.tenant == vendor.operations[0].tenant]
        url = f"{service.url}/usage/{own[0].tenant}"
        answers = await asyncio.gather(*(get(session, url) for _ in range(500)))
        assert {status for status, _ in answers} == {200}
        first = answers[0][1]
        assert {path: (one["outcome"], one["rows"][0]["operation"]) for path, one in first.items()} == {
            one.path: ("ok", one.vendor_name) for one in own
        }
        assert all(found == first for _, found in answers)
        assert await get(session, url) == (200, first)
        assert await service.stop() in STOPPED
        assert service.complaints == []
        assert vendor.verdict().requests == len(own)

        # What was asked a moment ago is known to the next life, which asks for the rest.
        async with Service("usage:app", vendor, tmp_path, interval=300) as next_life:
            _, found = await get(session, f"{next_life.url}/usage/{own[0].tenant}")
            assert {one["outcome"] for one in found.values()} == {"skipped"}
            _, found = await get(session, f"{next_life.url}/usage/{vendor.operations[-1].tenant}")
            assert {one["outcome"] for one in found.values()} == {"ok"}
            assert await next_life.stop() in STOPPED
    verdict = vendor.verdict()
    assert next_life.complaints == []
    assert verdict.ok, verdict  # no overlap, no early call
    assert (verdict.requests, verdict.in_flight_now) == (6, 0)
