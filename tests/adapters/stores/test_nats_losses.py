"""Brokers that are killed, stopped or cut off: what was confirmed is there, and everybody hears of the rest."""

from __future__ import annotations

import asyncio

import pytest

from tests.adapters.stores.brokers import Broker, settings
from tests.adapters.stores.houses import loaded, told
from tests.adapters.stores.proxies import Proxy
from tests.adapters.stores.writers import Writer, answered, written
from wolkvox_async.adapters.nats import NatsStore
from wolkvox_async.errors import StoreUnavailableError
from wolkvox_async.ports import Conflict, Stored

QUICK = 0.5
"""Seconds of a deadline that is waited for; what is to be answered within it is asked again where a machine is busy."""


async def test_nothing_is_lost_or_doubled_when_the_broker_is_killed(broker: Broker) -> None:
    store = await NatsStore.open(settings(broker))
    writers = [Writer(store, f"tk_{n}") for n in range(20)]
    tasks = [asyncio.create_task(writer.write(40)) for writer in writers]
    for _ in range(3):
        await asyncio.sleep(0.05)
        broker.kill()
        await broker.start()
    await asyncio.gather(*tasks)
    assert await written(store) == {writer.token: [str(n).encode() for n in range(40)] for writer in writers}
    assert sum(writer.unknown for writer in writers) > 0
    await store.close()


@pytest.mark.parametrize("others", [0, 60])
async def test_a_message_whose_confirmation_is_lost_is_there_all_the_same(broker: Broker, others: int) -> None:
    async with Proxy(broker.port) as proxy:
        store = await answered(lambda: NatsStore.open(settings(proxy, deadline=QUICK)))
        more = [told(f"tk_{n}") for n in range(others)]
        proxy.mute = True
        with pytest.raises(StoreUnavailableError):
            await store.append([told("tk_a", b"one"), *more])
        proxy.mute = False
        assert await answered(lambda: store.append([told("tk_a", b"one")])) == [Conflict()]
        last = await answered(lambda: store.last(5, "tk_a"))
        assert last is not None
        assert last.payload == b"one"
        assert len(await answered(lambda: loaded(store))) == others + 1
        await store.close()


async def test_what_never_reached_the_broker_is_not_sent_later(broker: Broker) -> None:
    async with Proxy(broker.port) as proxy:
        store = await answered(lambda: NatsStore.open(settings(proxy, deadline=QUICK)))
        proxy.deaf = True
        with pytest.raises(StoreUnavailableError):
            await store.append([told("tk_a", b"one")])
        proxy.cut()
        proxy.deaf = False
        await answered(lambda: store.append([told("tk_b", b"two")]))
        assert set(await answered(lambda: loaded(store))) == {"tk_b"}
        await store.close()


async def test_what_is_under_way_fails_with_the_connection(broker: Broker) -> None:
    async with Proxy(broker.port) as proxy:
        store = await NatsStore.open(settings(proxy, deadline=50.0))  # longer than a test may take
        proxy.deaf = True
        asking = [
            asyncio.create_task(store.append([told("tk_a")])),
            asyncio.create_task(store.append([told(f"tk_{n}") for n in range(50)])),
            asyncio.create_task(store.cas("c", 0, b"")),
            asyncio.create_task(store.keys()),
            asyncio.create_task(loaded(store)),
            asyncio.create_task(store.tail(0, 10)),
        ]
        await asyncio.sleep(0.05)
        proxy.cut()
        became = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(one) for one in became] == [StoreUnavailableError] * 6
        await store.close()


async def test_who_reads_keys_hears_once_that_the_connection_was_lost(broker: Broker) -> None:
    async with Proxy(broker.port) as proxy:
        store = await NatsStore.open(settings(proxy))
        for _ in range(2):
            await store.keys()
            proxy.cut()
            with pytest.raises(StoreUnavailableError):
                await store.last(5, "tk_a")
            await answered(lambda: store.last(5, "tk_a"))  # there is a connection again, and somebody else noticed
            with pytest.raises(StoreUnavailableError):
                await store.keys()
            assert await store.keys() == {}
        await store.close()


async def test_what_rests_on_a_lost_connection_is_not_written_over_the_next(broker: Broker) -> None:
    async with Proxy(broker.port) as proxy:
        store = await NatsStore.open(settings(proxy))
        await store.keys()
        proxy.cut()
        await answered(lambda: store.last(5, "tk_a"))
        with pytest.raises(StoreUnavailableError):
            await store.cas("p.1", 0, b"mine")
        with pytest.raises(StoreUnavailableError):
            await store.keys()
        assert await store.keys() == {}
        assert isinstance(await store.cas("p.1", 0, b"mine"), Stored)
        await store.close()


async def test_a_broker_that_is_silent_is_unavailable_until_it_speaks(broker: Broker) -> None:
    store = await answered(lambda: NatsStore.open(settings(broker, deadline=QUICK)))
    broker.freeze()
    for _ in range(3):  # at first there is a connection, and then there is none
        with pytest.raises(StoreUnavailableError, match="broker"):
            await store.cas("c", 0, b"")
        with pytest.raises(StoreUnavailableError, match="broker"):
            await store.keys()
    broker.thaw()
    assert set(await answered(store.keys)) <= {"c"}  # what nobody waited for any more may have been written
    assert await answered(lambda: store.last(5, "tk_a")) is None
    await store.close()


async def test_a_broker_that_comes_back_is_waited_for(broker: Broker) -> None:
    store = await NatsStore.open(settings(broker))
    broker.kill()
    await asyncio.sleep(0.05)
    waiting = asyncio.create_task(store.append([told("tk_a")]))
    await broker.start()
    assert await waiting == [Stored(1)]
    await store.close()


async def test_another_address_is_used_when_one_falls_silent(broker: Broker) -> None:
    async with Proxy(broker.port) as first, Proxy(broker.port) as second:
        first.deaf = True
        first.mute = True
        store = await answered(lambda: NatsStore.open(settings(first, second, deadline=QUICK * 4)))
        first.deaf = first.mute = False
        second.deaf = second.mute = True
        await answered(lambda: store.last(5, "tk_a"))
        second.deaf = second.mute = False
        with pytest.raises(StoreUnavailableError):
            await store.keys()
        assert await store.keys() == {}
        await store.close()


async def test_a_store_closes_while_its_broker_is_away(broker: Broker) -> None:
    store = await NatsStore.open(settings(broker, deadline=50.0))
    waiting = asyncio.create_task(store.keys())
    broker.kill()
    with pytest.raises(StoreUnavailableError):
        await waiting
    async with asyncio.timeout(20):
        await store.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
