"""Which call goes next, rule by rule."""

from __future__ import annotations

import pytest

from wolkvox_async.model import AttemptOutcome, ErrorKind, Failed, Skipped
from wolkvox_async.scheduling.decisions import Ended, Requeued, Settled
from wolkvox_async.scheduling.queues import State
from wolkvox_async.scheduling.retry import RetryPolicy
from wolkvox_async.scheduling.skipping import CLOSING, REFUSALS

from .desk import Desk
from .samples import ATTEMPT_KINDS, EMPTY, OK, call, failed, lane

NEVER_HOLD = (ErrorKind.UNKNOWN_API, ErrorKind.BAD_REQUEST, ErrorKind.TOO_LARGE, ErrorKind.MALFORMED)
HOLDING = tuple(kind for kind in ATTEMPT_KINDS if kind not in NEVER_HOLD and kind not in CLOSING)
ONE_ATTEMPT = RetryPolicy(max_attempts=1, patience=0)


def kinds(ends: list[Ended] | tuple[Ended, ...]) -> dict[str, ErrorKind]:
    """Say why calls were skipped."""
    return {end.call.id: end.outcome.error.kind for end in ends if isinstance(end.outcome, Skipped)}


def settled(answer: Settled | Requeued) -> Settled:
    assert isinstance(answer, Settled)
    return answer


def requeued(answer: Settled | Requeued) -> Requeued:
    assert isinstance(answer, Requeued)
    return answer


# --- one after the other ------------------------------------------------------------


def test_a_token_has_one_call_in_flight_and_its_calls_go_in_order() -> None:
    desk = Desk()
    desk.add("A0", "A1", "A2")
    assert desk.start() == ["A0"]
    assert desk.run() == ["A0", "A1", "A2"]


def test_the_same_token_on_two_servers_is_one_queue() -> None:
    desk = Desk()
    desk.add("A0", server="0001")
    desk.add("A1", server="0002")
    assert desk.start() == ["A0"]
    desk.end("A0")
    assert desk.start() == ["A1"]


def test_tokens_start_in_the_order_in_which_they_became_ready() -> None:
    desk = Desk(max_in_flight=1)
    desk.add("C0", "A0", "B0")
    assert desk.run() == ["C0", "A0", "B0"]


def test_a_token_whose_time_came_earlier_starts_before_one_that_was_added_later() -> None:
    desk = Desk(token_gap=5)
    desk.add("A0", "A1")
    desk.start()
    desk.end("A0")
    desk.now = 6
    desk.add("B0")
    assert desk.start() == ["A1", "B0"]


def test_nothing_starts_when_nothing_was_added() -> None:
    desk = Desk()
    assert desk.start() == []
    assert desk.scheduler.next_ready_at() is None


# --- turns --------------------------------------------------------------------------


def test_a_turn_goes_on_with_the_next_call_and_keeps_its_slot() -> None:
    desk = Desk(max_in_flight=1)
    desk.add("A0", "A1", "B0")
    desk.start()
    desk.end("A0")
    assert desk.flying == ["A1"]
    assert desk.start() == []


def test_a_turn_ends_after_its_calls_and_the_token_queues_last() -> None:
    desk = Desk(max_in_flight=1, turn_calls=2)
    desk.add("A0", "A1", "A2", "A3", "A4", "B0", "C0")
    assert desk.run() == ["A0", "A1", "B0", "C0", "A2", "A3", "A4"]


def test_a_turn_has_at_most_32_calls_unless_told_otherwise() -> None:
    desk = Desk(max_in_flight=1)
    desk.add(*(f"A{n}" for n in range(40)), "B0")
    assert desk.run().index("B0") == 32


@pytest.mark.parametrize(("seconds", "goes_on"), [(4.9, True), (5.0, False)])
def test_a_turn_ends_after_its_seconds(seconds: float, goes_on: bool) -> None:
    desk = Desk(turn_seconds=5.0)
    desk.add("A0", "A1")
    desk.start()
    desk.now = seconds
    assert (desk.end("A0").following is not None) == goes_on
    assert desk.start() == ([] if goes_on else ["A1"])


