"""Which month an answer is of, and what closes it."""

import pytest

from wolkvox_async.statements import State, month_name

from .told import CALENDAR, answer, failed, gap, line, report, statement, told, utc


def of_months(*records: object) -> dict[str, object]:
    """Return the numbers by month."""
    return {month_name(one.month): next(one.lines).value for one in report(*records).statements}


def test_an_answer_is_of_the_month_in_the_timezone_of_the_report() -> None:
    assert of_months(answer("2026-11-30 23:59", 5), answer("2026-12-01 00:01", 1)) == {"2026-11": 5, "2026-12": 1}


def test_an_answer_under_way_when_the_month_turned_is_of_neither() -> None:
    records = (answer("2026-11-30 22:00", 5), answer("2026-12-01 00:00", 1, seconds=4.0))
    assert of_months(*records) == {"2026-11": 5}
    assert line(*records).astride == 1


def test_a_closing_reading_closes_its_month() -> None:
    closing = answer("2026-11-30 23:58", 9, slot=utc("2026-11-30 23:57"), closing=True)
    assert line(closing).state is State.CLOSING
    assert line(closing, answer("2026-12-01 00:03", 0)).value == 9


def test_a_month_that_is_over_wants_one_where_only_the_current_month_can_be_read() -> None:
    reading = answer("2026-11-30 23:50", 9)
    found = line(reading)
    assert (found.state, found.is_missing, found.left) == (State.UNCLOSED, True, 10 * 60_000)
    dated = answer("2026-11-30 23:50", 9, api="gamification")
    assert (line(dated).state, line(dated).is_missing) == (State.LAST, False)


def test_a_month_that_is_not_over_is_open() -> None:
    reading = answer("2026-11-20 23:50", 9)
    assert line(reading, now=CALENDAR.moment(utc("2026-11-21 00:00")).at).state is State.OPEN
    assert line(reading, now=CALENDAR.moment(utc("2026-12-01 00:00")).at).state is State.UNCLOSED


def test_records_behind_the_end_of_a_month_say_that_it_is_over_whatever_the_clock_says() -> None:
    records = (answer("2026-11-20 23:50", 9), answer("2026-12-02 00:00", 1))
    assert line(*records, now=0).state is State.UNCLOSED


def test_a_closing_reading_that_was_answered_after_the_turn_closes_nothing() -> None:
    late = answer("2026-12-01 00:05", 0, slot=utc("2026-11-30 23:59"), closing=True)
    november, december = line(answer("2026-11-30 23:00", 9), late), line(late, month="2026-12")
    assert (november.value, november.state) == (9, State.UNCLOSED)
    assert (december.value, december.state) == (0, State.UNCLOSED)


@pytest.mark.parametrize(
    ("closing", "behind"),
    [
        ("2026-11-30 21:58", "2026-11-30 22:03"),  # as in Santiago, two hours ahead
        ("2026-11-30 22:58", "2026-11-30 23:50"),
        ("2026-12-01 00:58", "2026-12-01 01:03"),  # as in Mexico City, an hour behind
    ],
)
def test_an_operation_in_another_timezone_is_known_by_its_closing_reading(closing: str, behind: str) -> None:
    records = (
        answer("2026-11-30 20:00", 900),
        answer("2026-12-01 00:30" if closing > "2026-12" else "2026-11-30 20:05", 950),
        answer(closing, 999, slot=utc(closing), closing=True),
        answer(behind, 3),
        answer("2026-12-02 10:00", 40),
    )
    assert of_months(*records) == {"2026-11": 999, "2026-12": 40}
    assert line(*records).state is State.CLOSING
    assert line(*records).fall is None
    assert line(*records, month="2026-12").fall is None


def test_usage_that_falls_within_a_month_is_told_of() -> None:
    found = line(answer("2026-11-10 10:00", 9), answer("2026-11-11 10:00", 4), answer("2026-11-12 10:00", 6))
    assert found.fall is not None
    assert (found.fall.before, found.fall.after, found.value) == (9, 4, 6)
    level = (answer("2026-11-10 10:00", 9, api="chat_licenses"), answer("2026-11-11 10:00", 4, api="chat_licenses"))
    assert line(*level).fall is None


@pytest.mark.parametrize("missed", [gap("2026-11-30 23:58", closing=True), failed("2026-11-30 23:58", closing=True)])
def test_a_closing_reading_that_was_missed_is_told_of_first(missed: dict[str, object]) -> None:
    found = statement(answer("2026-11-02 10:00", 9), gap("2026-11-03 10:00", "busy"), missed)
    assert [one.closing for one in found.outages] == [True, False]
    assert [each.state for each in found.lines] == [State.UNCLOSED]


def test_a_dated_call_of_a_whole_month_that_is_over_closes_it() -> None:
    window = {"from": "20261101000000", "to": "20261130235959"}
    assert line(answer("2026-12-03 10:00", 9, window=window)).state is State.CLOSING
    assert line(answer("2026-11-29 10:00", 9, window=window)).state is State.LAST
    part = {"from": "20261101000000", "to": "20261115235959"}
    assert line(answer("2026-12-03 10:00", 9, window=part)).state is State.LAST


def test_of_dated_calls_the_one_that_reaches_farthest_counts() -> None:
    far = answer("2026-11-10 10:00", 9, window={"from": "20261101000000", "to": "20261110235959"})
    near = answer("2026-11-12 10:00", 4, window={"from": "20261101000000", "to": "20261105235959"})
    assert line(far, near).value == 9


def test_a_month_between_others_without_a_reading_is_told_of() -> None:
    found = {
        month_name(one.month): next(one.lines).state
        for one in report(
            answer("2026-09-30 10:00", 9),
            answer("2026-11-30 10:00", 9),
            answer("2026-10-05 10:00", 1, operation="quito"),
        ).statements
        if one.sections[0].operation == "bogota"
    }
    assert found["2026-10"] is State.NONE


def test_a_month_of_which_nothing_at_all_was_read_is_told_of() -> None:
    found = report(answer("2026-09-30 10:00", 9), answer("2026-12-05 10:00", 9), now=0)
    states = [(month_name(one.month), next(one.lines).state, one.is_troubled) for one in found.statements]
    assert states[1:3] == [("2026-11", State.NONE, True), ("2026-10", State.NONE, True)]
    assert found.months == tuple(range(found.months[0], found.months[0] - 4, -1))


@pytest.mark.parametrize(
    "records",
    [
        (answer("2025-09-30 10:00", 9), answer("2026-11-05 10:00", 9)),  # a clock that went wrong
        (
            answer("2026-09-30 10:00", 9, window={"from": "20260901000000", "to": "20260930235959"}),
            answer("2026-11-05 10:00", 9, window={"from": "20261101000000", "to": "20261105235959"}),
        ),
    ],
)
def test_what_lies_far_apart_or_can_be_asked_for_later_has_no_months_between(records: tuple[object, ...]) -> None:
    assert len(report(*records).months) == 2


def test_failures_alone_make_a_line_without_a_reading() -> None:
    assert (
        line(
            told(
                "2026-11-30 23:50",
                outcome="failed",
                rows=0,
                error={"kind": "timeout", "message": "", "retryable": True},
            )
        ).state
        is State.NONE
    )
