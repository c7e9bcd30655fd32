"""Each rule over the journal: what breaks it, and what just does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.judging.facts import Effect, Fact, StoodStill
from tests.judging.rules import (
    after_refusals,
    broken_on_the_wire,
    early_calls,
    granted,
    misplaced_tokens,
    overlaps,
    shared_connections,
)
from tests.judging.samples import A, B, answered, asked, exchange


def test_a_request_before_the_last_answer_is_out_overlaps() -> None:
    journal: list[Fact] = [asked(0.0, 1), asked(0.4, 2), answered(0.5, 1), answered(0.9, 2)]
    assert [violation.about for violation in overlaps(journal, 60)] == [A]


def test_a_request_right_after_the_last_answer_does_not_overlap() -> None:
    journal: list[Fact] = [asked(0.0, 1), answered(0.5, 1), asked(0.5, 2), answered(0.6, 2)]
    assert not list(overlaps(journal, 60))


def test_an_unanswered_request_keeps_its_token_in_work_until_the_limit() -> None:
    assert len(list(overlaps([asked(0.0, 1), asked(59.9, 2)], 60))) == 1
    assert not list(overlaps([asked(0.0, 1), asked(60.0, 2)], 60))


def test_an_answer_that_takes_longer_than_the_limit_keeps_its_token_in_work_until_it_is_out() -> None:
    journal: list[Fact] = [asked(0.0, 1), asked(70.0, 2), answered(80.0, 1)]
    assert len(list(overlaps(journal, 60))) == 1


def test_a_request_in_between_does_not_hide_that_an_older_one_is_in_work() -> None:
    journal: list[Fact] = [asked(0.0, 1), asked(10.0, 2), answered(11.0, 2), asked(20.0, 3)]
    assert len(list(overlaps(journal, 60))) == 2


def test_what_a_vendor_read_late_counts_from_when_it_may_have_come() -> None:
    journal: list[Fact] = [asked(3.0, 1), StoodStill(3.1, 0.9), asked(61.0, 2)]
    assert not list(overlaps(journal, 60))
    assert len(list(overlaps([*journal[:2], asked(60.8, 2)], 60))) == 1


def test_a_pause_of_the_vendor_excuses_nothing_outside_of_it() -> None:
    for pause in (StoodStill(2.9, 0.9), StoodStill(70.0, 3.0)):
        assert len(list(overlaps([asked(3.0, 1), pause, asked(61.0, 2)], 60))) == 1


def test_an_answer_that_came_late_because_the_vendor_stood_still_counts_to_the_limit() -> None:
    journal: list[Fact] = [asked(62.0, 1), asked(63.1, 2), answered(63.2, 1), StoodStill(63.5, 1.0)]
    assert not list(overlaps(journal, 60))
    assert len(list(overlaps(journal, 63))) == 1


def test_what_a_vendor_read_late_is_asked_again_by_when_it_may_have_come() -> None:
    journal = [*exchange(5.0, 1), StoodStill(5.5, 1.0)]
    assert not list(early_calls([*journal, *exchange(301.0, 2)], 300))
    assert len(list(early_calls([*journal, *exchange(299.0, 2)], 300))) == 1


def test_another_token_does_not_overlap() -> None:
    assert not list(overlaps([asked(0.0, 1, A), asked(0.1, 2, B)], 60))


@pytest.mark.parametrize("effect", [Effect.OK, Effect.EMPTY])
def test_the_same_again_within_the_interval_is_early(effect: Effect) -> None:
    journal = [*exchange(0.0, 1, effect=effect), *exchange(298.9, 2)]
    assert [violation.about for violation in early_calls(journal, 300)] == [A]


def test_a_second_of_jitter_is_not_early() -> None:
    assert not list(early_calls([*exchange(0.0, 1), *exchange(299.0, 2)], 300))


@pytest.mark.parametrize("effect", sorted(set(Effect) - {Effect.OK, Effect.EMPTY}))
def test_after_a_failure_nothing_is_early(effect: Effect) -> None:
    assert not list(early_calls([*exchange(0.0, 1, effect=effect), *exchange(1.0, 2)], 300))


def test_after_an_answer_that_never_was_whole_nothing_is_early() -> None:
    assert not list(early_calls([asked(0.0, 1), *exchange(70.0, 2)], 300))


@pytest.mark.parametrize("other", [{"api": "gamification"}, {"query": "date_ini=20261101000000"}, {"token": B}])
def test_something_else_is_not_early(other: dict[str, Any]) -> None:
    assert not list(early_calls([*exchange(0.0, 1), *exchange(1.0, 2, **other)], 300))


def test_what_follows_an_early_call_is_measured_from_that() -> None:
    journal = [*exchange(0.0, 1), *exchange(200.0, 2), *exchange(400.0, 3)]
    assert len(list(early_calls(journal, 300))) == 2


def test_a_token_that_was_refused_is_not_to_be_sent_again() -> None:
    journal = [*exchange(0.0, 1, effect=Effect.REFUSED), *exchange(5000.0, 2)]
    assert [violation.about for violation in after_refusals(journal)] == [A]


@pytest.mark.parametrize("effect", sorted(set(Effect) - {Effect.REFUSED}))
def test_a_token_that_was_not_refused_may_be_sent_again(effect: Effect) -> None:
    assert not list(after_refusals([*exchange(0.0, 1, effect=effect), *exchange(1.0, 2)]))


def test_a_request_that_was_under_way_when_its_token_was_refused_is_not_held_against_it() -> None:
    journal: list[Fact] = [asked(0.0, 1), asked(0.2, 2), answered(0.3, 1, Effect.REFUSED)]
    assert not list(after_refusals(journal))


def test_another_token_may_be_sent_after_a_refusal() -> None:
    assert not list(after_refusals([*exchange(0.0, 1, effect=Effect.REFUSED), *exchange(1.0, 2, B)]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"strays": ("address",)},
        {"strays": ("body",)},
        {"strays": ("header cookie",)},
        {"token": ""},
        {"home": ""},
        {"home": "0002"},
    ],
)
def test_a_token_in_a_wrong_place_is_seen(wrong: dict[str, str]) -> None:
    assert len(list(misplaced_tokens([asked(0.0, 1, **wrong)]))) == 1


def test_a_token_in_its_header_to_its_server_is_in_its_place() -> None:
    assert not list(misplaced_tokens([asked(0.0, 1)]))


def test_a_connection_that_serves_a_second_token_is_shared() -> None:
    journal: list[Fact] = [asked(0.0, 1, A, connection=7), asked(1.0, 2, B, connection=7)]
    assert [violation.about for violation in shared_connections(journal)] == [B]


def test_a_connection_that_serves_one_token_often_is_not_shared() -> None:
    journal: list[Fact] = [asked(float(n), n, A, connection=7) for n in range(3)]
    assert not list(shared_connections([*journal, asked(4.0, 4, B, connection=8)]))


def test_what_was_granted_is_counted_by_question() -> None:
    journal = [
        *exchange(0.0, 1),
        *exchange(1.0, 2, effect=Effect.EMPTY),
        *exchange(2.0, 3, effect=Effect.BUSY),
        *exchange(3.0, 4, B),
        asked(4.0, 5),
    ]
    assert granted(journal) == {(A, "interactions", ""): 2, (B, "interactions", ""): 1}


def test_what_one_client_does_is_measured_by_every_rule() -> None:
    journal: list[Fact] = [
        *exchange(0.0, 1, effect=Effect.REFUSED, connection=7),
        *exchange(1.0, 2, connection=8, home="0002"),
        asked(2.0, 3, connection=8),
        asked(2.1, 4, B, connection=8),
        asked(2.2, 5, connection=9),
    ]
    found = {violation.rule for violation in broken_on_the_wire(journal, limit=60, interval=300)}
    assert found == {"overlap", "early", "refused token", "misplaced token", "shared connection"}