def test_the_calls_and_seconds_of_a_turn_count_from_its_own_start() -> None:
    desk = Desk(turn_calls=2, turn_seconds=5.0)
    desk.add("A0", "A1", "A2", "A3")
    desk.start()
    desk.end("A0")
    desk.now = 4
    desk.end("A1")
    assert desk.start() == ["A2"]
    desk.now = 8
    desk.end("A2")
    assert desk.flying == ["A3"]


def test_a_turn_ends_before_a_call_to_another_server() -> None:
    desk = Desk()
    desk.add("A0", server="0001")
    desk.add("A1", server="0002")
    desk.start()
    assert desk.end("A0").following is None
    assert desk.start() == ["A1"]


def test_a_turn_goes_on_when_what_was_read_of_its_lane_is_a_little_late_but_no_turn_starts() -> None:
    desk, narrow = Desk(), lane(1)
    desk.add("A0", "A1", "A2", "B0", lane=narrow)
    desk.start()
    assert desk.end("A0", deliver=False).following is not None
    assert desk.start() == []


def test_a_turn_ends_when_twice_the_room_of_its_lane_is_in_use() -> None:
    desk, narrow = Desk(), lane(1)
    desk.add("A0", "A1", "A2", lane=narrow)
    desk.start()
    desk.end("A0", deliver=False)
    assert desk.end("A1", deliver=False).following is None
    desk.scheduler.release(narrow)
    assert desk.start() == []
    desk.scheduler.release(narrow)
    assert desk.start() == ["A2"]


def test_a_retry_without_a_pause_goes_on_in_the_same_turn() -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    assert requeued(desk.end("A0", failed(ErrorKind.RATE_LIMITED, retry_after=0))).following is not None
    assert desk.number("A0") == 2


# --- the trap: A0 to A5 before B0 -----------------------------------------------------


def test_a_long_queue_does_not_starve_a_neighbour_that_waits_for_the_slot() -> None:
    desk = Desk(max_in_flight=1, turn_calls=1)
    desk.add("A0", "A1", "A2", "A3", "A4", "A5", "B0")
    assert desk.run()[:3] == ["A0", "B0", "A1"]


def test_a_long_queue_does_not_starve_a_neighbour_that_waits_for_the_server() -> None:
    desk = Desk(per_server=1, turn_calls=1)
    desk.add("A0", "A1", "A2", "A3", "A4", "A5", "B0")
    assert desk.run()[:3] == ["A0", "B0", "A1"]


def test_a_long_queue_does_not_starve_a_neighbour_that_waits_for_the_lane() -> None:
    desk, narrow = Desk(turn_calls=1), lane(1)
    desk.add("A0", "A1", "A2", "A3", "A4", "A5", "B0", lane=narrow)
    assert desk.run()[:3] == ["A0", "B0", "A1"]


# --- limits -------------------------------------------------------------------------


def test_no_more_calls_are_in_flight_than_there_are_slots() -> None:
    desk = Desk(max_in_flight=2)
    desk.add("A0", "B0", "C0")
    assert desk.start() == ["A0", "B0"]
    desk.end("A0")
    assert desk.start() == ["C0"]


def test_no_more_calls_are_in_flight_to_a_server_than_it_may_have() -> None:
    desk = Desk(per_server=2)
    desk.add("A0", "B0", "C0", "D0")
    assert desk.start() == ["A0", "B0"]
    desk.end("B0")
    assert desk.start() == ["C0"]


def test_a_busy_server_holds_up_nobody_else() -> None:
    desk = Desk(max_in_flight=3, per_server=1)
    desk.add("A0", "B0", "C0", server="0001")
    desk.add("D0", server="0002")
    assert desk.start() == ["A0", "D0"]


