"""Lanes that yield: their calls go behind those of others, in their token's queue and in every line."""

from __future__ import annotations

from collections import deque
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scheduling import samples
from tests.scheduling.desk import Desk
from wolkvox_async.model import ErrorKind
from wolkvox_async.scheduling.queues import Budget, Lane, SerialQueue
from wolkvox_async.scheduling.retry import RetryPolicy


def patient() -> Lane:
    return Lane(Budget(1_000_000), yields=True)


def work_through(desk: Desk) -> list[str]:
    """End everything that is in flight until nothing is left; return what was sent, in order."""
    desk.start()
    while desk.flying:
        desk.now += 1
        desk.end(desk.flying[0])
        desk.start()
    return desk.sent


def test_calls_of_others_go_before_those_that_yield_but_for_the_one_in_flight() -> None:
    desk, back = Desk(max_in_flight=1), patient()
    desk.add("A0", "A1", "A2", lane=back)
    desk.start()
    desk.add("A3", "A4")
    assert work_through(desk) == ["A0", "A3", "A4", "A1", "A2"]


def test_a_token_that_waits_with_calls_that_yield_is_overtaken_by_its_own_others() -> None:
    desk, back = Desk(max_in_flight=1), patient()
    desk.add("B0")
    desk.start()
    desk.add("A0", "A1", lane=back)
    desk.add("A2")
    assert work_through(desk) == ["B0", "A2", "A0", "A1"]


def test_tokens_whose_first_call_yields_stand_behind_all_others() -> None:
    desk, back = Desk(max_in_flight=1), patient()
    desk.add("A0")
    desk.start()
    desk.add("B0", lane=back)
    desk.now = 5.0
    desk.add("C0", "D0")
    assert work_through(desk) == ["A0", "C0", "D0", "B0"]


def test_at_a_full_server_too() -> None:
    desk, back = Desk(max_in_flight=10, per_server=1), patient()
    desk.add("A0")
    desk.add("B0", "C0", lane=back)
    assert desk.start() == ["A0"]
    desk.add("D0")
    assert desk.start() == []
    assert work_through(desk) == ["A0", "D0", "B0", "C0"]


def test_a_turn_that_yields_ends_when_others_wait_for_its_slot() -> None:
    desk, back = Desk(max_in_flight=1), patient()
    desk.add("A0", "A1", "A2", lane=back)
    assert desk.start() == ["A0"]
    desk.add("B0")
    desk.end("A0")
    assert desk.flying == []
    assert work_through(desk) == ["A0", "B0", "A1", "A2"]


def test_a_turn_that_yields_goes_on_when_only_others_that_yield_wait() -> None:
    desk, back = Desk(max_in_flight=1), patient()
    desk.add("A0", "A1", "B0", lane=back)
    desk.start()
    desk.end("A0")
    assert desk.flying == ["A1"]


def test_what_comes_first_goes_before_its_own_kind_and_behind_what_it_yields_to() -> None:
    desk, back = Desk(max_in_flight=1), patient()
    desk.add("A0", "A1", lane=back)
    desk.start()
    desk.add("A2")
    desk.scheduler.add(samples.call("A3"), back, now=0.0, first=True)
    desk.scheduler.add(samples.call("A4"), desk.lane, now=0.0, first=True)
    assert work_through(desk) == ["A0", "A4", "A2", "A3", "A1"]


def test_a_retry_that_yields_waits_for_nobody_longer_than_others_do() -> None:
    desk, back = Desk(max_in_flight=2, retry=RetryPolicy(backoff=8.0)), patient()
    desk.add("A0", lane=back)
    desk.start()
    desk.end("A0", samples.failed(ErrorKind.SERVER_ERROR), jitter=0.5)
    desk.add("A1")
    assert desk.start() == ["A1"]
    desk.end("A1")
    assert desk.start() == []
    desk.now = 10.0
    assert desk.start() == ["A0"]


def test_a_pass_is_fed_though_a_thousand_tokens_that_yield_are_ready() -> None:
    desk, back = Desk(max_in_flight=1), patient()
    desk.add("A0")
    desk.start()
    desk.add(*(f"{letter}{letter}0" for letter in "BCDEFGH"), lane=back)
    scheduler = desk.scheduler
    assert scheduler.has_use_for(desk.lane, 3)
    assert not scheduler.has_use_for(back, 3)
    desk.add("X0", "Y0", "Z0")
    assert not scheduler.has_use_for(desk.lane, 3)


@pytest.mark.parametrize("seed", range(20))
def test_however_they_come_every_call_is_sent_once_and_each_kind_in_its_order(seed: int) -> None:
    chance, desk, back = Random(seed), Desk(max_in_flight=2, per_server=2), patient()
    made: dict[bool, list[str]] = {True: [], False: []}
    for number in range(60):
        name, yields = f"{chance.choice('ABC')}{number}", chance.random() < 0.6
        desk.add(name, lane=back if yields else None)
        made[yields].append(name)
        if chance.random() < 0.3:
            desk.start()
        if desk.flying and chance.random() < 0.4:
            desk.now += 1
            desk.end(desk.flying[0])
    sent = work_through(desk)
    assert sorted(sent) == sorted([*made[True], *made[False]])
    for letter in "ABC":
        for kind in made.values():
            own = [name for name in kind if name[0] == letter]
            assert [name for name in sent if name in own] == own


@given(st.integers(0, 90), st.data())
def test_a_call_may_be_put_anywhere_among_the_others(size: int, data: st.DataObject) -> None:
    lane = samples.lane()
    queue = SerialQueue(samples.call("A0"), lane, 0.0)
    for number in range(1, size + 1):
        queue.append((samples.call(f"A{number}"), lane, 0.0, None))
    place = data.draw(st.integers(0, size))
    queue.insert((samples.call("AX0"), lane, 0.0, None), behind=place)
    names = [entry[0].id for entry in queue.entries()]
    assert names.pop(place + 1) == "AX0"
    assert names == [f"A{number}" for number in range(size + 1)]
    assert isinstance(queue.rest, deque) == (size > 64)
