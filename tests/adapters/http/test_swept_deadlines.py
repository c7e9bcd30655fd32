"""Many deadlines and one timer: each rings when it is due, and none that was met. Time is virtual."""

from __future__ import annotations

import asyncio
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.adapters.http.deadlines import Deadline, Deadlines, TimeLimit

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


class Bell:
    """Notes when it rang."""

    def __init__(self, deadlines: Deadlines) -> None:
        self.rang: list[float] = []
        self.deadline = Deadline(deadlines, lambda: self.rang.append(now()))


async def test_each_rings_when_it_is_due_in_whatever_order_they_were_set() -> None:
    deadlines, start = Deadlines(), now()
    bells = {due: Bell(deadlines) for due in (3.0, 1.0, 2.0, 65.0)}
    for due, bell in bells.items():
        bell.deadline.set(start + due)
    await asyncio.sleep(100)
    assert [bell.rang for bell in bells.values()] == [[pytest.approx(start + due)] for due in bells]


async def test_what_was_met_does_not_ring_and_may_be_set_again() -> None:
    deadlines, start = Deadlines(), now()
    met = Bell(deadlines)
    met.deadline.set(start + 5)
    met.deadline.clear()
    await asyncio.sleep(10)
    assert met.rang == []
    met.deadline.set(start + 12)
    await asyncio.sleep(10)
    assert met.rang == [pytest.approx(start + 12)]


async def test_one_that_moves_on_rings_once_when_it_is_due_at_last() -> None:
    deadlines, start = Deadlines(), now()
    bell = Bell(deadlines)
    for second in range(20):
        bell.deadline.set(start + second + 5)
        await asyncio.sleep(1)
    assert (bell.rang, deadlines.entries) == ([], 1)
    await asyncio.sleep(10)
    assert bell.rang == [pytest.approx(start + 24)]


async def test_one_may_be_set_to_an_earlier_time() -> None:
    deadlines, start = Deadlines(), now()
    bell = Bell(deadlines)
    bell.deadline.set(start + 60)
    bell.deadline.set(start + 4)
    await asyncio.sleep(100)
    assert bell.rang == [pytest.approx(start + 4)]


async def test_a_deadline_may_be_set_while_another_rings() -> None:
    deadlines, start = Deadlines(), now()
    second = Bell(deadlines)
    first = Deadline(deadlines, lambda: second.deadline.set(start + 3))
    first.set(start + 2)
    await asyncio.sleep(10)
    assert second.rang == [pytest.approx(start + 3)]


async def test_what_was_dropped_does_not_stay_in_memory() -> None:
    deadlines, start = Deadlines(), now()
    kept = Bell(deadlines)
    kept.deadline.set(start + 3)
    for number in range(10_000):
        gone = Bell(deadlines).deadline
        gone.set(start + 65 + number)
        gone.drop()
        assert deadlines.entries < 100
    await asyncio.sleep(5)
    assert kept.rang == [pytest.approx(start + 3)]
    assert deadlines.count == 1


async def test_when_nothing_is_due_any_more_there_is_no_timer() -> None:
    deadlines = Deadlines()
    bell = Bell(deadlines)
    bell.deadline.set(now() + 5)
    deadlines.rest()
    await asyncio.sleep(10)
    assert (bell.rang, deadlines.entries, deadlines._timer) == ([], 0, None)


@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.one_of(st.just(inf), st.integers(1, 20).map(float))), max_size=30)
)
async def test_however_they_are_set_each_rings_exactly_when_it_should(steps: list[tuple[int, float]]) -> None:
    deadlines = Deadlines()
    bells, due = [Bell(deadlines) for _ in range(4)], [inf] * 4
    expected: list[list[object]] = [[] for _ in bells]
    for which, after in steps:
        due[which] = now() + after
        bells[which].deadline.set(due[which])
        before = now()
        await asyncio.sleep(1.5)
        for number, at in enumerate(due):
            if before < at <= now():
                expected[number].append(pytest.approx(at))
                due[number] = inf
    assert [bell.rang for bell in bells] == expected
    deadlines.rest()


async def test_a_block_that_takes_too_long_is_left() -> None:
    deadlines, start = Deadlines(), now()
    with TimeLimit(deadlines, start + 3) as limit:
        await asyncio.sleep(10)
    assert limit.expired
    assert now() == pytest.approx(start + 3)
    await asyncio.sleep(0)  # its task is not cancelled any more


async def test_a_block_that_ends_in_time_is_not_disturbed_later() -> None:
    deadlines = Deadlines()
    with TimeLimit(deadlines, now() + 3) as limit:
        await asyncio.sleep(1)
    await asyncio.sleep(10)
    assert not limit.expired


async def test_a_cancellation_from_outside_is_passed_on() -> None:
    deadlines = Deadlines()

    async def block() -> None:
        with TimeLimit(deadlines, now() + 3):
            await asyncio.sleep(10)

    task = asyncio.create_task(block())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_from_outside_counts_though_time_is_up_as_well() -> None:
    deadlines = Deadlines()

    async def block() -> None:
        with TimeLimit(deadlines, now() + 3):
            await asyncio.sleep(10)

    task = asyncio.create_task(block())
    asyncio.get_running_loop().call_later(3, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_block_is_its_own() -> None:
    with pytest.raises(OSError, match="made up"), TimeLimit(Deadlines(), now() + 3):
        raise OSError("made up")