def test_a_lane_has_only_so_many_calls_in_flight_or_undelivered() -> None:
    desk, narrow = Desk(), lane(2)
    desk.add("A0", "B0", "C0", lane=narrow)
    desk.add("D0")
    assert desk.start() == ["A0", "B0", "D0"]
    desk.end("A0", deliver=False)
    assert desk.start() == []
    desk.scheduler.release(narrow)
    assert desk.start() == ["C0"]


def test_a_token_that_cannot_use_what_came_free_lets_somebody_else_have_it() -> None:
    desk, narrow = Desk(per_server=1), lane(1)
    desk.add("A0", server="0001")
    desk.add("B0", server="0002", lane=narrow)
    desk.start()
    desk.add("C0", server="0001", lane=narrow)
    desk.add("D0", server="0001")
    assert desk.start() == []
    desk.end("A0")
    assert desk.start() == ["D0"]


def test_a_token_that_finds_its_server_busy_lets_somebody_else_have_the_room_in_the_lane() -> None:
    desk, narrow = Desk(per_server=1), lane(1)
    desk.add("A0", server="0003", lane=narrow)
    assert desk.start() == ["A0"]
    desk.add("B0", server="0001", lane=narrow)
    desk.add("C0", server="0002", lane=narrow)
    assert desk.start() == []
    desk.add("D0", server="0001")
    assert desk.start() == ["D0"]
    desk.end("A0")
    assert desk.start() == ["C0"]


def test_a_token_that_waits_for_its_retry_takes_no_slot_no_server_and_no_room_in_its_lane() -> None:
    desk, narrow = Desk(max_in_flight=1, per_server=1), lane(1)
    desk.add("A0", "B0", lane=narrow)
    desk.start()
    requeued(desk.end("A0", failed(ErrorKind.TIMEOUT), jitter=0.5))
    assert desk.start() == ["B0"]


def test_a_call_that_was_charged_more_room_gives_it_back_when_it_is_delivered() -> None:
    desk, narrow = Desk(), lane(2)
    desk.add("A0", "B0", "C0", "D0", lane=narrow)
    assert desk.start() == ["A0", "B0"]
    desk.end("A0", deliver=False)
    desk.scheduler.charge(narrow, 3)
    desk.end("B0")
    assert desk.start() == []
    desk.scheduler.release(narrow, 4)
    assert desk.start() == ["C0", "D0"]


def test_calls_that_never_started_need_no_delivery() -> None:
    desk, narrow = Desk(), lane(1)
    desk.add("A0", "A1", "B0", lane=narrow)
    desk.start()
    assert kinds(settled(desk.end("A0", failed(ErrorKind.UNAUTHORIZED))).skipped) == {"A1": ErrorKind.HELD}
    assert desk.start() == ["B0"]
    assert narrow.budget.used == 1


# --- retries ------------------------------------------------------------------------


def test_a_retry_keeps_its_place() -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    assert requeued(desk.end("A0", failed(ErrorKind.TIMEOUT), jitter=0.5)).ready_at == 0.5
    desk.add("A2")
    desk.now = 0.5
    assert desk.run() == ["A0", "A0", "A1", "A2"]


def test_attempts_are_numbered_and_counted() -> None:
    desk = Desk(retry=RetryPolicy(max_attempts=3))
    desk.add("A0")
    for number in (1, 2):
        desk.start()
        assert desk.number("A0") == number
        requeued(desk.end("A0", failed(ErrorKind.SERVER_ERROR, retry_after=0)))
    answer = settled(desk.end("A0", failed(ErrorKind.SERVER_ERROR, retry_after=0)))
    assert answer.ended.attempts == 3
    assert answer.ended.outcome == failed(ErrorKind.SERVER_ERROR, retry_after=0)


def test_a_call_that_was_tried_under_another_token_goes_on_counting() -> None:
    desk = Desk(retry=RetryPolicy(max_attempts=3))
    desk.add("A0", attempts=2)
    desk.start()
    assert desk.number("A0") == 3
    assert settled(desk.end("A0", failed(ErrorKind.TIMEOUT))).ended.attempts == 3


