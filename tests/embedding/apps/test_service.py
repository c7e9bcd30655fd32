import asyncio

from wolkvox_async import Parts, load_tenants, open_engine
from wolkvox_async.testing import FAULTS, Profile, Simulator


async def test_many_readers_are_one_call() -> None:
    async with Simulator(Profile(servers=2, operations=10, faults={"3": FAULTS["html"]})) as vendor:
        tenants = load_tenants(vendor.tenants_document())
        parts = Parts(environment=vendor.environment())
        async with open_engine(tenants, base_url=vendor.base_url, parts=parts) as engine:
            paths = [operation.path for operation in engine.operations()] * 100
            results = await asyncio.gather(*(engine.read(path, "interactions") for path in paths))
        failed = {path for path, result in zip(paths, results, strict=True) if not result.ok}
        assert failed == {vendor.operations[3].path}
        assert vendor.verdict().ok, vendor.verdict()
