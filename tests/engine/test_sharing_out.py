"""Engines that share tokens out: what is ours is watched or fetched, and moves without a slot lost or told twice."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random

import pytest

from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.lines import item_lines
from wolkvox_async.marks import read_slot_mark
from wolkvox_async.model import WITHHELD, Answer, Call
from wolkvox_async.records import WatchRecord
from wolkvox_async.settlements import Item

from .stage import GOOD, LoopWall, Stage, many

pytestmark = pytest.mark.looptime

FIVE = 300.0
HAND_OVER = 20.0  # seconds until nothing is in flight


class Heap:
    """A desk on which everything piles up."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.said: list[bytes] = []

    async def take(self, run: str, items: Sequence[Item]) -> None:  # noqa: ARG002 - the port's signature
        self.items += items

    async def say(self, run: str, line: bytes) -> None:  # noqa: ARG002 - the port's signature
        self.said.append(line)

    def ends(self) -> list[tuple[str, int]]:
        """Return operation and due time of every slot that ended."""
        marks = (read_slot_mark(item_lines("R", item).splitlines()[-1]) for item in self.items)
        return [(mark.tenant, mark.due) for mark in marks if mark is not None]


def ids(stage: Stage) -> list[str]:
    return [subscription.operation.token.id for subscription in stage.subscriptions]


def tenants(records: Iterable[WatchRecord]) -> set[str]:
    return {record["tenant"] for record in records if record["type"] != "run"}


async def test_only_what_is_held_is_fetched() -> None:
    there = Stage(many(3))
    ours = ids(there)[1]
    async with there.engine() as engine, engine.fetch(holds=lambda token: token == ours) as records:
        found = [record async for record in records]
    assert tenants(found) == {"t1"}
    assert there.sent == [there.subscriptions[1].operation.path]


async def test_a_watch_may_begin_with_nothing_and_takes_up_what_becomes_ours() -> None:
    there, held = Stage(many(2), interval=FIVE), set[str]()
    async with there.engine() as engine, engine.watch(holds=held.__contains__) as records:
        found = asyncio.create_task(_all_of(records))
        await asyncio.sleep(1000)
        assert there.sent == []
        held.add(ids(there)[0])
        await records.rehold()
        await asyncio.sleep(1000)
        engine.stop()
        assert tenants(await found) == {"t0"}


async def _all_of(records: object) -> list[WatchRecord]:
    return [record async for record in records]  # type: ignore[attr-defined]


async def test_items_are_handed_to_a_desk_before_they_are_settled() -> None:
    there, heap = Stage(many(3)), Heap()
    async with there.engine() as engine, engine.fetch() as records:
        summary = await records.hand_to(heap)
    assert (summary.counters.ok, len(heap.items), len(heap.said)) == (3, 3, 2)
    assert [b'"started"' in heap.said[0], b'"finished"' in heap.said[1]] == [True, True]


@pytest.mark.parametrize("seed", range(4))
async def test_what_moves_between_engines_leaves_no_slot_out_and_none_twice(seed: int) -> None:
    chance, clock = Random(seed), LoopWall()
    first = MemoryState(clock)

    async def slow(_call: Call, _number: int) -> Answer:
        await asyncio.sleep(chance.uniform(0.1, HAND_OVER / 2))
        return GOOD

    states = (first, first.beside())
    stages = [Stage(many(6), slow, clock, state=state, interval=FIVE, seed=n) for n, state in enumerate(states)]
    owners = {token: chance.randrange(2) for token in ids(stages[0])}
    held = [{token for token, owner in owners.items() if owner == n} for n in range(2)]
    heaps, start = [Heap(), Heap()], clock.utc()
    async with stages[0].engine() as one, stages[1].engine() as other:
        watches = [engine.watch(holds=mine.__contains__) for engine, mine in zip((one, other), held, strict=True)]
        async with watches[0] as left, watches[1] as right:
            reading = [asyncio.create_task(w.hand_to(h)) for w, h in zip((left, right), heaps, strict=True)]
            for _ in range(40):
                await asyncio.sleep(chance.uniform(1, 400))
                token = chance.choice(list(owners))
                before, after = (left, right) if owners[token] == 0 else (right, left)
                held[owners[token]].discard(token)
                await before.rehold()
                await asyncio.sleep(HAND_OVER)
                owners[token] = 1 - owners[token]
                held[owners[token]].add(token)
                await after.rehold()
            await asyncio.sleep(2 * FIVE)
            over = clock.utc()
            one.stop()
            other.stop()
            await asyncio.gather(*reading)
    ends = Counter(heaps[0].ends() + heaps[1].ends())
    assert set(ends.values()) == {1}
    for _, times in itertools.groupby(sorted(ends), key=lambda end: end[0]):
        due = [at for _, at in times]
        assert {later - at for at, later in itertools.pairwise(due)} == {300_000}
        assert len(due) >= (over - start) // timedelta(seconds=FIVE) - 1


@asynccontextmanager
async def given_away_in_flight(there: Stage, heap: Heap) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Watch, give everything away once the first request left, and stop behind the block, which may take it back."""
    held = set(ids(there))
    async with there.engine() as engine, engine.watch(holds=held.__contains__) as records:
        reading = asyncio.create_task(records.hand_to(heap))
        while not there.sent:
            await asyncio.sleep(1)
        held.clear()
        await records.rehold()

        async def take_back() -> None:
            held.update(ids(there))
            await records.rehold()

        yield take_back
        engine.stop()
        await reading


async def test_what_was_given_away_with_a_call_in_flight_is_told_by_whom_it_was_made() -> None:
    async def slow(_call: Call, _number: int) -> Answer:
        await asyncio.sleep(50)
        return GOOD

    there, heap = Stage(many(1), slow, interval=FIVE), Heap()
    async with given_away_in_flight(there, heap):
        await asyncio.sleep(1000)
    assert len(heap.ends()) == 1


@pytest.mark.parametrize("away", [0, 1, 700, 5000])
async def test_what_nobody_had_for_a_while_is_told_behind_the_call_that_was_in_flight(away: int) -> None:
    async def slow(_call: Call, _number: int) -> Answer:
        await asyncio.sleep(1000 if there.scripted.calls == [_call] else 5)
        return GOOD

    there, heap = Stage(many(1), slow, interval=FIVE), Heap()
    async with given_away_in_flight(there, heap) as take_back:
        await asyncio.sleep(away)
        await take_back()
        await asyncio.sleep(10_000)
    times = [at for _, at in heap.ends()]
    assert len(times) > (away + 10_000) // FIVE - 2
    assert {later - at for at, later in itertools.pairwise(times)} == {300_000}


async def test_what_was_withheld_is_no_attempt_and_is_asked_for_again() -> None:
    there = Stage(many(1), lambda _call, number: WITHHELD if number < 4 else GOOD)
    async with there.engine() as engine, engine.fetch() as records:
        found = [record async for record in records]
    (call,) = [record for record in found if record["type"] == "call"]
    assert (call["outcome"], call["attempts"]) == ("ok", 1)
    assert len(there.sent) == 4


async def test_a_slot_whose_call_was_always_withheld_becomes_a_gap() -> None:
    there = Stage(many(1), lambda _call, _number: WITHHELD, interval=FIVE)
    async with there.engine() as engine, engine.watch() as records:
        asyncio.get_running_loop().call_later(1000, engine.stop)
        found = [record async for record in records]
    assert {record["reason"] for record in found if record["type"] == "gap"} == {"busy", "stopped"}
    assert [record for record in found if record["type"] == "call"] == []
