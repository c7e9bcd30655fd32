"""The parts: a token's calls in order, queues by due time, what is in use of a budget."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.scheduling.queues import Budget, Entry, Lane, ReadyHeap, SerialQueue, State

from .samples import call, lane

dues = st.sampled_from([0.0, 1.0, 2.0, 3.0])


def queue_of(*entries: tuple[str, Lane], state: State = State.READY) -> SerialQueue:
    queue = SerialQueue()
    queue.entries = [Entry(call(name), its_lane, added=0.0, ready_at=0.0) for name, its_lane in entries]
    queue.state = state
    return queue


def standing(due: float, stamp: int) -> SerialQueue:
    queue = SerialQueue()
    queue.due, queue.stamp = due, stamp
    return queue


def names(entries: list[Entry]) -> list[str]:
    return [entry.call.id for entry in entries]


def popped(heap: ReadyHeap) -> list[SerialQueue]:
    queues = []
    while (queue := heap.pop()) is not None:
        queues.append(queue)
    return queues


# --- a token's calls ----------------------------------------------------------------


def test_a_call_may_be_sent_when_it_is_ready_and_its_token_is_open() -> None:
    queue = queue_of(("A0", lane()))
    queue.open_at = 5.0
    assert queue.head_due() == 5.0
    queue.head.ready_at = 7.0
    assert queue.head_due() == 7.0


@pytest.mark.parametrize(("state", "left"), [(State.READY, ["A2"]), (State.IN_FLIGHT, ["A0", "A2"])])
def test_the_calls_of_one_lane_are_taken_out_in_order_but_not_the_one_in_flight(state: State, left: list[str]) -> None:
    mine, other = lane(), lane()
    queue = queue_of(("A0", mine), ("A1", mine), ("A2", other), ("A3", mine), state=state)
    assert names(queue.take_out(mine)) == [name for name in ("A0", "A1", "A3") if name not in left]
    assert names(queue.entries) == left


@pytest.mark.parametrize(("state", "left"), [(State.PARKED, []), (State.IN_FLIGHT, ["A0"])])
def test_the_calls_of_all_lanes_are_taken_out_but_not_the_one_in_flight(state: State, left: list[str]) -> None:
    queue = queue_of(("A0", lane()), ("A1", lane()), state=state)
    assert names(queue.take_out(None)) == [name for name in ("A0", "A1") if name not in left]
    assert names(queue.entries) == left


def test_an_empty_queue_has_nothing_to_take_out() -> None:
    assert SerialQueue().take_out(None) == []


# --- queues by due time -------------------------------------------------------------


@given(due=st.lists(dues, max_size=200), random=st.randoms(use_true_random=False))
def test_queues_come_by_due_time_and_then_by_sequence(due: list[float], random: Random) -> None:
    queues = [standing(each, stamp) for stamp, each in enumerate(due, 1)]
    heap = ReadyHeap()
    for queue in random.sample(queues, len(queues)):
        heap.push(queue)
    assert popped(heap) == sorted(queues, key=lambda queue: (queue.due, queue.stamp))


def test_looking_at_the_first_queue_leaves_it_there() -> None:
    heap, queue = ReadyHeap(), standing(1.0, 1)
    heap.push(queue)
    assert (heap.peek(), heap.pop(), heap.peek(), heap.pop()) == (queue, queue, None, None)


@given(due=st.lists(st.tuples(dues, st.booleans()), max_size=200))
def test_a_queue_that_stands_elsewhere_by_now_is_skipped(due: list[tuple[float, bool]]) -> None:
    heap = ReadyHeap()
    queues = [standing(each, stamp) for stamp, (each, _) in enumerate(due, 1)]
    for queue in queues:
        heap.push(queue)
    gone = [queue for queue, (_, left) in zip(queues, due, strict=True) if left]
    for queue in gone:
        queue.stamp += 1_000
    staying = [queue for queue in queues if queue not in gone]
    assert sorted(map(id, heap)) == sorted(map(id, staying))
    assert popped(heap) == sorted(staying, key=lambda queue: (queue.due, queue.stamp))


def test_a_queue_that_comes_back_stands_once_where_it_belongs_now() -> None:
    heap, first, second = ReadyHeap(), standing(1.0, 1), standing(2.0, 2)
    heap.push(first)
    heap.push(second)
    first.due, first.stamp = 3.0, 3
    heap.push(first)
    assert popped(heap) == [second, first]


def test_stale_places_do_not_pile_up() -> None:
    heap, queues = ReadyHeap(), [standing(1.0, stamp) for stamp in range(1, 11)]
    for stamp in range(11, 10_000):
        queue = queues[stamp % 10]
        queue.stamp = stamp
        heap.push(queue)
    assert len(heap._heap) < 200
    assert sorted(map(id, popped(heap))) == sorted(map(id, queues))


def test_no_place_that_counts_is_lost_however_many_there_are() -> None:
    heap, queues = ReadyHeap(), [standing(float(stamp % 7), stamp) for stamp in range(1, 1_000)]
    for queue in queues:
        heap.push(queue)
    for stamp, queue in enumerate(queues[::3], 1_000):
        queue.stamp = stamp
        heap.push(queue)
    assert popped(heap) == sorted(queues, key=lambda queue: (queue.due, queue.stamp))


# --- budgets ------------------------------------------------------------------------


def test_a_budget_is_free_below_its_limit() -> None:
    budget = Budget(2)
    free = []
    for budget.used in (0, 1, 2, 3):
        free.append(budget.free)
    assert free == [True, True, False, False]
