"""Stores, each of which has to pass every test that asks for a `house`, and brokers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.adapters.stores.brokers import Broker, ended
from tests.adapters.stores.houses import BrokerHouse, FileHouse, House, MemoryHouse
from wolkvox_async.ports import Store


@pytest.fixture(params=["memory", "file", "broker"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    made: House
    match request.param:
        case "memory":
            made = MemoryHouse()
        case "file":
            made = FileHouse(tmp_path)
        case _:
            made = BrokerHouse(tmp_path)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def store(house: House) -> AsyncIterator[Store]:
    opened = await house.open()
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    made = Broker(tmp_path)
    with ended(made):
        await made.start()
        yield made


@pytest.fixture
def nodes(tmp_path: Path, unused_tcp_port_factory: object) -> Iterator[tuple[Broker, ...]]:
    """Return three brokers of a cluster, not started yet."""
    assert callable(unused_tcp_port_factory)
    routes = [unused_tcp_port_factory() for _ in range(3)]
    others = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in routes)
    made = tuple(
        Broker(
            tmp_path,
            f"node{number}",
            f"server_name: node{number}\n"
            f'cluster {{\n name: test\n listen: "127.0.0.1:{port}"\n no_advertise: true\n routes: [{others}]\n}}\n',
        )
        for number, port in enumerate(routes)
    )
    with ended(*made):
        yield made