def test_a_busy_token_is_waited_for_without_using_up_attempts() -> None:
    desk = Desk(retry=RetryPolicy(max_attempts=1, patience=300))
    desk.add("A0")
    desk.start()
    for _ in range(3):
        desk.now = requeued(desk.end("A0", failed(ErrorKind.TOKEN_BUSY), jitter=0.5)).ready_at
        desk.start()
    assert settled(desk.end("A0", OK)).ended.attempts == 4


def test_patience_counts_from_the_first_wait() -> None:
    desk = Desk(retry=RetryPolicy(patience=300))
    desk.add("A0")
    desk.now = 1000
    desk.start()
    requeued(desk.end("A0", failed(ErrorKind.MAINTENANCE), jitter=0))
    desk.now = 1299
    desk.start()
    assert requeued(desk.end("A0", failed(ErrorKind.MAINTENANCE), jitter=0)).ready_at == 1300
    desk.now = 1300
    desk.start()
    settled(desk.end("A0", failed(ErrorKind.MAINTENANCE), jitter=0))
    assert desk.flying == []


@pytest.mark.parametrize(("open_at", "ready_at"), [(60.0, 60.0), (0.1, 0.5)])
def test_a_retry_waits_for_the_later_of_its_back_off_and_the_token(open_at: float, ready_at: float) -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    assert requeued(desk.end("A0", failed(ErrorKind.TIMEOUT), jitter=0.5, open_at=open_at)).ready_at == ready_at
    assert desk.scheduler.next_ready_at() == ready_at
    desk.now = ready_at - 0.01
    assert desk.start() == []
    desk.now = ready_at
    assert desk.start() == ["A0"]


# --- when a token is closed -----------------------------------------------------------


@pytest.mark.parametrize("outcome", [OK, EMPTY, failed(ErrorKind.BAD_REQUEST)])
def test_nothing_is_sent_with_a_token_before_it_opens(outcome: AttemptOutcome) -> None:
    desk = Desk()
    desk.add("A0", "A1", "B0")
    desk.start()
    assert desk.end("A0", outcome, open_at=60).following is None
    desk.now = 59
    assert desk.start() == []
    assert desk.scheduler.next_ready_at() == 60
    desk.now = 60
    assert desk.start() == ["A1"]


def test_a_later_answer_does_not_open_a_token_earlier() -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    desk.end("A0", open_at=60)
    desk.now = 60
    desk.start()
    desk.end("A1", open_at=10)
    desk.add("A2")
    assert desk.start() == ["A2"]


def test_a_call_added_to_a_token_that_is_not_open_waits_for_it() -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    desk.end("A0", open_at=60)
    desk.add("A1")
    assert desk.start() == []
    assert desk.scheduler.next_ready_at() == 60


def test_a_token_pauses_for_its_gap_after_each_attempt() -> None:
    desk = Desk(token_gap=2)
    desk.add("A0", "A1")
    desk.start()
    desk.now = 1
    assert desk.end("A0").following is None
    assert desk.scheduler.next_ready_at() == 3
    desk.now = 3
    assert desk.start() == ["A1"]


@pytest.mark.parametrize("kind", sorted(CLOSING))
def test_a_refusal_skips_all_calls_of_the_token_in_every_lane(kind: ErrorKind) -> None:
    desk = Desk(after_failure="continue")
    desk.add("A0", "A1", "B0")
    desk.add("A2", lane=lane())
    desk.start()
    answer = settled(desk.end("A0", failed(kind), open_at=100))
    why = ErrorKind.QUOTA if kind is ErrorKind.QUOTA else ErrorKind.HELD
    assert kinds(answer.skipped) == {"A1": why, "A2": why}
    assert desk.flying == ["B0"]


