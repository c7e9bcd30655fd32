"""What a monitoring system is told: what happened, how fresh everything is, and never a token."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.apps.serving.prospects import (
    EMPTY,
    FAILED,
    NOW,
    OK,
    first_slot,
    missed,
    operations,
    settled,
    subjects,
)
from tests.apps.serving.scraped import Scraped, filled, one_subject
from wolkvox_async.apps.serving.families import NAMED_ENDPOINTS, NAMED_OPERATIONS, OLDEST
from wolkvox_async.apps.serving.freshness import Freshness
from wolkvox_async.apps.serving.metrics import Metrics
from wolkvox_async.apps.serving.tallies import OTHERS, SERVERS, Distribution
from wolkvox_async.apps.serving.vitals import LifeSigns
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.model import CallError, ErrorKind, GapReason, Operation, Skipped, Slot, Token
from wolkvox_async.planning import DateRange
from wolkvox_async.ports import AttemptFailed, CallCut, TokenClosed
from wolkvox_async.scheduling.decisions import Snapshot
from wolkvox_async.scheduling.queues import State
from wolkvox_async.testing import ManualClock

SKIPPED = Skipped(CallError(ErrorKind.HELD, "made up", retryable=False))


# --- calls ----------------------------------------------------------------------------------


def test_calls_are_counted_by_endpoint_and_outcome_and_their_rows_with_them() -> None:
    first, second = subjects(operations(1), "interactions", "ivr_calls")
    scraped = Scraped(first, second)
    scraped.tell(settled(first), settled(first, EMPTY), settled(second), settled(second), settled(second, FAILED))
    assert scraped.all("wolkvox_calls_total") == {
        ("interactions", "ok"): 1,
        ("interactions", "empty"): 1,
        ("interactions", "failed"): 0,
        ("ivr_calls", "ok"): 2,
        ("ivr_calls", "empty"): 0,
        ("ivr_calls", "failed"): 1,
    }
    assert scraped.all("wolkvox_rows_total") == {("interactions",): 2, ("ivr_calls",): 4}


def test_a_call_that_was_never_sent_counts_once_as_the_gap_it_left() -> None:
    subject = one_subject()
    slot = first_slot(subject, closing=True)
    scraped = Scraped(subject)
    scraped.tell(settled(subject, SKIPPED, slot=slot, attempts=0), missed(subject, GapReason.HELD, slot=slot))
    assert scraped.all("wolkvox_calls_total") == {}
    assert scraped.value("wolkvox_gaps_total", "held") == 1
    assert scraped.value("wolkvox_closing_readings_total", "missed") == 1


def test_a_skipped_call_of_a_pass_is_counted_as_such() -> None:
    subject = one_subject()
    event = settled(subject, SKIPPED, attempts=0)
    event.call.slot = None
    scraped = Scraped()
    scraped.tell(event)
    assert scraped.value("wolkvox_calls_total", "interactions", "skipped") == 1
    assert scraped.value("wolkvox_call_duration_seconds_count", "interactions") == 0


def test_attempts_count_all_those_of_calls_that_ended_and_failures_each_on_its_own() -> None:
    subject = one_subject()
    call = settled(subject).call
    scraped = Scraped(subject)
    scraped.tell(
        AttemptFailed(call, ErrorKind.TIMEOUT, "made up", 1, 2.0),
        AttemptFailed(call, ErrorKind.TIMEOUT, "made up", 2, 2.0),
        settled(subject, attempts=3),
    )
    assert scraped.value("wolkvox_attempts_total") == 3
    assert scraped.value("wolkvox_attempts_failed_total", "timeout") == 2
    assert scraped.value("wolkvox_attempts_failed_total", "connect") == 0


def test_a_call_that_was_cut_counts_with_its_attempts_and_not_as_ended() -> None:
    scraped = Scraped()
    scraped.tell(CallCut(settled(one_subject()).call, 60_000, 2, 1.0))
    assert scraped.value("wolkvox_attempts_total") == 2
    assert "wolkvox_calls_total{" not in scraped.text()


def test_a_duration_counts_in_every_bucket_that_it_fits() -> None:
    subject = one_subject()
    scraped = Scraped(subject)
    scraped.tell(settled(subject, seconds=0.25), settled(subject, seconds=61.0), settled(subject, seconds=90.0))
    buckets = scraped.all("wolkvox_call_duration_seconds_bucket")
    below = {bound: count for (_, bound), count in buckets.items()}
    assert (below["0.1"], below["0.25"], below["60.0"], below["75.0"], below["+Inf"]) == (0, 1, 1, 2, 3)
    assert scraped.value("wolkvox_call_duration_seconds_sum", "interactions") == 151.25


@given(st.lists(st.floats(0, 100, width=32)))
def test_a_bucket_holds_what_is_not_above_its_bound(values: list[float]) -> None:
    distribution = Distribution((1.0, 5.0, 50.0))
    for value in values:
        distribution.add(value)
    assert dict(distribution.buckets()) == {
        "1.0": sum(value <= 1 for value in values),
        "5.0": sum(value <= 5 for value in values),
        "50.0": sum(value <= 50 for value in values),
        "+Inf": len(values),
    }
    assert distribution.total == pytest.approx(sum(values))


def test_servers_after_the_first_two_hundred_are_counted_together() -> None:
    watched = subjects(operations(SERVERS + 5, servers=SERVERS + 5))
    scraped = Scraped(*watched)
    scraped.tell(*map(settled, watched), *map(settled, watched))
    calls = {
        server: count for (word, server), count in scraped.all("wolkvox_server_calls_total").items() if word == "ok"
    }
    assert len(calls) == SERVERS + 1
    assert (calls["0000"], calls[OTHERS], sum(calls.values())) == (2, 10, 2 * (SERVERS + 5))


# --- slots ----------------------------------------------------------------------------------


def test_every_reason_for_a_gap_is_there_before_the_first_gap() -> None:
    assert scraped_reasons(Scraped()) == dict.fromkeys(map(str, GapReason), 0.0)


def test_gaps_are_counted_by_reason() -> None:
    subject = one_subject()
    scraped = Scraped(subject)
    scraped.tell(missed(subject, GapReason.DOWN), missed(subject, GapReason.DOWN), missed(subject, GapReason.QUOTA))
    reasons = scraped_reasons(scraped)
    assert (reasons["down"], reasons["quota"], sum(reasons.values())) == (2, 1, 3)


def scraped_reasons(scraped: Scraped) -> dict[str, float]:
    return {reason: count for (reason,), count in scraped.all("wolkvox_gaps_total").items()}


@pytest.mark.parametrize(("outcome", "taken"), [(OK, 1), (EMPTY, 1), (FAILED, 0)])
def test_a_closing_reading_is_taken_by_an_answer_and_missed_by_a_failure(outcome: object, taken: int) -> None:
    subject = one_subject()
    scraped = Scraped(subject)
    scraped.tell(settled(subject, outcome, slot=first_slot(subject, closing=True)))  # type: ignore[arg-type]
    assert scraped.value("wolkvox_closing_readings_total", "taken") == taken
    assert scraped.value("wolkvox_closing_readings_total", "missed") == 1 - taken


def test_other_slots_are_no_closing_readings() -> None:
    subject = one_subject()
    scraped = Scraped(subject)
    scraped.tell(settled(subject), settled(subject, FAILED), missed(subject, GapReason.CLOSING))
    assert set(scraped.all("wolkvox_closing_readings_total").values()) == {0}


def test_lateness_is_from_the_due_time_to_the_start_of_the_attempt_that_brought_the_reading() -> None:
    subject = one_subject()
    scraped = Scraped(subject)
    due = round(NOW.timestamp() * 1000)
    scraped.clock.advance(4.0)
    scraped.tell(settled(subject, slot=Slot(due, due), seconds=1.5))
    assert scraped.value("wolkvox_slot_lateness_seconds_sum") == pytest.approx(2.5)
    assert scraped.value("wolkvox_slot_lateness_seconds_count") == 1


def test_a_failed_call_says_nothing_about_lateness() -> None:
    subject = one_subject()
    scraped = Scraped(subject)
    scraped.tell(settled(subject, FAILED))
    assert scraped.value("wolkvox_slot_lateness_seconds_count") == 0


def test_a_clock_that_is_set_is_minded_within_a_second() -> None:
    subject = one_subject()
    scraped = Scraped(subject)
    scraped.tell(settled(subject))
    scraped.clock.step_wall(3600)
    scraped.clock.advance(1.0)
    assert scraped.all("wolkvox_reading_age_seconds").popitem()[1] == pytest.approx(3601)


# --- freshness ------------------------------------------------------------------------------


def test_an_age_counts_from_the_last_answer_and_not_from_a_failure_or_a_gap() -> None:
    subject = one_subject()
    scraped = Scraped(subject)
    scraped.clock.advance(100)
    scraped.tell(settled(subject, EMPTY))
    scraped.clock.advance(300)
    scraped.tell(settled(subject, FAILED), missed(subject))
    scraped.clock.advance(20)
    assert scraped.all("wolkvox_reading_age_seconds") == {("interactions", "operation 0", "tenant 0"): 320}


def test_what_was_never_read_is_as_old_as_it_is_watched() -> None:
    first, second = subjects(operations(2))
    scraped = Scraped(first)
    scraped.clock.advance(1000)
    scraped.watch.watch(first, second)
    scraped.text()
    scraped.clock.advance(5)
    ages = {operation: age for (_, operation, _), age in scraped.all("wolkvox_reading_age_seconds").items()}
    assert ages == {"operation 0": 1005, "operation 1": 5}


def test_what_is_watched_no_more_is_gone_and_what_stays_keeps_its_age() -> None:
    first, second = subjects(operations(2))
    scraped = Scraped(first, second)
    scraped.tell(settled(first))
    scraped.clock.advance(50)
    scraped.watch.watch(first)
    assert [key[1] for key in scraped.all("wolkvox_reading_age_seconds")] == ["operation 0"]
    assert scraped.value("wolkvox_watched_endpoints") == 1


def test_the_first_reading_of_what_was_just_added_counts() -> None:
    first, second = subjects(operations(2))
    scraped = Scraped(first)
    scraped.clock.advance(100)
    scraped.watch.watch(first, second)
    scraped.tell(settled(second))
    scraped.clock.advance(7)
    assert scraped.value("wolkvox_reading_age_seconds", "interactions", "operation 1", "tenant 0") == 7


def test_an_endpoint_asked_in_parts_is_as_old_as_its_oldest_part() -> None:
    first, second = subjects(operations(1), "gamification", dates=DateRange("2026-10-10", "2026-11-10"))
    for read, other in ((first, second), (second, first)):
        scraped = Scraped(first, second)
        scraped.clock.advance(60)
        scraped.tell(settled(read), settled(read))
        scraped.clock.advance(1)
        assert set(scraped.all("wolkvox_reading_age_seconds").values()) == {61}
        scraped.tell(settled(other))
        assert set(scraped.all("wolkvox_reading_age_seconds").values()) == {1}


def test_stale_is_what_was_not_read_for_three_of_its_own_intervals() -> None:
    often, seldom = subjects(operations(1)), subjects(operations(2)[1:], interval=3600)
    scraped = Scraped(*often, *seldom)
    scraped.clock.advance(900)
    assert scraped.value("wolkvox_readings_stale") == 0
    scraped.clock.advance(1)
    assert scraped.value("wolkvox_readings_stale") == 1


def test_overdue_is_what_had_neither_a_call_nor_a_gap() -> None:
    first, second = subjects(operations(2))
    scraped = Scraped(first, second)
    scraped.clock.advance(890)
    scraped.tell(missed(first))
    scraped.clock.advance(11)
    assert scraped.value("wolkvox_endpoints_overdue") == 1
    assert scraped.value("wolkvox_readings_stale") == 2


def test_intervals_are_told_by_endpoint() -> None:
    often, seldom = subjects(operations(1)), subjects(operations(2)[1:], "ivr_calls", interval=3600)
    assert Scraped(*often, *seldom).all("wolkvox_reading_interval_seconds") == {
        ("interactions",): 300,
        ("ivr_calls",): 3600,
    }


def test_slots_that_wait_are_counted_by_what_they_wait_for() -> None:
    first, second = subjects(operations(2))
    scraped = Scraped(first, second)
    scraped.watch.waiting = {first.key: GapReason.BUSY}
    waiting = {reason: count for (reason,), count in scraped.all("wolkvox_slots_waiting").items()}
    assert (waiting["busy"], sum(waiting.values()), len(waiting)) == (1, 1, len(GapReason))


def test_up_to_a_thousand_operations_are_named_each() -> None:
    scraped = Scraped(*subjects(operations(NAMED_OPERATIONS)))
    assert len(scraped.all("wolkvox_reading_age_seconds")) == NAMED_OPERATIONS


def test_above_a_thousand_operations_only_the_oldest_are_named() -> None:
    watched = subjects(operations(NAMED_OPERATIONS + 1))
    scraped = Scraped(*watched)
    scraped.clock.advance(1000)
    scraped.tell(*map(settled, watched[OLDEST:]))
    scraped.clock.advance(1)
    ages = scraped.all("wolkvox_reading_age_seconds")
    assert {key[1] for key in ages} == {subject.operation.name for subject in watched[:OLDEST]}
    assert scraped.value("wolkvox_freshness_seconds_count") == NAMED_OPERATIONS + 1
    assert scraped.value("wolkvox_freshness_seconds_bucket", "60.0") == NAMED_OPERATIONS + 1 - OLDEST


def test_of_many_endpoints_only_the_oldest_are_named_in_intervals_of_their_own() -> None:
    often = subjects(operations(OLDEST), interval=60)
    seldom = subjects(operations(1000)[OLDEST:], "interactions", "ivr_calls", "vision", interval=3600)
    assert len(often) + len(seldom) > NAMED_ENDPOINTS
    scraped = Scraped(*often, *seldom)
    scraped.clock.advance(30)
    scraped.tell(*map(settled, often))
    scraped.clock.advance(120)
    assert {key[1] for key in scraped.all("wolkvox_reading_age_seconds")} == {one.operation.name for one in often}


# --- what can be seen -------------------------------------------------------------------------


def test_the_scheduler_is_shown_as_it_is() -> None:
    scraped = Scraped()
    assert scraped.all("wolkvox_calls_in_flight") == {}
    tokens = {State.IDLE: 4, State.WAITING: 3, State.READY: 0, State.PARKED: 2, State.IN_FLIGHT: 1}
    snapshot = Snapshot(tokens, 9, 1, {ErrorKind.CONNECT: 3}, {"0010": 1, "0011": 0}, {"0011": 1234.5})
    scraped.metrics.follow(lambda: snapshot, scraped.watch.started)
    assert scraped.value("wolkvox_calls_in_flight") == 1
    assert scraped.value("wolkvox_calls_queued") == 9
    assert scraped.value("wolkvox_tokens", "parked") == 2
    assert scraped.all("wolkvox_tokens_waiting") == {("connect",): 3}
    assert scraped.value("wolkvox_servers_down") == 1
    assert scraped.all("wolkvox_server_down") == {("0011",): 1}
    assert scraped.all("wolkvox_server_calls_in_flight") == {("0010",): 1, ("0011",): 0}
    assert scraped.value("wolkvox_run_start_time_seconds") == NOW.timestamp()


def test_servers_beyond_the_bound_share_a_place_in_flight_too() -> None:
    scraped = Scraped()
    scraped.tell(*map(settled, subjects(operations(SERVERS, servers=SERVERS))))
    scraped.metrics.follow(lambda: Snapshot({}, 7, 7, {}, {"0000": 1, "9998": 2, "9999": 4}, {}), 0)
    assert scraped.all("wolkvox_server_calls_in_flight") == {("0000",): 1, (OTHERS,): 6}


def test_closed_tokens_are_counted_by_kind() -> None:
    scraped = Scraped()
    scraped.tell(TokenClosed(operations(1)[0], ErrorKind.FORBIDDEN, 3600.0))
    assert scraped.value("wolkvox_tokens_closed_total", "forbidden") == 1
    assert scraped.value("wolkvox_tokens_closed_total", "unauthorized") == 0


def test_the_process_is_shown_with_the_program() -> None:
    scraped = Scraped()
    assert scraped.value("wolkvox_alive") == 1
    assert set(scraped.all("wolkvox_build_info").values()) == {1}
    if sys.platform == "linux":
        assert scraped.value("process_resident_memory_bytes") > 1_000_000


# --- manners ----------------------------------------------------------------------------------


def test_no_token_and_no_token_id_is_in_it(canary: Token, assert_no_canary: Callable[..., None]) -> None:
    (subject,) = subjects(operations(1, token=canary))
    scraped = Scraped(subject)
    event = settled(subject)
    scraped.tell(event, missed(subject), TokenClosed(subject.operation, ErrorKind.FORBIDDEN, 60.0))
    scraped.tell(AttemptFailed(event.call, ErrorKind.TIMEOUT, "made up", 1, None))
    text = scraped.text()
    assert_no_canary("the metrics", text)
    assert canary.id not in text
    assert "operation 0" in text


@pytest.mark.parametrize(
    "name", ['a"b', "back\\slash\\n", "<script>alert(1)</script>", "عربى \u202e name", "x" * 10_000]
)
def test_a_hostile_name_comes_out_as_it_is(name: str) -> None:
    (subject,) = subjects([Operation(name, "main", "0010", Token("made-up-000001"))])
    scraped = Scraped(subject)
    ((_, _, tenant),) = scraped.all("wolkvox_reading_age_seconds")
    assert tenant == name


def test_names_and_types_follow_the_rules_of_exposition() -> None:
    for family in text_string_to_metric_families(filled().text()):
        assert family.name.startswith(("wolkvox_", "process_"))
        assert family.documentation.endswith(".")
        assert family.type != "unknown"
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
        assert not any(unit in family.name.split("_") for unit in ("ms", "milliseconds", "minutes", "kb", "percent"))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed; the rules above hold anyway")
def test_promtool_has_nothing_to_say_against_them() -> None:
    judged = subprocess.run(
        ["promtool", "check", "metrics"], check=False, input=filled().text(), capture_output=True, text=True
    )
    assert (judged.returncode, judged.stdout + judged.stderr) == (0, "")


def test_without_the_extra_it_says_which_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    clock = ManualClock()
    with pytest.raises(ConfigurationError, match=r"wolkvox-async\[metrics\]"):
        Metrics(clock, Freshness(clock), LifeSigns(clock))
