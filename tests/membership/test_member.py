"""Partitions come to a machine when it may have them, and leave it without anybody's calls meeting."""

from __future__ import annotations

import asyncio
from math import inf
from random import Random

import pytest

from wolkvox_async.adapters.stores.memory import MemoryStore
from wolkvox_async.clustering.leases import TERMS_KEY, Lease, lease_key
from wolkvox_async.clustering.terms import ClusterTerms, LeaseTerms
from wolkvox_async.errors import ConfigurationError, StateError
from wolkvox_async.membership.tenures import Stage

from .faults import Fault
from .village import INTERVAL, PARTITIONS, POLL, STANDSTILL, TERMS, House, living, now, overlaps, run, spread
from .virtually import virtually

ALL = set(range(PARTITIONS))


class Heedless(House):
    """A machine that goes on calling whatever it is told."""

    def may_begin(self, partition: int) -> bool:  # noqa: ARG002
        return True

    def lost(self, partition: int) -> None:
        pass


class Faulty(House):
    """A machine whose own code fails, as soon as it is told to."""

    fault: Exception | None = None

    def may_renew(self, partition: int) -> bool:
        if self.fault is not None:
            raise self.fault
        return super().may_renew(partition)

    def lost(self, partition: int) -> None:
        super().lost(partition)
        if self.fault is not None:
            raise self.fault


async def settled(*houses: House) -> None:
    """Wait until the first machine of a new cluster has everything."""
    await run(STANDSTILL + 3 * POLL)
    assert set().union(*(house.holding for house in houses)) == ALL


@virtually
async def test_the_first_machine_has_everything_once_nobody_showed_up_for_a_lease() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await run(STANDSTILL)
        assert house.holding == set()
        await run(2 * POLL)
        assert house.holding == ALL
        assert sorted(house.records.loaded) == sorted(ALL)


@virtually
async def test_a_permit_is_published_when_it_is_confirmed_and_counts_from_before_it_was_asked_for() -> None:
    house = House("a", MemoryStore())
    house.store.delay = 0.5
    async with living(house):
        await settled(house)
        await run(5 * POLL)
    assert len(house.permits) > 5 * PARTITIONS
    assert max(round(until - at, 6) for _, at, until in house.permits) == TERMS.length - house.store.delay


@virtually
async def test_a_lease_is_renewed_several_times_in_its_length() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        for _ in range(100):
            await run(1.0)
            assert min(house.board.values()) - now() >= TERMS.length - POLL - 1.0


@virtually
async def test_no_partition_is_used_before_it_was_read() -> None:
    house = House("a", MemoryStore())
    house.records.seconds = 3.0
    async with living(house):
        await run(STANDSTILL + 3 * POLL)
        assert set(house.told("taken")) == set(house.records.loaded)
        await run(PARTITIONS * 3.0)
        assert house.holding == ALL
        assert house.records.most_loading == 4


@virtually
async def test_reading_is_tried_again_for_as_long_as_it_takes() -> None:
    house = House("a", MemoryStore())
    house.store.will("load", *[Fault.UNDONE] * 40)
    async with living(house):
        await run(STANDSTILL + 3 * POLL)
        assert house.holding != ALL
        await run(100.0)
        assert house.holding == ALL
    assert house.errors == []


@virtually
async def test_a_machine_that_joins_gets_its_share_within_three_polls_and_cleanly() -> None:
    first = House("a", MemoryStore())
    second = House("b", first.memory.beside())
    async with living(first):
        await settled(first)
        async with living(second):
            await run(3 * POLL + first.call_seconds)
            assert sorted(first.holding | second.holding) == sorted(ALL)
            assert min(spread(first, second)) >= PARTITIONS * 0.4
            assert {one.quarantine for one in second.takings} <= {one.quarantine for one in first.takings}
    assert overlaps(first, second) == []
    assert sorted(first.told("finish")) == sorted(first.told("released")) != []


@virtually
async def test_a_machine_that_leaves_gives_everything_back_and_others_have_it_within_a_poll() -> None:
    first = House("a", MemoryStore())
    second = House("b", first.memory.beside())
    async with living(first):
        await settled(first)
        async with living(second):
            await run(5 * POLL)
            began = now()
            await first.leave()
            assert now() - began <= first.call_seconds + 1.0
            assert first.holding == set()
            assert first.told("lost") == []
            await run(POLL + 1.0)
            assert second.holding == ALL
    assert overlaps(first, second) == []


