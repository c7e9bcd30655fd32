"""What every store does, whatever it is made of."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.adapters.stores.houses import House, loaded, told
from wolkvox_async.adapters.stores import MemoryStore
from wolkvox_async.errors import StateError
from wolkvox_async.ports import Append, Conflict, Full, Message, Store, Stored


async def put(store: Store, key: str, value: bytes, expected: int = 0) -> int:
    became = await store.cas(key, expected, value)
    assert isinstance(became, Stored)
    return became.number


async def add(store: Store, *appends: Append) -> list[int]:
    numbers = []
    for became in await store.append(appends):
        assert isinstance(became, Stored)
        numbers.append(became.number)
    return numbers


# --- keys


async def test_a_new_store_has_no_keys(store: Store) -> None:
    assert await store.keys() == {}


async def test_keys_are_read_as_they_were_written(store: Store) -> None:
    revisions = {key: await put(store, key, key.encode()) for key in ("c", "p.0", "p.255", "w.host-1")}
    assert {key: (held.revision, held.value) for key, held in (await store.keys()).items()} == {
        key: (revision, key.encode()) for key, revision in revisions.items()
    }


async def test_a_key_is_made_by_one_alone(store: Store) -> None:
    await put(store, "c", b"first")
    assert await store.cas("c", 0, b"second") == Conflict()
    assert (await store.keys())["c"].value == b"first"


async def test_a_key_is_changed_by_who_knows_its_revision(store: Store) -> None:
    first = await put(store, "p.1", b"a")
    second = await put(store, "p.1", b"b", first)
    assert second > first
    assert await store.cas("p.1", first, b"c") == Conflict()
    assert (await store.keys())["p.1"].value == b"b"


async def test_a_key_that_does_not_exist_has_no_revision(store: Store) -> None:
    assert await store.cas("p.1", 7, b"a") == Conflict()
    assert await store.keys() == {}


async def test_one_of_many_who_write_at_once_succeeds(house: House) -> None:
    stores = [await house.open() for _ in range(3)]
    writes = [store.cas("p.1", 0, bytes([number])) for store in stores for number in range(10)]
    became = await asyncio.gather(*writes)
    assert len([one for one in became if isinstance(one, Stored)]) == 1
    for store in stores:
        await store.close()


@pytest.mark.parametrize(
    "key", ["r.nightly run", "a..b", ".", "r.*", "r.>", "r.año", "=", "a=20b", "x" * 100, "a\r\nPUB b"]
)
async def test_any_text_is_a_key(store: Store, key: str) -> None:
    await put(store, key, b"value")
    await put(store, "plain", b"another")
    assert {name: held.value for name, held in (await store.keys()).items()} == {key: b"value", "plain": b"another"}


async def test_a_value_is_any_bytes(store: Store) -> None:
    await put(store, "all", bytes(range(256)))
    await put(store, "none", b"")
    keys = await store.keys()
    assert (keys["all"].value, keys["none"].value) == (bytes(range(256)), b"")


async def test_a_thousand_runs_are_keys_too(store: Store) -> None:
    names = [f"r.{number}" for number in range(1_100)]
    for first in range(0, len(names), 100):
        await asyncio.gather(*(put(store, name, name.encode()) for name in names[first : first + 100]))
    assert {key: held.value for key, held in (await store.keys()).items()} == {name: name.encode() for name in names}


# --- messages


async def test_the_first_message_of_a_token_expects_none(store: Store) -> None:
    assert await store.append([told("tk_a", expected=3)]) == [Conflict()]
    (number,) = await add(store, told("tk_a", b"one"))
    assert await store.last(5, "tk_a") == Message(number, 5, "tk_a", b"one")


async def test_a_message_follows_the_one_that_it_expects(store: Store) -> None:
    (first,) = await add(store, told("tk_a", b"one"))
    (second,) = await add(store, told("tk_a", b"two", expected=first))
    assert second > first
    assert await store.append([told("tk_a", b"three", expected=first)]) == [Conflict()]
    assert await store.append([told("tk_a", b"three")]) == [Conflict()]
    assert await store.last(5, "tk_a") == Message(second, 5, "tk_a", b"two")


@pytest.mark.parametrize("many", [5, 50])
async def test_messages_of_a_batch_are_numbered_in_their_order(store: Store, many: int) -> None:
    numbers = await add(store, *(told(f"tk_{n}", str(n).encode()) for n in range(many)))
    assert numbers == sorted(set(numbers))
    assert [(message.sequence, message.token) for message in await store.tail(0, 100)] == [
        (number, f"tk_{n}") for n, number in enumerate(numbers)
    ]


async def test_nothing_to_append_is_nothing_appended(store: Store) -> None:
    assert list(await store.append([])) == []
    assert list(await store.tail(0, 10)) == []


@pytest.mark.parametrize("others", [0, 60])  # brokers treat large batches otherwise
async def test_a_message_that_conflicts_spares_its_neighbours(store: Store, others: int) -> None:
    (first,) = await add(store, told("tk_b"))
    more = [told(f"tk_{n}") for n in range(others)]
    became = await store.append([told("tk_a"), told("tk_b"), told("tk_c"), told("tk_d", expected=first), *more])
    assert [type(one) for one in became] == [Stored, Conflict, Stored, Conflict, *[Stored] * others]
    assert set(await loaded(store)) == {"tk_a", "tk_b", "tk_c", *(append.token for append in more)}


@pytest.mark.parametrize("others", [0, 60])
async def test_the_second_of_two_messages_of_a_token_conflicts(store: Store, others: int) -> None:
    more = [told(f"tk_{n}") for n in range(others)]
    became = await store.append([told("tk_a", b"one"), told("tk_a", b"two"), told("tk_b"), *more])
    assert [type(one) for one in became] == [Stored, Conflict, Stored, *[Stored] * others]
    assert (await loaded(store))["tk_a"].payload == b"one"


async def test_one_of_many_who_append_at_once_succeeds(house: House) -> None:
    stores = [await house.open() for _ in range(3)]
    batches = [store.append([told("tk_a", b"a"), told("tk_b", b"b")]) for store in stores for _ in range(5)]
    became = [one for batch in await asyncio.gather(*batches) for one in batch]
    assert len([one for one in became if isinstance(one, Stored)]) == 2
    assert len(await stores[0].tail(0, 10)) == 2
    for store in stores:
        await store.close()


async def test_a_payload_is_any_bytes(store: Store) -> None:
    payloads = {"tk_a": b"", "tk_b": bytes(range(256)), "tk_c": b"\r\nMSG a 1 3\r\nabc\r\n", "tk_d": b"x" * 300_000}
    await add(store, *(told(token, payload) for token, payload in payloads.items()))
    assert {token: message.payload for token, message in (await loaded(store)).items()} == payloads
    assert {message.token: message.payload for message in await store.tail(0, 10)} == payloads
    for token, payload in payloads.items():
        found = await store.last(5, token)
        assert found is not None
        assert found.payload == payload


async def test_a_token_is_known_in_its_partition(store: Store) -> None:
    await add(
        store, told("tk_a", b"5", partition=5), told("tk_a", b"55", partition=55), told("tk_b", b"0", partition=0)
    )
    assert {token: message.payload for token, message in (await loaded(store, 5)).items()} == {"tk_a": b"5"}
    assert {token: message.payload for token, message in (await loaded(store, 55)).items()} == {"tk_a": b"55"}
    assert await store.last(0, "tk_a") is None


async def test_the_last_message_of_each_token_is_loaded(store: Store) -> None:
    numbers = await add(store, *(told(f"tk_{n}", b"old") for n in range(10)))
    await add(store, *(told(f"tk_{n}", b"new", expected=numbers[n]) for n in range(0, 10, 2)))
    found = await loaded(store)
    assert [found[f"tk_{n}"].payload for n in range(10)] == [b"new", b"old"] * 5


async def test_a_partition_that_nobody_used_loads_nothing(store: Store) -> None:
    await add(store, told("tk_a"))
    assert await loaded(store, 6) == {}
    assert await store.last(6, "tk_a") is None


async def test_thousands_of_tokens_are_loaded(store: Store) -> None:
    tokens = [f"tk_{n:012x}" for n in range(2_500)]
    numbers = await add(store, *(told(token, token.encode()) for token in tokens))
    assert numbers == sorted(set(numbers))
    assert {token: message.payload for token, message in (await loaded(store)).items()} == {
        token: token.encode() for token in tokens
    }


async def test_a_large_batch_is_taken_in_pieces(store: Store) -> None:
    appends = [told(f"tk_{n}", bytes([n]) * 700_000) for n in range(12)]
    await add(store, *appends)
    assert {message.token: message.payload for message in (await loaded(store)).values()} == {
        append.token: append.payload for append in appends
    }


# --- the tail


async def test_the_tail_is_read_in_portions(store: Store) -> None:
    numbers = await add(store, *(told(f"tk_{n}", str(n).encode()) for n in range(25)))
    read: list[Message] = []
    while some := await store.tail(read[-1].sequence if read else 0, 10):
        assert len(some) <= 10
        read.extend(some)
    assert read == [Message(number, 5, f"tk_{n}", str(n).encode()) for n, number in enumerate(numbers)]


async def test_nothing_is_behind_the_end(store: Store) -> None:
    assert list(await store.tail(0, 10)) == []
    (number,) = await add(store, told("tk_a"))
    assert list(await store.tail(number, 10)) == []
    assert list(await store.tail(number + 1_000, 10)) == []


async def test_the_tail_has_every_message_of_a_token(store: Store) -> None:
    (first,) = await add(store, told("tk_a", b"one"))
    (second,) = await add(store, told("tk_a", b"two", expected=first))
    assert [(message.sequence, message.payload) for message in await store.tail(0, 10)] == [
        (first, b"one"),
        (second, b"two"),
    ]


# --- a full store, and the end of one


async def test_a_full_store_refuses_and_keeps_what_it_has(house: House) -> None:
    store = await house.open(small=True)
    kept: list[str] = []
    became: list[object] = []
    for number in range(100):
        (one,) = await store.append([told(f"tk_{number}", b"x" * 10_000)])
        became.append(one)
        if isinstance(one, Stored):
            kept.append(f"tk_{number}")
    assert len(kept) > 5
    assert became[-1] == Full()
    assert [message.token for message in await store.tail(0, 100)] == kept
    assert await store.append([told("tk_a", b"x" * 10_000), told("tk_b", b"x" * 10_000)]) == [Full(), Full()]
    assert await store.append([told(f"tk_x{n}", b"x" * 10_000) for n in range(40)]) == [Full()] * 40
    await store.close()


async def test_what_conflicts_in_a_full_store_conflicts(house: House) -> None:
    store = await house.open(small=True)
    await add(store, told("tk_a"))
    became = await store.append([told("tk_a"), *(told(f"tk_{n}", b"x" * 20_000) for n in range(20))])
    assert became[0] == Conflict()
    assert became[1] == Stored(2)
    assert became[-1] == Full()
    await store.close()


async def test_stores_beside_one_another_hold_the_same(house: House) -> None:
    one, other = await house.open(), await house.open()
    await put(one, "c", b"terms")
    (number,) = await add(one, told("tk_a", b"one"))
    assert (await other.keys())["c"].value == b"terms"
    assert await other.last(5, "tk_a") == Message(number, 5, "tk_a", b"one")
    await one.close()
    await add(other, told("tk_a", b"two", expected=number))
    await other.close()


async def test_a_store_that_is_opened_again_has_kept_everything(house: House) -> None:
    first = await house.open()
    await put(first, "c", b"terms")
    await add(first, told("tk_a", b"one"))
    await first.close()
    second = await house.open()
    assert (await second.keys())["c"].value == b"terms"
    assert set(await loaded(second)) == {"tk_a"}
    await second.close()


async def test_a_closed_store_does_nothing(store: Store) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StateError, match="closed"):
        await store.keys()
    with pytest.raises(StateError, match="closed"):
        await store.append([told("tk_a")])


@pytest.mark.parametrize("seed", range(3))
async def test_every_store_does_as_the_simplest_one(store: Store, seed: int) -> None:
    chance, model = random.Random(seed), MemoryStore()
    tokens = [f"tk_{n}" for n in range(6)]
    for step in range(60):
        chosen = chance.sample(tokens, chance.randint(1, len(tokens)))
        known = {message.token: message.sequence async for message in model.load(5)}
        appends = [
            told(token, f"{step} {token}".encode(), expected=known.get(token, 0) if chance.random() < 0.8 else 9)
            for token in chosen
        ]
        assert await store.append(appends) == await model.append(appends)
        after, most = chance.randint(0, 40), chance.randint(1, 20)
        assert list(await store.tail(after, most)) == list(await model.tail(after, most))
    assert await loaded(store) == await loaded(model)
