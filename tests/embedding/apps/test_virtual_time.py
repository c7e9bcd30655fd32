import asyncio

from wolkvox_async import Parts, load_tenants, open_engine
from wolkvox_async.testing import InProcess, Profile, VirtualClock, VirtualLoop


async def a_day() -> None:
    vendor = InProcess(Profile(servers=1, operations=2), VirtualClock())
    parts = Parts(transport=vendor, clock=vendor.clock, environment=vendor.environment())
    path = vendor.operations[0].path
    async with open_engine(load_tenants(vendor.tenants_document()), parts=parts) as engine:
        for _ in range(24 * 60):
            assert (await engine.read(path, "interactions")).ok
            await asyncio.sleep(60)  # takes no time
    verdict = vendor.verdict()
    assert verdict.ok, verdict
    assert verdict.requests == 24 * 12  # one in five minutes, however many minutes asked


def test_a_day_of_reading_every_minute() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(a_day())
