"""Attempts that are not made after all, calls that are not due, and tokens that are closed from elsewhere."""

from __future__ import annotations

import pytest

from wolkvox_async.model import ErrorKind, Failed, Skipped
from wolkvox_async.scheduling.retry import RetryPolicy
from wolkvox_async.scheduling.skipping import CLOSING

from .desk import Desk
from .samples import NOT_DUE, OK, call, failed, lane

TIMEOUT = failed(ErrorKind.TIMEOUT)


# --- put off --------------------------------------------------------------------------


def test_a_call_that_is_put_off_keeps_its_place_and_counts_nothing() -> None:
    desk, narrow = Desk(max_in_flight=1), lane(1)
    desk.add("A0", "A1", "B0", lane=narrow)
    desk.start()
    assert desk.postpone("A0", until=10) is None
    assert desk.start() == ["B0"]
    desk.end("B0")
    assert desk.start() == []
    assert desk.scheduler.next_ready_at() == 10
    assert desk.wait() == ["A0"]
    assert desk.number("A0") == 1


def test_the_whole_token_waits_though_the_call_is_withdrawn() -> None:
    desk, own = Desk(), lane(1)
    desk.add("A0", lane=own)
    desk.add("A1")
    desk.start()
    desk.postpone("A0", until=10)
    assert desk.scheduler.withdraw(call("A0"), own, now=0)
    assert desk.start() == []
    assert desk.wait() == ["A1"]
    assert desk.now == 10


def test_a_call_that_follows_in_a_turn_can_be_put_off_too() -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    desk.end("A0")
    assert desk.postpone("A1", until=5) is None
    assert desk.wait() == ["A1"]


def test_while_another_process_has_the_token_a_call_waits_as_long_as_patience_lasts() -> None:
    desk = Desk(retry=RetryPolicy(patience=10))
    desk.add("A0", "A1")
    desk.add("A2", lane=lane())
    desk.start()
    for now, next_at in ((0, 4), (4, 8), (8, 10)):
        desk.now = now
        assert desk.postpone("A0", until=now + 4, busy=True) is None
        assert desk.scheduler.next_ready_at() == next_at
        assert desk.wait() == ["A0"]
    answer = desk.postpone("A0", until=14, busy=True)
    assert answer is not None
    assert isinstance(answer.ended.outcome, Failed)
    assert answer.ended.outcome.error.kind is ErrorKind.TOKEN_BUSY
    assert "another process of this machine" in answer.ended.outcome.error.message
    assert answer.ended.attempts == 0
    assert [end.call.id for end in answer.skipped] == ["A1"]
    assert answer.following is None
    assert desk.wait() == ["A2"]
    assert desk.now == 14


def test_without_patience_a_call_whose_token_is_in_use_ends_and_the_turn_goes_on() -> None:
    desk = Desk(retry=RetryPolicy(patience=0), after_failure="continue")
    desk.add("A0", "A1")
    desk.start()
    answer = desk.postpone("A0", until=60, busy=True)
    assert answer is not None
    assert desk.flying == ["A1"]


def test_an_attempt_in_between_begins_the_patience_anew() -> None:
    desk = Desk(retry=RetryPolicy(patience=10))
    desk.add("A0")
    desk.start()
    desk.postpone("A0", until=8, busy=True)
    desk.wait()
    desk.end("A0", TIMEOUT)
    desk.start()
    desk.now = 15
    assert desk.postpone("A0", until=16, busy=True) is None


def test_being_put_off_for_another_reason_uses_up_no_patience() -> None:
    desk = Desk(retry=RetryPolicy(patience=10))
    desk.add("A0")
    desk.start()
    desk.postpone("A0", until=100)
    desk.wait()
    assert desk.postpone("A0", until=101, busy=True) is None


@pytest.mark.parametrize(("tried", "expected"), [(False, ErrorKind.STOPPING), (True, ErrorKind.TIMEOUT)])
def test_a_call_that_is_put_off_after_its_lane_was_stopped_ends(tried: bool, expected: ErrorKind) -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    if tried:
        desk.end("A0", TIMEOUT)
        desk.start()
    desk.scheduler.drain(now=0)
    answer = desk.postpone("A0", until=10)
    assert answer is not None
    assert isinstance(answer.ended.outcome, Failed | Skipped)
    assert answer.ended.outcome.error.kind is expected
    assert desk.lane.budget.used == 0


def test_what_was_put_off_cannot_end_again() -> None:
    desk = Desk()
    desk.add("A0")
    attempt = desk.scheduler.take(now=0)
    assert attempt is not None
    desk.scheduler.postpone(attempt, now=0, until=10)
    with pytest.raises(ValueError, match="not in flight"):
        desk.scheduler.done(attempt, OK, now=0, jitter=0)
    with pytest.raises(ValueError, match="not in flight"):
        desk.scheduler.postpone(attempt, now=0, until=10)
    with pytest.raises(ValueError, match="not in flight"):
        desk.scheduler.dismiss(attempt, NOT_DUE, now=0)


