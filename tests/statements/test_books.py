"""What counts of records, and what does not."""

from contextlib import nullcontext
from typing import Any

import pytest

from wolkvox_async.statements import Lack, NewerError, State, Trouble

from .told import answer, books, failed, gap, line, report, run, statement, told


def test_rows_count_only_with_their_call_record() -> None:
    *rows, _ = answer("2026-11-05 10:00", 99)
    found = report(answer("2026-11-04 10:00", 5), rows)
    assert [each.value for each in found.statements[0].lines] == [5]
    assert found.unmarked == 1


def test_rows_of_another_call_do_not_count_for_it() -> None:
    *rows, _ = answer("2026-11-05 10:00", 99)
    found = line(rows, answer("2026-11-06 10:00", 7))
    assert (found.value, found.readings) == (7, 1)


def test_an_answer_whose_rows_are_not_there_is_no_number() -> None:
    *_, call = answer("2026-11-05 10:00", 4, 5)
    assert line(call).value is None
    assert line(call).content.lack is Lack.INCOMPLETE  # type: ignore[union-attr]
    *_, cut = answer("2026-11-05 10:00", 4, truncated=True)
    assert line(answer("2026-11-05 10:00", 4)[:1], cut).content.lack is Lack.INCOMPLETE  # type: ignore[union-attr]


def test_the_last_reading_of_the_month_counts_whatever_order_they_come_in() -> None:
    early, late = answer("2026-11-05 10:00", 5), answer("2026-11-28 10:00", 50)
    assert line(early, late).value == line(late, early).value == 50
    assert line(late, early).days[4] == 5


def test_reading_the_same_twice_changes_nothing() -> None:
    records = [
        *answer("2026-11-05 10:00", 5),
        gap("2026-11-05 10:05"),
        gap("2026-11-05 10:10"),
        failed("2026-11-05 10:15", call="F"),
        *answer("2026-11-05 10:20", 6),
        gap("2026-11-05 10:25", "stopped"),
    ]
    once, twice = statement(records), statement(records, records)
    assert once.troubled() == twice.troubled() == (1, 3, 1, 0)
    assert [each.value for each in twice.lines] == [6]


@pytest.mark.parametrize(("schema", "is_newer"), [(0, False), (1, False), ("2", False), (2, True)])
def test_what_a_later_version_wrote_is_told_of(schema: object, is_newer: bool) -> None:
    with pytest.raises(NewerError) if is_newer else nullcontext():
        assert books(run("started", calls=1, schema=schema)).records == 1


def test_an_empty_answer_is_neither_zero_nor_a_failure() -> None:
    found = line(answer("2026-11-05 10:00", 5), told("2026-11-06 10:00", outcome="empty", rows=0))
    assert (found.value, found.content.lack, found.failed) == (None, Lack.EMPTY, 0)  # type: ignore[union-attr]
    assert found.number is not None
    assert found.number.content.value == 5
    assert found.days[4:6] == (5, None)
    assert found.is_wanting
    assert not line(told("2026-11-06 10:00", outcome="empty", rows=0)).is_wanting


def test_an_answer_without_rows_repeats_the_one_before_it_in_its_run() -> None:
    first = answer("2026-11-05 10:00", 5, slot="2026-11-05T15:00:00.000Z")
    same = told("2026-11-05 10:05", rows=0, slot="2026-11-05T15:05:00.000Z")
    assert line(first, same).value == 5
    assert line(first, same).readings == 2
    unknown = line(first, {**same, "run": "another"})
    assert (unknown.value, unknown.content.lack) == (None, Lack.UNSEEN)  # type: ignore[union-attr]


def test_of_a_call_that_was_made_again_in_its_run_the_last_record_counts() -> None:
    lost = failed("2026-11-05 10:00", call="C")
    assert line(lost, answer("2026-11-05 11:00", 5, call="C")).failed == 0
    assert line(lost, answer("2026-11-05 11:00", 5, call="D")).failed == 1
    assert line(lost, failed("2026-11-05 11:00", call="C")).failed == 1
    assert line(lost, answer("2026-11-05 11:00", 5, call="C", run="S")).failed == 1