@virtually
async def test_the_last_one_to_leave_leaves_everything_free() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        await house.leave()
        assert all([(await house.lease(partition)).free for partition in ALL])
        assert house.member.seen().ours == {}


@virtually
async def test_whoever_leaves_without_having_anything_goes_at_once() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await run(POLL)
        began = now()
        await house.leave()
        assert now() - began < 1.0


@virtually
async def test_leaving_a_store_that_does_not_answer_takes_no_longer_than_leases_last() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        house.store.is_cut = True
        began = now()
        await house.leave()
        assert TERMS.length - 2 * POLL <= now() - began <= TERMS.length + POLL
    assert house.errors == []


@virtually
async def test_nothing_is_written_free_before_its_calls_are_over() -> None:
    house = House("a", MemoryStore())
    house.on_finish = lambda _partition: None
    async with living(house):
        await settled(house)
        leaving = asyncio.create_task(house.leave())
        await run(5 * TERMS.length)
        assert not any([(await house.lease(partition)).free for partition in ALL])
        assert house.board == {}
        assert {holding.stage for holding in house.member.seen().ours.values()} == {Stage.FINISHING}
        for partition in ALL:
            house.done_with(partition)
        await leaving
        assert all([(await house.lease(partition)).free for partition in ALL])


@virtually
async def test_a_machine_that_cannot_work_gives_everything_back_and_takes_nothing() -> None:
    first = House("a", MemoryStore())
    second = House("b", first.memory.beside())
    async with living(first, second):
        await run(STANDSTILL + 5 * POLL)
        first.member.able = False
        await run(2 * POLL + first.call_seconds)
        assert (first.holding, second.holding) == (set(), ALL)
        await run(3 * STANDSTILL)
        assert (first.holding, second.holding) == (set(), ALL)
        first.member.able = True
        await run(3 * POLL + first.call_seconds)
        assert min(spread(first, second)) >= PARTITIONS * 0.4
        assert first.told("lost") + second.told("lost") == []
    assert overlaps(first, second) == []


@virtually
async def test_a_machine_that_cannot_work_leaves_what_is_free_alone() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        house.member.able = False
        await run(2 * STANDSTILL)
        assert len(house.told("taken")) == PARTITIONS
        assert all([(await house.lease(partition)).free for partition in ALL])
        house.member.able = True
        await run(2 * POLL)
        assert house.holding == ALL


@virtually
async def test_a_lease_whose_user_is_silent_runs_out_and_then_is_somebody_elses() -> None:
    first = House("a", MemoryStore())
    second = House("b", first.memory.beside())
    async with living(first, second):
        await run(STANDSTILL + 5 * POLL)
        had, first.alive = set(first.holding), False
        began = now()
        await run(TERMS.length - POLL - 1.0)
        assert first.holding == had
        await run(2 * POLL)
        assert first.holding == set()
        assert sorted(first.told("lost")) == sorted(had)
        await run(3 * POLL)
        assert [taking for taking in second.takings if taking.partition in had] == []
        await run(4 * POLL)
        first.alive = True
    assert now() - began > STANDSTILL
    assert overlaps(first, second) == []


@virtually
async def test_a_machine_that_vanishes_loses_its_partitions_after_a_lease_and_tokens_rest_for_an_interval() -> None:
    first = House("a", MemoryStore())
    second = House("b", first.memory.beside())
    async with living(second):
        async with living(first):
            await run(STANDSTILL + 5 * POLL)
            had = set(first.holding)
            assert had
        vanished = now()
        await run(STANDSTILL - POLL)
        assert second.holding & had == set()
        await run(3 * POLL)
        assert second.holding == ALL
        late = [taking for taking in second.takings if taking.partition in had]
        assert len(late) == len(had)
        assert all(taking.epoch >= 2 for taking in late)
        assert all(
            taking.quarantine is not None and taking.quarantine >= 1e9 + vanished + STANDSTILL - POLL + INTERVAL
            for taking in late
        )
    assert overlaps(first, second) == []


@virtually
async def test_what_is_given_up_is_not_renewed_and_nobody_is_told() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        before = await house.lease(3)
        house.holding.discard(3)
        house.member.give_up(3)
        await run(STANDSTILL - POLL)
        assert 3 not in house.board
        assert await house.lease(3) == before
        await run(4 * POLL)
        assert 3 in house.board
        assert (await house.lease(3)).epoch == before.epoch + 1
        assert house.told("lost") == []


