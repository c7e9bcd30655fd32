"""What outputs and journal say together: each rule broken, and just not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from tests.judging.evidence import Owner, Terms, foreign_rows, judge, lost_and_doubled, unequal_attempts, unsettled
from tests.judging.facts import Asked, Closed, Effect, Fact, Opened, Unasked
from tests.judging.outputs import Output, Question, Record
from tests.judging.rules import Violation
from tests.judging.samples import OWNERS, A, B, asked, ended, exchange, mark, output, row, whole_call

ASKED: Question = (A, "interactions", "")
ASKED_B: Question = (B, "interactions", "")


def names(found: Iterable[Violation]) -> list[str]:
    """Return what was broken, by name."""
    return [violation.rule for violation in found]


def test_a_run_that_went_well_breaks_nothing() -> None:
    journal = [*exchange(0.0, 1), *exchange(1.0, 2, B, Effect.EMPTY)]
    done = output(*whole_call(101), mark("empty", B), ended(ok=1, empty=1, rows=2))
    terms = Terms(limit=60, owners=OWNERS, interval=300, planned={"R": {ASKED, ASKED_B}})
    assert judge(journal, [done], terms) == []


# --- under another tenant -------------------------------------------------------------


def test_rows_under_their_own_tenant_are_at_home() -> None:
    assert not list(foreign_rows([output(*whole_call(1), *whole_call(2, B))], OWNERS))


@pytest.mark.parametrize("wrong", [{"tenant": "globex"}, {"operation": "other"}, {"server": "0002"}])
def test_a_row_under_another_tenant_operation_or_server_is_foreign(wrong: dict[str, str]) -> None:
    assert names(foreign_rows([output({**row(1, 1), **wrong})], OWNERS)) == ["foreign row"]


def test_a_row_of_another_token_is_foreign_whatever_stands_beside_it() -> None:
    stolen = row(1, 1, A)
    stolen["row"] = row(1, 1, B)["row"]
    assert names(foreign_rows([output(stolen, mark(rows=1))], OWNERS)) == ["foreign row"]


def test_a_row_that_says_nothing_about_itself_is_foreign() -> None:
    assert names(foreign_rows([output(row(1, 1, row={"items": 3}))], OWNERS)) == ["foreign row"]


def test_a_call_recorded_for_another_owner_is_foreign() -> None:
    owners = {**OWNERS, A: Owner("initech", "main", "0001")}
    assert names(foreign_rows([output(mark("failed"))], owners)) == ["foreign row"]


# --- lost and doubled -----------------------------------------------------------------


def test_the_rows_of_one_whole_answer_are_right() -> None:
    assert not list(lost_and_doubled([output(*whole_call(101))], exchange(0.0, 1)))


def test_an_answer_that_nobody_used_is_no_loss() -> None:
    journal = [*exchange(0.0, 1), *exchange(9.0, 2)]
    assert not list(lost_and_doubled([output(*whole_call(102))], journal))


@pytest.mark.parametrize(
    ("records", "rule"),
    [
        ([row(1, 101), mark(rows=1)], "lost rows"),
        ([mark("ok")], "lost rows"),
        ([mark("empty")], "lost rows"),
        ([row(1, 101), row(2, 101), row(3, 101, place=2), mark(rows=3)], "doubled rows"),
        ([*whole_call(101), *whole_call(101)], "doubled rows"),
        ([row(1, 101), mark("failed", rows=1)], "doubled rows"),
        ([row(1, 101, place=2), row(2, 101, place=1), mark(rows=2)], "misplaced rows"),
        (whole_call(999), "misplaced rows"),
        (whole_call(102), "misplaced rows"),
        (whole_call(103), "misplaced rows"),
        (whole_call(104), "misplaced rows"),
    ],
)
def test_rows_that_are_not_those_of_one_answer_are_seen(records: Sequence[Record], rule: str) -> None:
    journal = [
        *exchange(0.0, 1),
        *exchange(1.0, 2, B),
        *exchange(2.0, 3, api="vision"),
        Unasked(3.0, 1, A, 104, 2),
    ]
    assert rule in names(lost_and_doubled([output(*records)], journal))


def test_rows_of_two_answers_are_seen() -> None:
    journal = [*exchange(0.0, 1), *exchange(9.0, 2)]
    mixed = output(row(1, 101), row(2, 102), mark(rows=2))
    assert names(lost_and_doubled([mixed], journal)) == ["lost rows", "doubled rows"]


def test_an_answer_used_in_two_outputs_is_doubled() -> None:
    two = [output(*whole_call(101)), output(*whole_call(101, run="S", call="CS"))]
    assert names(lost_and_doubled(two, exchange(0.0, 1))) == ["doubled rows"]


def test_an_empty_call_whose_answer_was_empty_is_right() -> None:
    assert not list(lost_and_doubled([output(mark("empty"))], exchange(0.0, 1, effect=Effect.EMPTY)))


# --- settled once ---------------------------------------------------------------------


def test_a_run_that_settles_what_it_planned_is_right() -> None:
    assert not list(unsettled([output(*whole_call(1), mark("skipped", B))], {"R": {ASKED, ASKED_B}}))


def test_a_call_that_failed_before_may_end_well() -> None:
    assert not list(unsettled([output(mark("failed"), mark("skipped"), *whole_call(1))], {"R": {ASKED}}))


@pytest.mark.parametrize(
    ("records", "rule"),
    [
        ([], "unsettled"),
        ([mark("empty", B)], "unsettled"),
        ([mark("empty"), mark("empty", B)], "unsettled"),
        ([*whole_call(1), *whole_call(2)], "settled twice"),
        ([mark("empty"), mark("failed")], "settled twice"),
        ([mark("failed"), mark("empty", call="other")], "settled twice"),
    ],
)
def test_a_call_that_is_not_settled_once_is_seen(records: Sequence[Record], rule: str) -> None:
    assert rule in names(unsettled([output(*records)], {"R": {ASKED}}))


def test_runs_are_told_apart() -> None:
    both = [output(*whole_call(1)), output(*whole_call(2, run="S"))]
    assert not list(unsettled(both, {"R": {ASKED}, "S": {ASKED}}))


# --- attempts -------------------------------------------------------------------------


def attempts(journal: Sequence[Fact], *records: Record, repeats: int = 0) -> list[str]:
    """Return what is wrong with the attempts."""
    return names(unequal_attempts([output(*records)], journal, repeats=repeats))


def requests(*tokens: str) -> list[Asked]:
    """Return requests, each on a connection of its own."""
    return [asked(float(n), n, token) for n, token in enumerate(tokens, 1)]


def broken_off(connection: int) -> list[Fact]:
    """Return a connection on which a request broke off."""
    return [Opened(0.0, connection, 1), Closed(1.0, connection, begun=True)]


def test_as_many_attempts_as_recorded_are_right() -> None:
    assert not attempts(requests(A, A, B), mark(attempts=2), mark(token=B, attempts=1))


def test_attempts_of_all_records_of_a_call_count() -> None:
    assert not attempts(requests(A, A), mark("failed", attempts=1), mark(attempts=1))


def test_a_request_that_nobody_recorded_is_hidden() -> None:
    assert attempts(requests(A, A), mark(attempts=1)) == ["hidden attempts"]


def test_a_request_of_one_token_does_not_stand_for_one_of_another() -> None:
    found = attempts(requests(A, A), mark(attempts=1), mark(token=B, attempts=1))
    assert found == ["hidden attempts", "invented attempts"]


def test_an_attempt_that_was_never_seen_is_invented() -> None:
    assert attempts(requests(A), mark(attempts=2)) == ["invented attempts"]


def test_a_request_that_broke_off_is_an_attempt() -> None:
    assert not attempts([*requests(A), *broken_off(9)], mark(attempts=2))
    assert attempts([*requests(A), *broken_off(9)], mark(attempts=1)) == ["hidden attempts"]


def test_a_connection_on_which_nothing_was_asked_is_an_attempt() -> None:
    silent: list[Fact] = [Opened(0.0, 9, 1), Closed(1.0, 9, begun=False)]
    assert not attempts([*requests(A), *silent], mark(attempts=2))
    assert attempts([*requests(A), *silent], mark(attempts=1)) == ["hidden attempts"]


def test_a_connection_that_ends_after_its_requests_is_no_further_attempt() -> None:
    journal: list[Fact] = [Opened(0.0, 1, 1), *requests(A), Closed(2.0, 1, begun=False)]
    assert not attempts(journal, mark(attempts=1))


def test_a_request_that_breaks_off_behind_another_is_one_more() -> None:
    journal: list[Fact] = [Opened(0.0, 1, 1), *requests(A), Closed(2.0, 1, begun=True)]
    assert not attempts(journal, mark(attempts=2))


def test_no_more_than_what_was_in_flight_may_be_repeated() -> None:
    journal = [*requests(A, A), *broken_off(9)]
    assert not attempts(journal, mark(attempts=1), repeats=2)
    assert attempts(journal, mark(attempts=1), repeats=1) == ["hidden attempts"]


def test_every_rule_is_part_of_the_judgement() -> None:
    journal: list[Fact] = [*exchange(0.0, 1), asked(0.1, 2), asked(0.2, 3, B)]
    done = output(row(1, 101), mark(rows=2), row(1, 1, B, tenant="acme"), ended(ok=9), rest="{")
    found = set(names(judge(journal, [done], Terms(60, OWNERS, planned={"R": {ASKED_B}}))))
    lines = {"torn line", "uncommitted rows", "miscounted"}
    assert found == lines | {"overlap", "foreign row", "lost rows", "unsettled", "hidden attempts"}


def test_outputs_without_anything_break_nothing() -> None:
    empty: list[Output] = []
    assert judge([], empty, Terms(60, OWNERS)) == []