@pytest.mark.parametrize("kind", sorted(CLOSING))
def test_a_refused_token_takes_no_calls_until_it_opens(kind: ErrorKind) -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    desk.end("A0", failed(kind), open_at=100)
    desk.now = 99
    assert kinds(desk.add("A1")) == {"A1": ErrorKind.QUOTA if kind is ErrorKind.QUOTA else ErrorKind.HELD}
    desk.now = 100
    assert desk.add("A2", lane=lane()) == []
    assert desk.start() == ["A2"]


@pytest.mark.parametrize("kind", sorted(REFUSALS))
def test_a_refused_token_takes_no_more_calls_of_its_run_ever(kind: ErrorKind) -> None:
    desk = Desk(after_failure="continue")
    desk.add("A0")
    desk.start()
    desk.end("A0", failed(kind), open_at=100)
    desk.now = 1_000_000
    assert kinds(desk.add("A1")) == {"A1": ErrorKind.HELD}


def test_a_token_that_opened_again_is_not_refused_when_it_has_to_pause() -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    desk.end("A0", failed(ErrorKind.QUOTA), open_at=100)
    desk.now = 100
    desk.add("A1")
    desk.start()
    desk.end("A1", open_at=200)
    assert desk.add("A2") == []


def test_a_refused_token_costs_nobody_else_a_call() -> None:
    desk = Desk(max_in_flight=1)
    desk.add("A0", "B0", "A1", "C0")
    desk.start()
    desk.end("A0", failed(ErrorKind.FORBIDDEN), open_at=float("inf"))
    assert desk.run() == ["A0", "B0", "C0"]


def test_a_token_that_never_answers_leaves_its_slot_to_others_while_it_is_closed() -> None:
    desk = Desk(max_in_flight=1)
    desk.add("A0", "A1", "B0", "B1")
    desk.start()
    desk.now = 65
    requeued(desk.end("A0", failed(ErrorKind.TIMEOUT), jitter=0.5, open_at=125))
    assert desk.run() == ["A0", "B0", "B1"]
    assert desk.scheduler.snapshot().waiting_after == {ErrorKind.TIMEOUT: 1}


# --- after a final failure --------------------------------------------------------------


@pytest.mark.parametrize("kind", HOLDING)
def test_a_final_failure_holds_the_tokens_other_calls_of_the_pass(kind: ErrorKind) -> None:
    desk = Desk(retry=ONE_ATTEMPT)
    desk.add("A0", "A1", "B0")
    desk.add("A2", lane=lane())
    desk.start()
    assert kinds(settled(desk.end("A0", failed(kind))).skipped) == {"A1": ErrorKind.HELD}
    assert desk.flying == ["B0", "A2"]


@pytest.mark.parametrize("kind", HOLDING)
def test_with_continue_a_final_failure_holds_nothing(kind: ErrorKind) -> None:
    desk = Desk(after_failure="continue", retry=ONE_ATTEMPT)
    desk.add("A0", "A1")
    desk.start()
    assert settled(desk.end("A0", failed(kind))).skipped == ()
    assert desk.flying == ["A1"]


@pytest.mark.parametrize("kind", NEVER_HOLD)
def test_a_failure_of_the_call_itself_never_holds(kind: ErrorKind) -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    assert settled(desk.end("A0", failed(kind))).skipped == ()
    assert desk.flying == ["A1"]


def test_a_call_that_the_pass_adds_later_is_held_as_well() -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    desk.end("A0", failed(ErrorKind.TLS))
    assert kinds(desk.add("A1", "B0")) == {"A1": ErrorKind.HELD}
    assert desk.add("A2", lane=lane()) == []
    assert desk.start() == ["B0", "A2"]


def test_a_failure_that_is_tried_again_holds_nothing() -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    requeued(desk.end("A0", failed(ErrorKind.TIMEOUT), jitter=0.5))
    assert desk.scheduler.snapshot().queued == 2


def test_a_held_call_says_which_failure_held_it() -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    (held,) = settled(desk.end("A0", failed(ErrorKind.TLS))).skipped
    assert isinstance(held.outcome, Skipped)
    assert "(tls)" in held.outcome.error.message
    assert held.attempts == 0


