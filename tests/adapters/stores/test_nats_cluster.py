"""Three brokers, of which one is killed: the one that leads."""

from __future__ import annotations

import asyncio

import nats
import pytest

from tests.adapters.stores.brokers import Broker, settings
from tests.adapters.stores.houses import loaded
from tests.adapters.stores.writers import Writer, answered, written
from wolkvox_async.adapters.nats import NatsStore
from wolkvox_async.ports import Stored

MESSAGES = 60


async def leader_of(broker: Broker, stream: str) -> str:
    client = await nats.connect(broker.address)
    cluster = (await client.jsm().stream_info(stream)).cluster
    await client.close()
    assert cluster is not None
    assert cluster.leader is not None
    return cluster.leader


@pytest.mark.timeout(120)
async def test_a_cluster_goes_on_without_its_leader(nodes: tuple[Broker, ...]) -> None:
    for node in nodes:
        node.launch()
    await asyncio.gather(*(node.ready() for node in nodes))
    store = await NatsStore.open(settings(*nodes, replicas=3, deadline=30.0))  # they choose a leader first
    await store.close()
    store = await NatsStore.open(settings(*nodes, replicas=3, deadline=2.0))
    assert store.notices == ()
    first = await answered(lambda: store.cas("p.1", 0, b"before"))
    assert isinstance(first, Stored)
    writers = [Writer(store, f"tk_{n}") for n in range(10)]
    tasks = [asyncio.create_task(writer.write(MESSAGES)) for writer in writers]
    await asyncio.sleep(0.1)
    leader = await leader_of(nodes[0], "wolkvox")
    next(node for node in nodes if node.name == leader).kill()
    await asyncio.gather(*tasks)
    assert await written(store) == {writer.token: [str(n).encode() for n in range(MESSAGES)] for writer in writers}
    last = await answered(lambda: loaded(store))
    assert {message.payload for message in last.values()} == {str(MESSAGES - 1).encode()}
    keys = await answered(store.keys)
    assert keys["p.1"].value == b"before"
    assert isinstance(await answered(lambda: store.cas("p.1", first.number, b"after")), Stored)
    await store.close()
