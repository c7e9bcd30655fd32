"""What the scheduler does with calls of slots: those that are over, and closing readings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wolkvox_async.model import Call, ErrorKind, Failed, GapReason, Slot
from wolkvox_async.scheduling.decisions import Ended, Settled
from wolkvox_async.scheduling.queues import Budget, Lane

from .desk import Desk
from .samples import call, failed

CLOSING = Slot(0, 1000, closing=True, closed=2000)


def closing_call(name: str) -> Call:
    return replace(call(name), slot=CLOSING)


def watching() -> Lane:
    return Lane(Budget(100), holds=False)


def test_a_call_that_no_slot_in_flight_was_free_for_is_infeasible() -> None:
    desk = Desk(max_in_flight=1)
    desk.add("A0", "B0")
    desk.start()
    assert desk.give_up("B0") is GapReason.INFEASIBLE


def test_what_was_taken_back_is_gone() -> None:
    desk = Desk(max_in_flight=1)
    desk.add("A0", "B0")
    desk.start()
    desk.give_up("B0")
    desk.end("A0")
    assert desk.start() == []
    assert desk.give_up("B0") is None


def test_a_call_behind_another_of_its_token_waited_for_that() -> None:
    desk = Desk()
    desk.add("A0", "A1", "A2")
    desk.start()
    assert desk.give_up("A1") is GapReason.OVERRUN
    assert desk.run() == ["A0", "A2"]


def test_a_call_whose_token_waits_after_the_vendor_said_busy_waited_for_that() -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    desk.end("A0", failed(ErrorKind.TOKEN_BUSY))
    assert desk.give_up("A1") is GapReason.BUSY


def test_a_call_whose_token_another_process_has_waited_for_that() -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    desk.postpone("A0", 5.0, busy=True)
    assert desk.give_up("A0") is GapReason.BUSY


def test_a_call_of_a_server_that_is_down_waited_for_that() -> None:
    desk = Desk()
    desk.add("A0", "B0", "C0", "D0")
    desk.start()
    for name in ("A0", "B0", "C0"):
        desk.end(name, failed(ErrorKind.CONNECT))
    desk.add("E0")
    desk.start()
    assert desk.give_up("E0") is GapReason.DOWN


def test_a_call_for_which_the_reader_left_no_room_waited_for_that() -> None:
    desk = Desk()
    tight = Lane(Budget(1))
    desk.add("A0", "B0", lane=tight)
    desk.start()
    desk.end("A0", deliver=False)
    desk.start()
    assert desk.give_up("B0", tight) is GapReason.SINK


def test_a_call_in_flight_goes_on_but_is_not_tried_again() -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    assert desk.give_up("A0") is None
    answer = desk.end("A0", failed(ErrorKind.SERVER_ERROR))
    assert isinstance(answer, Settled)
    assert answer.ended.attempts == 1


def test_the_call_behind_one_whose_slot_is_over_is_tried_again_as_ever() -> None:
    desk = Desk(after_failure="continue")
    desk.add("A0", "A1")
    desk.start()
    desk.give_up("A0")
    desk.end("A0", failed(ErrorKind.SERVER_ERROR))
    assert desk.flying == ["A1"]
    assert not isinstance(desk.end("A1", failed(ErrorKind.SERVER_ERROR)), Settled)


def test_a_call_that_was_tried_is_taken_back_with_its_last_failure() -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    desk.end("A0", failed(ErrorKind.SERVER_ERROR), jitter=0.9)
    ended = desk.give_up("A0")
    assert isinstance(ended, Ended)
    assert (ended.attempts, ended.outcome) == (1, failed(ErrorKind.SERVER_ERROR))


def test_what_is_watched_is_not_held_by_what_failed() -> None:
    desk = Desk(after_failure="hold")
    lane = watching()
    desk.add("A0", "A1", lane=lane)
    desk.start()
    skipped: list[tuple[Ended, ...]] = []
    for _ in range(4):
        desk.now += 100
        desk.start()
        answer = desk.end("A0", failed(ErrorKind.TIMEOUT))
        skipped += [answer.skipped] if isinstance(answer, Settled) else []
    assert skipped == [()]
    assert desk.flying == ["A1"]


# --- closing readings ---------------------------------------------------------------------


def add_closing(desk: Desk, name: str, lane: Lane) -> Ended | None:
    return desk.scheduler.add(closing_call(name), lane, now=desk.now)


def test_a_closing_reading_goes_before_everything_else_of_its_token() -> None:
    desk = Desk(max_in_flight=1)
    lane = watching()
    desk.add("B0", "A0", "A1", lane=lane)
    desk.start()
    add_closing(desk, "A9", lane)
    assert desk.run() == ["B0", "A9", "A0", "A1"]


def test_a_closing_reading_goes_next_when_its_token_is_in_flight() -> None:
    desk = Desk()
    lane = watching()
    desk.add("A0", "A1", lane=lane)
    desk.start()
    add_closing(desk, "A9", lane)
    assert desk.run() == ["A0", "A9", "A1"]


def quota() -> Failed:
    return failed(ErrorKind.QUOTA)


def test_every_closing_reading_tries_once_when_the_quota_is_used_up() -> None:
    desk = Desk()
    lane = watching()
    desk.add("A0", lane=lane)
    desk.start()
    desk.end("A0", quota(), open_at=10_000)
    assert [add_closing(desk, name, lane) for name in ("A7", "A8")] == [None, None]
    (first,) = desk.start()
    desk.add("A1", lane=lane)
    desk.end(first, quota(), open_at=10_000)
    (second,) = desk.flying
    assert {first, second} == {"A7", "A8"}
    answer = desk.end(second, quota(), open_at=10_000)
    assert isinstance(answer, Settled)
    assert desk.start() == []


def test_a_quota_that_was_learned_elsewhere_does_not_end_a_closing_reading_that_waits() -> None:
    desk = Desk(max_in_flight=1)
    lane = watching()
    desk.add("B0", "A0", lane=lane)
    desk.start()
    add_closing(desk, "A9", lane)
    ended = desk.scheduler.close(call("A0").operation.token, quota(), now=0.0, until=10_000.0)
    assert [end.call.id for end in ended] == ["A0"]
    assert desk.run() == ["B0", "A9"]


@pytest.mark.parametrize("kind", [ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN])
def test_a_refused_token_is_not_used_for_a_closing_reading(kind: ErrorKind) -> None:
    desk = Desk()
    lane = watching()
    desk.add("A0", lane=lane)
    desk.start()
    desk.end("A0", failed(kind), open_at=10_000)
    refused = add_closing(desk, "A9", lane)
    assert refused is not None
    assert desk.start() == []