@pytest.mark.parametrize("fault", [Fault.UNDONE, Fault.UNTOLD, Fault.HANGS])
@virtually
async def test_answers_that_are_lost_now_and_then_lose_no_lease(fault: Fault) -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        for _ in range(10):
            house.store.will("cas", *[fault] * 10)
            house.store.will("keys", Fault.NONE, fault)
            await run(3 * POLL)
        assert house.holding == ALL
        assert min(house.board.values()) - now() > TERMS.hold
        assert (house.told("lost"), house.errors) == ([], [])


@virtually
async def test_a_claim_whose_answer_is_lost_is_found_by_reading() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await run(STANDSTILL - POLL)
        while not await house.memory.keys():  # the terms and the first sign of life are written
            await run(0.1)
        house.store.will("cas", *[Fault.UNTOLD] * 100)
        await run(8 * POLL)
        assert house.holding == ALL


@virtually
async def test_a_store_that_is_away_for_a_while_costs_nothing() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        house.store.is_cut = True
        await run(3 * POLL)
        assert not house.member.seen().is_current
        house.store.is_cut = False
        await run(2 * POLL)
        assert house.member.seen().is_current
        assert min(house.board.values()) - now() > TERMS.length - 2 * POLL
        assert (house.told("lost"), house.errors) == ([], [])


@virtually
async def test_a_store_that_is_away_for_a_lease_takes_everything_and_later_gives_it_again() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        house.store.is_cut = True
        await run(TERMS.length + POLL)
        assert (house.holding, house.board) == (set(), {})
        house.store.is_cut = False
        await run(STANDSTILL + 4 * POLL)
        assert house.holding == ALL
    assert house.errors == []


@virtually
async def test_a_lease_that_somebody_else_wrote_is_revoked_at_once_and_lost() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        held = (await house.memory.keys())[lease_key(3)]
        await house.memory.cas(lease_key(3), held.revision, Lease("z", "z-1", 0, 9).encode())
        await run(2 * POLL)
        assert 3 not in house.board
        assert house.told("lost") == [3]
        assert house.holding == ALL - {3}


@virtually
async def test_a_clock_that_stood_still_loses_everything() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        house.wall_offset += TERMS.margin
        await run(POLL)
        assert (house.holding, house.board) == (set(), {})
        assert sorted(house.told("lost")) == sorted(ALL)
        await run(STANDSTILL + 4 * POLL)
        assert house.holding == ALL


@pytest.mark.parametrize("error", [OSError("disk"), TimeoutError("not ours"), StateError("closed")])
@virtually
async def test_whatever_else_the_store_raises_ends_the_member_loudly(error: Exception) -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        house.store.error = error
        await run(POLL)
        assert house.errors == [house.store.error]
        assert (house.holding, house.board) == (set(), {})


@virtually
async def test_whatever_else_keeps_a_partition_from_being_read_ends_the_member_too() -> None:
    house, error = House("a", MemoryStore()), ValueError("that is no entry of the stream")

    async def broken(_partition: int) -> list[object]:
        raise error

    house.records.load = broken  # type: ignore[method-assign, assignment]
    async with living(house):
        await run(STANDSTILL + 3 * POLL)
        assert house.errors == [error]


@virtually
async def test_what_the_owner_raises_ends_the_member_and_leaves_no_permit() -> None:
    house = Faulty("a", MemoryStore())
    async with living(house):
        await settled(house)
        house.fault = RuntimeError("a fault of the owner's own")
        await run(POLL)
        assert house.errors == [house.fault]
        assert house.board == {}
        house.fault = None


@virtually
async def test_terms_that_are_wrong_in_themselves_are_refused_before_anything_is_asked() -> None:
    house = House("a", MemoryStore(), terms=LeaseTerms(length=1_000.0, margin=2.0, renewal=400.0, hold=70.0))
    with pytest.raises(ConfigurationError) as raised:
        async with living(house):
            pass
    assert len(raised.value.mistakes) == 2
    assert house.store.asked == []


@virtually
async def test_other_terms_than_the_clusters_are_refused_with_everything_that_differs() -> None:
    first = House("a", MemoryStore())
    other = LeaseTerms(length=150.0, margin=3.0, renewal=12.0, hold=70.0)
    second = House("b", first.memory.beside(), terms=other, partitions=32)
    async with living(first, second):
        await run(POLL)
        (error,) = second.errors
        assert isinstance(error, ConfigurationError)
        assert len(error.mistakes) == 4
        assert first.errors == []
        assert (await first.memory.keys())[TERMS_KEY].value == ClusterTerms.of(TERMS, PARTITIONS).encode()


