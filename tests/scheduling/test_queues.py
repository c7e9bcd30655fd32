"""The parts: a token's calls in order, queues by due time, what is in use of a budget."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.model import ErrorKind
from wolkvox_async.scheduling.queues import Budget, Entry, Lane, Line, Past, SerialQueue, State

from .samples import call, failed, lane

dues = st.sampled_from([0.0, 1.0, 2.0, 3.0])


def queue_of(*names: str, lanes: tuple[Lane, ...] = ()) -> SerialQueue:
    (first, room), *others = zip(names, lanes or [lane()] * len(names), strict=True)
    queue = SerialQueue(call(first), room, added=0.0)
    for name, room in others:
        queue.append((call(name), room, 0.0, None))
    return queue


def standing(due: float, stamp: int) -> SerialQueue:
    queue = queue_of("A0")
    queue.due, queue.stamp = due, stamp
    return queue


def names(entries: list[Entry]) -> list[str]:
    return [call.id for call, *_ in entries]


def popped(line: Line) -> list[SerialQueue]:
    queues = []
    while (queue := line.pop()) is not None:
        queues.append(queue)
    return queues


def placed(queue: SerialQueue) -> tuple[float, int]:
    return queue.due, queue.stamp


# --- a token's calls ----------------------------------------------------------------


def test_a_call_may_be_sent_when_it_is_ready_and_its_token_is_open() -> None:
    past = Past(open_at=5.0)
    assert past.due == 5.0
    past.ready_at = 7.0
    assert past.due == 7.0


def test_calls_come_in_the_order_in_which_they_were_added_each_with_its_lane() -> None:
    mine, other = lane(), lane()
    queue = queue_of("A0", "A1", "A2", lanes=(mine, other, mine))
    came = [(queue.call.id, queue.lane)]
    while queue.advance(now=0.0):
        came.append((queue.call.id, queue.lane))
    assert came == [("A0", mine), ("A1", other), ("A2", mine)]


def test_however_many_calls_there_are_they_come_in_order_and_can_be_taken_out() -> None:
    mine, other = lane(), lane()
    calls = [f"A{number}" for number in range(1_000)]
    queue = queue_of(*calls, lanes=(mine, other) * 500)
    for _ in range(10):
        assert queue.advance(now=0.0)
    assert names(queue.take_rest(other)) == calls[11::2]
    assert names(queue.entries()) == calls[10::2]
    while queue.advance(now=0.0):
        assert queue.lane is mine
    assert queue.call.id == "A998"


def test_what_was_tried_is_the_past_of_one_call_alone() -> None:
    queue = queue_of("A0", "A1")
    queue.history().attempts = 3
    assert queue.advance(now=0.0)
    assert queue.past is None


@pytest.mark.parametrize("own", [None, Past(attempts=2)])
def test_a_token_stays_closed_when_its_call_is_over(own: Past | None) -> None:
    queue, refusal = queue_of("A0"), failed(ErrorKind.QUOTA)
    queue.append((call("A1"), lane(), 0.0, own))
    queue.history().close(5.0, refusal)
    assert queue.advance(now=4.0)
    assert (queue.history().open_at, queue.history().closed_by) == (5.0, refusal)
    assert queue.history().attempts == (own.attempts if own else 0)


def test_a_token_that_is_open_again_has_no_past() -> None:
    queue = queue_of("A0", "A1")
    queue.history().close(5.0, failed(ErrorKind.QUOTA))
    assert queue.advance(now=5.0)
    assert queue.past is None


def test_the_calls_of_one_lane_are_taken_out_in_order_but_not_the_first() -> None:
    mine, other = lane(), lane()
    queue = queue_of("A0", "A1", "A2", "A3", lanes=(mine, mine, other, mine))
    assert names(queue.take_rest(mine)) == ["A1", "A3"]
    assert names(queue.entries()) == ["A0", "A2"]


def test_the_calls_of_all_lanes_are_taken_out_but_not_the_first() -> None:
    queue = queue_of("A0", "A1", "A2", lanes=(lane(), lane(), lane()))
    assert names(queue.take_rest(None)) == ["A1", "A2"]
    assert names(queue.entries()) == ["A0"]
    assert queue.take_rest(None) == []


# --- queues by due time -------------------------------------------------------------


@given(due=st.lists(dues, max_size=200), random=st.randoms(use_true_random=False))
def test_queues_come_by_due_time_and_then_by_stamp(due: list[float], random: Random) -> None:
    queues = [standing(each, stamp) for stamp, each in enumerate(due, 1)]
    line = Line(State.READY)
    for queue in random.sample(queues, len(queues)):
        line.push(queue)
    assert line.count == len(queues)
    assert popped(line) == sorted(queues, key=placed)
    assert line.count == 0


def test_looking_at_the_first_queue_leaves_it_there() -> None:
    line, queue = Line(State.PARKED), standing(1.0, 1)
    line.push(queue)
    assert (line.first(), queue.state, line.pop()) == (queue, State.PARKED, queue)
    assert (line.first(), queue.state, line.pop()) == (None, State.IN_FLIGHT, None)


@given(due=st.lists(st.tuples(dues, st.booleans()), max_size=300))
def test_a_queue_that_left_is_passed_over(due: list[tuple[float, bool]]) -> None:
    line = Line(State.READY)
    queues = [standing(each, stamp) for stamp, (each, _) in enumerate(due, 1)]
    for queue in queues:
        line.push(queue)
    gone = [queue for queue, (_, leaves) in zip(queues, due, strict=True) if leaves]
    for queue in gone:
        line.leave(queue)
    staying = [queue for queue in queues if queue not in gone]
    assert line.count == len(staying)
    assert sorted(map(placed, line)) == sorted(map(placed, staying))
    assert popped(line) == sorted(staying, key=placed)


@given(steps=st.lists(dues | st.none(), max_size=100))
def test_whoever_comes_and_goes_the_first_is_always_the_one_with_the_earliest_place(steps: list[float | None]) -> None:
    line, there = Line(State.READY), list[SerialQueue]()
    for stamp, due in enumerate(steps):
        if due is None:
            there.sort(key=placed)
            assert line.pop() is (there.pop(0) if there else None)
        else:
            there.append(standing(due, stamp))
            line.push(there[-1])


def test_those_who_left_do_not_pile_up() -> None:
    line, staying = Line(State.READY), [standing(1.0, stamp) for stamp in range(10)]
    for queue in staying:
        line.push(queue)
    for stamp in range(10, 10_000):
        queue = standing(float(stamp % 3), stamp)
        line.push(queue)
        line.leave(queue)
    assert len(line._row) + len(line._heap) < 200
    assert popped(line) == staying


# --- budgets ------------------------------------------------------------------------


def test_a_budget_is_free_below_its_limit() -> None:
    budget = Budget(2)
    free = []
    for budget.used in (0, 1, 2, 3):
        free.append(budget.free)
    assert free == [True, True, False, False]
