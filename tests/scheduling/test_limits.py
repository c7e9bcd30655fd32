"""Limits that change while calls are in flight."""

from __future__ import annotations

import pytest

from wolkvox_async.scheduling.queues import State

from .desk import Desk


def test_with_more_slots_those_who_wait_start_in_order() -> None:
    desk = Desk(max_in_flight=1)
    desk.add("A0", "B0", "C0", "D0")
    assert desk.start() == ["A0"]
    desk.scheduler.resize(3)
    assert desk.start() == ["B0", "C0"]


def test_with_more_slots_of_a_server_those_who_are_parked_there_start_in_order() -> None:
    desk = Desk(per_server=1)
    desk.add("A0", "B0", "C0", "D0", server="0001")
    desk.add("E0", "F0", server="0002")
    assert desk.start() == ["A0", "E0"]
    desk.scheduler.resize_server("0001", 3)
    assert desk.start() == ["B0", "C0"]
    assert desk.scheduler.snapshot().tokens[State.PARKED] == 2


def test_with_less_slots_nothing_starts_until_enough_have_ended() -> None:
    desk = Desk(max_in_flight=3)
    desk.add("A0", "B0", "C0", "D0", "E0")
    desk.start()
    desk.scheduler.resize(2)
    desk.end("A0")
    assert desk.start() == []
    desk.end("B0")
    assert desk.start() == ["D0"]
    assert desk.flying == ["C0", "D0"]


def test_with_less_slots_of_a_server_nothing_starts_there_until_enough_have_ended() -> None:
    desk = Desk(per_server=3)
    desk.add("A0", "B0", "C0", "D0", "E0", server="0001")
    desk.add("F0", server="0002")
    assert desk.start() == ["A0", "B0", "C0", "F0"]
    desk.scheduler.resize_server("0001", 2)
    desk.end("A0")
    assert desk.start() == []
    desk.end("B0")
    assert desk.start() == ["D0"]


def test_a_turn_above_the_limit_ends_after_its_call_and_the_token_queues_last() -> None:
    desk = Desk(max_in_flight=2)
    desk.add("A0", "A1", "B0", "B1", "C0")
    desk.start()
    desk.scheduler.resize(1)
    assert desk.end("A0").following is None
    assert desk.end("B0").following is not None, "now there is only this one"
    desk.end("B1")
    assert desk.start() == ["C0"]
    desk.end("C0")
    assert desk.start() == ["A1"]


def test_a_turn_above_its_servers_limit_ends_after_its_call() -> None:
    desk = Desk(per_server=2)
    desk.add("A0", "A1", "B0", "B1", server="0001")
    desk.add("C0", "C1", server="0002")
    desk.start()
    desk.scheduler.resize_server("0001", 1)
    assert desk.end("A0").following is None
    assert desk.end("B0").following is not None
    assert desk.end("C0").following is not None, "another server has its own limit"


def test_a_server_may_be_given_a_limit_before_it_has_calls() -> None:
    desk = Desk(per_server=8)
    desk.scheduler.resize_server("0001", 1)
    desk.add("A0", "B0", server="0001")
    desk.add("C0", "D0", server="0002")
    assert desk.start() == ["A0", "C0", "D0"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit: int) -> None:
    desk = Desk()
    with pytest.raises(ValueError, match="at least 1"):
        desk.scheduler.resize(limit)
    with pytest.raises(ValueError, match="at least 1"):
        desk.scheduler.resize_server("0001", limit)
