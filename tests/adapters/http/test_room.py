"""Room for bodies: what is given out never exceeds what there is, in turn, and lost only by who is too slow."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.adapters.http.room import BIG, GRACE, PACE, POOL, SMALL, Claim, Room, Store

pytestmark = pytest.mark.looptime


class Taker:
    """Somebody who takes from a store; it gives back what it loses."""

    def __init__(self, store: Store, amount: int) -> None:
        self.claim: Claim | None = None
        self.lost_at: float | None = None
        self.task = asyncio.create_task(self._take(store, amount))

    async def _take(self, store: Store, amount: int) -> None:
        self.claim = await store.take(amount, self._lose)

    def _lose(self) -> None:
        assert self.claim is not None
        self.lost_at = asyncio.get_running_loop().time()
        self.claim.give_back()


async def takers(store: Store, *amounts: int) -> list[Taker]:
    made = [Taker(store, amount) for amount in amounts]
    await asyncio.sleep(0)
    return made


async def served(*everybody: Taker) -> list[bool]:
    for _ in range(3):
        await asyncio.sleep(0)
    return [taker.task.done() for taker in everybody]


async def test_what_fits_is_given_at_once_and_the_rest_to_who_wants_least_in_turn() -> None:
    store = Store(10)
    first, second, large, early, late, small = everybody = await takers(store, 6, 4, 5, 3, 3, 1)
    assert await served(*everybody) == [True, True, False, False, False, False]
    assert (store.used, store.waiting) == (10, 4)
    assert second.claim is not None
    second.claim.give_back()
    assert await served(large, early, late, small) == [False, True, False, True]
    assert first.claim is not None
    first.claim.give_back(keep=2)
    assert await served(large, late) == [False, True]
    first.claim.give_back()
    assert store.waiting == 1
    assert small.claim is not None
    small.claim.give_back()
    assert early.claim is not None
    early.claim.give_back()
    assert await served(large) == [True]
    assert store.waiting == 0


async def test_what_was_given_back_is_given_back_once() -> None:
    store = Store(10)
    (taker,) = await takers(store, 6)
    assert taker.claim is not None
    taker.claim.give_back(keep=2)
    taker.claim.give_back(keep=5)
    assert store.used == 2
    taker.claim.give_back()
    taker.claim.give_back()
    assert store.used == 0


async def test_who_is_cancelled_leaves_the_queue() -> None:
    store = Store(10)
    holder, first, second = await takers(store, 10, 7, 3)
    first.task.cancel()
    assert holder.claim is not None
    holder.claim.give_back(keep=5)
    assert await served(first, second) == [True, True]
    assert (first.claim, store.used, store.waiting) == (None, 8, 0)


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_who_is_cancelled_in_the_moment_of_getting_it_keeps_nothing(cancel_first: bool) -> None:
    store = Store(10)
    holder, unlucky, lucky = await takers(store, 10, 10, 10)
    assert holder.claim is not None
    for step in (unlucky.task.cancel, holder.claim.give_back)[:: 1 if cancel_first else -1]:
        step()
    assert await served(unlucky, lucky) == [True, True]
    assert unlucky.task.cancelled()
    assert lucky.claim is not None
    assert (store.used, store.waiting) == (10, 0)


async def test_who_brings_nothing_loses_its_room_once_somebody_waits() -> None:
    store = Store(10)
    silent, resting = await takers(store, 5, 5)
    assert resting.claim is not None
    resting.claim.rest()
    await asyncio.sleep(1000)
    assert (silent.lost_at, resting.lost_at) == (None, None)  # it was in nobody's way
    (waiting,) = await takers(store, 1)
    await waiting.task
    assert silent.lost_at is not None
    assert resting.lost_at is None
    assert store.used == 6


async def test_only_as_many_lose_their_room_as_have_to_and_the_slowest_first() -> None:
    store = Store(10)
    silent, slow = await takers(store, 5, 5)
    for _ in range(int(GRACE) + 2):
        await asyncio.sleep(1)
        assert slow.claim is not None
        slow.claim.bring(int(PACE / 2))
    (waiting,) = await takers(store, 5)
    await waiting.task
    assert silent.lost_at is not None
    assert slow.lost_at is None


async def test_who_keeps_pace_keeps_its_room() -> None:
    store = Store(10)
    (steady,) = await takers(store, 10)
    (waiting,) = await takers(store, 1)
    for _ in range(100):
        await asyncio.sleep(1)
        assert steady.claim is not None
        steady.claim.bring(int(PACE))
    assert (steady.lost_at, await served(waiting)) == (None, [False])
    waiting.task.cancel()


async def test_a_fast_beginning_earns_no_long_pause() -> None:
    store = Store(10)
    (hasty,) = await takers(store, 10)
    assert hasty.claim is not None
    hasty.claim.bring(BIG)
    (waiting,) = await takers(store, 1)
    await waiting.task
    assert hasty.lost_at == pytest.approx(GRACE, abs=1)


async def test_nothing_looks_for_slow_ones_when_nobody_waits() -> None:
    store = Store(1)
    holder, waiting = await takers(store, 1, 1)
    looking = store._timer
    assert holder.claim is not None
    holder.claim.give_back()
    assert looking is not None
    assert looking.cancelled()
    await waiting.task


def interfere(taker: Taker, deed: int, number: int) -> None:
    if deed == 0:
        taker.task.cancel()
    elif taker.claim is not None:
        taker.claim.give_back(keep=number if deed == 1 else 0)


@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 10)), max_size=40))
def test_no_more_is_given_out_than_there_is(steps: list[tuple[int, int]]) -> None:
    async def play() -> None:
        store, everybody = Store(10), list[Taker]()
        for deed, number in steps:
            if deed == 3 or not everybody:
                everybody.append(Taker(store, number))
            else:
                interfere(everybody[number % len(everybody)], deed, number)
            if number % 2:
                await asyncio.sleep(0)
            assert 0 <= store.used <= 10
        for _ in range(4 * len(everybody)):
            await asyncio.sleep(0)
        assert store.used == sum(taker.claim.amount for taker in everybody if taker.claim)
        for taker in everybody:
            taker.task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert store.waiting == 0

    asyncio.run(play())


def test_the_sizes_fit_together() -> None:
    room = Room()
    assert SMALL < BIG <= room.pool.size == POOL
    assert len(room.buffer(large=False, tls=True)) >= 16_384  # a whole TLS record
    assert len(room.buffer(large=False, tls=False)) <= SMALL