def test_a_slot_told_of_as_call_and_as_gap_counts_as_the_call() -> None:
    slot = "2026-11-05T15:00:00.000Z"
    call = answer("2026-11-05 10:00", 5, slot=slot)
    assert line(call, gap("2026-11-05 10:00", "stopped")).gaps == 0
    assert line(call, gap("2026-11-05 10:05", "stopped")).gaps == 1


def test_what_was_dropped_or_not_due_is_nothing_missing() -> None:
    found = line(
        answer("2026-11-05 10:00", 5),
        gap("2026-11-05 10:05", "closing"),
        failed("2026-11-05 10:10", "not_due", outcome="skipped"),
    )
    assert (found.gaps, found.failed, found.skipped) == (0, 0, 0)


def test_a_call_that_was_held_is_told_of_as_not_made() -> None:
    found = statement(failed("2026-11-05 10:10", "held", outcome="skipped"))
    assert [(one.trouble, one.reason) for one in found.outages] == [(Trouble.SKIPPED, "held")]
    assert [each.state for each in found.lines] == [State.NONE]


def test_parameters_and_dates_tell_lines_apart() -> None:
    window = {"from": "20261101000000", "to": "20261130235959"}
    found = statement(
        answer("2026-11-05 10:00", 1),
        answer("2026-11-05 10:01", 2, params={"campaign": "7"}),
        answer("2026-11-05 10:02", 3, window=window),
    )
    assert [(each.key.params, each.key.dated, each.value) for each in found.lines] == [
        ("", False, 1),
        ("campaign=7", False, 2),
        ("", True, 3),
    ]


def test_a_run_without_an_end_is_told_of_until_it_ends() -> None:
    began = [run("started", calls=400), answer("2026-11-05 10:00", 5)]
    (open_run,) = report(*began).runs
    assert (open_run.calls, open_run.told, open_run.watching) == (400, 1, False)
    assert report(*began, run("finished")).runs == ()
    assert report(*began, run("stopped")).runs == ()
    assert len(report(*began, run("finished"), run("resumed"), answer("2026-11-06 10:00", 5)).runs) == 1


def test_a_watch_is_known_by_its_slots() -> None:
    (open_run,) = report(run("started"), answer("2026-11-05 10:00", 5, slot="2026-11-05T15:00:00.000Z")).runs
    assert open_run.watching


def test_nothing_of_another_tenant_gets_in() -> None:
    found = report(
        run("started", calls=2),
        answer("2026-11-05 10:00", 5),
        answer("2026-12-28 10:00", 77, tenant="globex", run="S"),
        gap("2026-12-28 10:05", tenant="globex"),
        answer("2026-12-28 10:10", 78, tenant="globex")[0],
        tenant="acme",
    )
    assert {one.tenant for one in found.statements} == {"acme"}
    assert (len(found.months), found.unmarked) == (1, 0)
    assert "globex" not in repr(found)


@pytest.mark.parametrize(
    "record",
    [
        {},
        [],
        None,
        7,
        {"type": "call"},
        {"type": 5},
        {**told("2026-11-05 10:00", rows=1), "at": "yesterday"},
        {**told("2026-11-05 10:00", rows=1), "tenant": ["x"]},
        {**gap("2026-11-05 10:00"), "slot": None},
        {"type": "row", "run": "R"},
    ],
)
def test_what_is_no_record_is_refused(record: Any) -> None:
    taken = books()
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError, ArithmeticError)):
        taken.add(record)
    assert taken.records == 0


def test_a_record_of_a_type_to_come_is_left_alone() -> None:
    assert books({"type": "weather", "sun": True}).records == 1