# --- leaving early ----------------------------------------------------------------------


def test_draining_ends_what_is_queued_and_lets_what_is_in_flight_go_on() -> None:
    desk = Desk(max_in_flight=1)
    desk.add("A0", "A1", "B0")
    desk.start()
    assert kinds(desk.scheduler.drain(now=0)) == {"A1": ErrorKind.STOPPING, "B0": ErrorKind.STOPPING}
    assert settled(desk.end("A0")).ended.outcome == OK
    assert desk.start() == []
    assert desk.scheduler.snapshot().queued == 0


def test_draining_ends_a_call_that_was_tried_with_its_last_failure() -> None:
    desk = Desk()
    desk.add("A0", "A1")
    desk.start()
    failure = failed(ErrorKind.TIMEOUT)
    requeued(desk.end("A0", failure, jitter=0.5))
    tried, untried = desk.scheduler.drain(now=0)
    assert (tried.outcome, tried.attempts) == (failure, 1)
    assert kinds([untried]) == {"A1": ErrorKind.STOPPING}


def test_while_draining_nothing_is_tried_again() -> None:
    desk = Desk()
    desk.add("A0")
    desk.start()
    desk.scheduler.drain(now=0)
    assert isinstance(settled(desk.end("A0", failed(ErrorKind.TIMEOUT))).ended.outcome, Failed)


def test_a_drained_lane_takes_no_calls_and_leaves_the_others_alone() -> None:
    desk, other = Desk(max_in_flight=1), lane()
    desk.add("A0", "A1")
    desk.add("A2", "B0", lane=other)
    assert kinds(desk.scheduler.drain(desk.lane, now=0)) == {"A0": ErrorKind.STOPPING, "A1": ErrorKind.STOPPING}
    assert kinds(desk.add("C0")) == {"C0": ErrorKind.STOPPING}
    assert sorted(desk.run()) == ["A2", "B0"]


def test_what_a_drained_call_waited_for_goes_to_somebody_else() -> None:
    desk, other = Desk(per_server=1), lane()
    desk.add("A0", "B0")
    desk.add("C0", lane=other)
    assert desk.start() == ["A0"]
    desk.end("A0")
    desk.scheduler.drain(desk.lane, now=0)
    assert desk.start() == ["C0"]


def test_a_queued_call_can_be_withdrawn_and_then_never_ends() -> None:
    desk, own = Desk(), lane(1)
    desk.add("A0")
    desk.add("A1", lane=own)
    desk.add("A2")
    desk.start()
    assert desk.scheduler.withdraw(call("A1"), own, now=0)
    assert desk.run() == ["A0", "A2"]


def test_a_call_in_flight_is_not_withdrawn_but_it_is_not_tried_again_either() -> None:
    desk, own = Desk(), lane(1)
    desk.add("A0", lane=own)
    desk.start()
    assert not desk.scheduler.withdraw(call("A0"), own, now=0)
    settled(desk.end("A0", failed(ErrorKind.TIMEOUT)))
    assert desk.flying == []


def test_a_call_that_ended_or_never_was_is_not_withdrawn() -> None:
    desk, own = Desk(), lane(1)
    desk.add("A0", lane=own)
    desk.run()
    assert not desk.scheduler.withdraw(call("A0"), own, now=0)
    assert not desk.scheduler.withdraw(call("Z0"), own, now=0)
    assert desk.scheduler.snapshot().tokens[State.IDLE] == 1


def test_when_a_call_that_waits_for_its_retry_is_withdrawn_the_next_one_may_go_at_once() -> None:
    desk, own = Desk(), lane(1)
    desk.add("A0", lane=own)
    desk.add("A1")
    desk.start()
    requeued(desk.end("A0", failed(ErrorKind.TIMEOUT), jitter=0.5))
    assert desk.start() == []
    assert desk.scheduler.withdraw(call("A0"), own, now=0)
    assert desk.start() == ["A1"]
    assert desk.scheduler.next_ready_at() is None