@virtually
async def test_a_store_that_holds_something_else_is_refused() -> None:
    house = House("a", MemoryStore())
    await house.memory.cas(TERMS_KEY, 0, b"[]")
    async with living(house):
        await run(POLL)
    assert [type(error) for error in house.errors] == [ConfigurationError]


@virtually
async def test_terms_that_the_store_lost_are_written_again() -> None:
    house = House("a", MemoryStore())
    async with living(house):
        await settled(house)
        house.memory._shared.keys.clear()
        await run(4 * POLL)
        assert TERMS_KEY in await house.memory.keys()
        assert (house.holding, house.board) == (set(), {})
        await run(STANDSTILL + 4 * POLL)
        assert house.holding == ALL
    assert house.errors == []


@virtually
async def test_of_two_machines_of_one_name_the_later_one_stays() -> None:
    first = House("a", MemoryStore(), session="one")
    second = House("a", first.memory.beside(), session="two")
    async with living(first):
        await settled(first)
        async with living(second):
            await run(3 * POLL)
            assert [type(error) for error in first.errors] == [ConfigurationError]
            assert first.board == {}
            await run(STANDSTILL + 4 * POLL)
            assert second.holding == ALL
            assert second.errors == []
    assert overlaps(first, second) == []


@virtually
async def test_everybody_sees_who_is_there_and_what_they_have() -> None:
    first = House("a", MemoryStore())
    second = House("b", first.memory.beside())
    async with living(first, second):
        await run(STANDSTILL + 8 * POLL)
        seen = first.member.seen()
        assert [(one.id, one.name, one.able) for one in seen.workers] == [("a", "A", True), ("b", "B", True)]
        assert sum(one.partitions for one in seen.workers) == PARTITIONS
        assert all({"calls", "partitions"} <= one.facts.keys() for one in seen.workers)
        assert {partition for partition, lease in seen.leases.items() if lease.owner == "a"} == first.holding
        assert set(seen.ours) == first.holding
        assert all(0 < (one.seconds_left or inf) <= TERMS.length for one in seen.ours.values())


@virtually
async def test_leaving_the_block_stops_everything_at_once() -> None:
    house = House("a", MemoryStore())
    house.records.seconds = 50.0
    async with living(house):
        await run(STANDSTILL + 2 * POLL + 60.0)
        assert house.records.loading
    assert house.board == {}
    assert house.holding == set()
    await run(2 * house.call_seconds)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("seed", range(12))
@virtually
async def test_whatever_happens_no_two_machines_call_in_one_partition_at_one_time(seed: int) -> None:
    chance = Random(seed)
    terms = LeaseTerms(length=60.0, margin=2.0, renewal=5.0, hold=30.0)
    memory = MemoryStore()
    houses = [
        House(f"h{n}", memory.beside(), Random(n), terms, call_seconds=terms.hold, partitions=8) for n in range(4)
    ]
    for house in houses:
        house.store._chance, house.store.share = chance, 0.05  # type: ignore[misc]
    async with living(*houses):
        await run(2 * terms.standstill)
        for _ in range(60):
            await mishap(chance, houses)
            await run(chance.expovariate(1 / 20.0))
        for house in houses:
            house.alive, house.store.is_cut, house.member.able = True, False, True
            house.store.share, house.store.delay = 0.0, 0.01
        await run(terms.standstill + 8 * terms.renewal + terms.hold)
        assert sum(len(house.holding) for house in houses) == 8
        assert [error for house in houses for error in house.errors] == []
    assert overlaps(*houses) == []
    assert sum(len(house.uses) for house in houses) > 100


@virtually
async def test_machines_that_do_not_look_at_the_board_do_meet() -> None:
    first = Heedless("a", MemoryStore())
    second = House("b", first.memory.beside())
    async with living(first, second):
        await run(STANDSTILL + 8 * POLL)
        first.store.is_cut = True
        await run(2 * STANDSTILL)
    assert overlaps(first, second) != []


async def mishap(chance: Random, houses: list[House]) -> None:
    house = chance.choice(houses)
    match chance.randrange(5):
        case 0:
            house.alive = not house.alive
        case 1:
            house.store.is_cut = not house.store.is_cut
        case 2:
            house.member.able = not house.member.able
        case 3:
            house.store.delay = chance.choice([0.0, 0.01, 1.0, 3.0])
        case _:
            house.wall_offset += chance.choice([0.0, 0.5, 5.0])