# --- dismissed ------------------------------------------------------------------------


def test_a_call_that_is_dismissed_ends_uncounted_and_the_turn_goes_on() -> None:
    desk, narrow = Desk(), lane(1)
    desk.add("A0", "A1", lane=narrow)
    desk.start()
    answer = desk.dismiss("A0")
    assert (answer.ended.outcome, answer.ended.attempts, answer.skipped) == (NOT_DUE, 0, ())
    assert desk.flying == ["A1"]
    assert narrow.budget.used == 1, "it takes up no room: A1 does"


def test_a_call_that_was_tried_is_dismissed_with_its_last_failure() -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    desk.end("A0", TIMEOUT)
    desk.start()
    answer = desk.dismiss("A0")
    assert (answer.ended.outcome, answer.ended.attempts, answer.skipped) == (TIMEOUT, 1, ())


# --- not due --------------------------------------------------------------------------


def test_a_call_is_not_sent_before_it_is_due_nor_what_stands_behind_it() -> None:
    desk = Desk()
    desk.add("A0", due=10)
    desk.add("A1", "B0")
    assert desk.start() == ["B0"]
    assert desk.scheduler.next_ready_at() == 10
    desk.wait()
    assert desk.sent == ["B0", "A0"]


def test_a_call_that_was_due_already_stands_where_it_was_added() -> None:
    desk = Desk(max_in_flight=1)
    desk.now = 5
    desk.add("A0")
    desk.add("B0", due=1)
    assert desk.run() == ["A0", "B0"]


# --- closed from elsewhere ------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(CLOSING))
def test_a_token_that_is_closed_from_elsewhere_ends_its_queued_calls_and_takes_no_more(kind: ErrorKind) -> None:
    desk = Desk()
    desk.add("A0", "B0")
    desk.add("A1", lane=lane())
    token = call("A0").operation.token
    ends = desk.scheduler.close(token, failed(kind), now=0, until=100)
    why = ErrorKind.QUOTA if kind is ErrorKind.QUOTA else ErrorKind.HELD
    ends += desk.add("A2")
    assert [(end.call.id, end.outcome.error.kind) for end in ends if isinstance(end.outcome, Skipped)] == [
        ("A0", why),
        ("A1", why),
        ("A2", why),
    ]
    assert desk.start() == ["B0"]
    desk.now = 100
    assert desk.add("A3") == []
    assert desk.start() == ["A3"]


def test_a_token_can_be_closed_before_its_first_call() -> None:
    desk = Desk()
    assert desk.scheduler.close(call("A0").operation.token, failed(ErrorKind.QUOTA), now=0, until=100) == []
    assert len(desk.add("A0")) == 1


def test_the_call_in_flight_goes_on_but_is_not_tried_again() -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    ends = desk.scheduler.close(call("A0").operation.token, failed(ErrorKind.FORBIDDEN), now=0, until=100)
    assert [end.call.id for end in ends] == ["A1"]
    answer = desk.end("A0", TIMEOUT)
    assert answer.following is None
    assert desk.scheduler.snapshot().queued == 0


def test_a_call_in_flight_is_tried_again_when_the_token_is_open_by_then() -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    desk.scheduler.close(call("A0").operation.token, failed(ErrorKind.FORBIDDEN), now=0, until=50)
    desk.now = 65
    desk.end("A0", TIMEOUT, open_at=125)
    assert desk.wait() == ["A0"]
    assert desk.now == 125


def test_a_call_of_a_closed_token_is_not_put_off_but_ends() -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    desk.scheduler.close(call("A0").operation.token, failed(ErrorKind.FORBIDDEN), now=0, until=100)
    answer = desk.postpone("A0", until=10)
    assert answer is not None
    assert isinstance(answer.ended.outcome, Skipped)


def test_a_call_that_waits_for_its_retry_ends_with_its_failure_when_its_token_is_closed() -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    desk.end("A0", TIMEOUT, jitter=0.5)
    (end,) = desk.scheduler.close(call("A0").operation.token, failed(ErrorKind.FORBIDDEN), now=0, until=100)
    assert (end.outcome, end.attempts) == (TIMEOUT, 1)


def test_room_that_a_closed_token_was_woken_for_goes_to_somebody_else() -> None:
    desk, narrow = Desk(max_in_flight=2), lane(1)
    desk.add("A0", lane=narrow)
    desk.start()
    desk.add("B0", "C0", lane=narrow)
    desk.add("Y0", "Z0")
    assert desk.start() == ["Y0"]
    desk.end("A0", deliver=False)
    assert desk.start() == ["Z0"]
    desk.scheduler.release(narrow)
    desk.scheduler.close(call("B0").operation.token, failed(ErrorKind.FORBIDDEN), now=0, until=100)
    desk.end("Y0")
    assert desk.start() == ["C0"]