@pytest.mark.parametrize(("slots", "per_server"), [(1, 32), (32, 1)])
def test_a_token_keeps_its_place_when_a_call_of_it_is_withdrawn(slots: int, per_server: int) -> None:
    desk, own = Desk(max_in_flight=slots, per_server=per_server), lane(1)
    desk.add("A0")
    assert desk.start() == ["A0"]
    desk.now = 1
    desk.add("B0", lane=own)
    desk.add("B1")
    assert desk.start() == []
    desk.now = 2
    desk.add("C0")
    assert desk.start() == []
    assert desk.scheduler.withdraw(call("B0"), own, now=2)
    assert desk.run() == ["A0", "B1", "C0"]


# --- looking in -------------------------------------------------------------------------


def test_a_snapshot_counts_tokens_calls_and_servers() -> None:
    desk = Desk(per_server=1, max_in_flight=2)
    desk.add("A0", "A1", "B0", server="0001")
    desk.add("C0", server="0002")
    desk.start()
    requeued(desk.end("C0", failed(ErrorKind.CONNECT), jitter=0.5))
    desk.start()
    seen = desk.scheduler.snapshot()
    assert {state: count for state, count in seen.tokens.items() if count} == {
        State.IN_FLIGHT: 1,
        State.PARKED: 1,
        State.WAITING: 1,
    }
    assert (seen.queued, seen.in_flight) == (4, 1)
    assert seen.waiting_after == {ErrorKind.CONNECT: 1}
    assert seen.servers == {"0001": 1, "0002": 0}


def test_of_a_token_without_calls_nothing_is_kept_but_that_it_was_here() -> None:
    desk = Desk()
    desk.add("A0", "A1", "B0")
    desk.start()
    desk.end("B0", failed(ErrorKind.TIMEOUT))
    desk.run()
    known = [desk.scheduler.knows(call(name).operation.token) for name in ("A0", "B0", "C0")]
    assert known == [True, True, False]
    assert list(desk.scheduler._places.tokens.values()) == [None, None]
    assert desk.scheduler.snapshot().tokens[State.IDLE] == 2


def test_a_token_that_is_closed_is_known_and_forgotten_as_soon_as_it_is_open() -> None:
    desk = Desk()
    token = call("A0").operation.token
    desk.scheduler.close(token, failed(ErrorKind.QUOTA), now=0, until=5)
    assert desk.scheduler.knows(token)
    assert [ended.call.id for ended in desk.add("A0")] == ["A0"]
    desk.now = 5
    desk.add("A1")
    assert desk.run() == ["A1"]
    assert list(desk.scheduler._places.tokens.values()) == [None]


# --- programming mistakes ---------------------------------------------------------------


def test_an_attempt_ends_once() -> None:
    desk = Desk()
    desk.add("A0")
    attempt = desk.scheduler.take(now=0)
    assert attempt is not None
    desk.scheduler.done(attempt, OK, now=0, jitter=0)
    with pytest.raises(ValueError, match="not in flight"):
        desk.scheduler.done(attempt, OK, now=0, jitter=0)


def test_an_attempt_that_was_followed_by_another_of_its_call_does_not_end_again() -> None:
    desk = Desk()
    desk.add("A0")
    attempt = desk.scheduler.take(now=0)
    assert attempt is not None
    busy = failed(ErrorKind.TOKEN_BUSY, retry_after=0)
    assert requeued(desk.scheduler.done(attempt, busy, now=0, jitter=0)).following is not None
    with pytest.raises(ValueError, match="not in flight"):
        desk.scheduler.done(attempt, busy, now=0, jitter=0)


def test_an_attempt_of_another_scheduler_does_not_end_here() -> None:
    here, elsewhere = Desk(), Desk()
    elsewhere.add("A0")
    attempt = elsewhere.scheduler.take(now=0)
    assert attempt is not None
    with pytest.raises(ValueError, match="not in flight"):
        here.scheduler.done(attempt, OK, now=0, jitter=0)
