"""What many machines wrote together, judged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.judging.evidence import Terms
from tests.judging.outputs import Record
from tests.judging.samples import OWNERS, A, B, answered, asked, exchange, mark, output, row, whole_call
from torture.chaos.judgement import broken_slots, doubled_calls, judge, slots, unrecorded

INTERVAL = 3.0
_ORIGIN = 1_795_360_000.0


def at(number: float) -> str:
    """Return the due time of the slot with that number."""
    return datetime.fromtimestamp(_ORIGIN + number * INTERVAL, UTC).isoformat(timespec="milliseconds")


def call(number: float, token: str = A, **changes: Any) -> Record:
    return mark("failed", token, slot=at(number), **{"closing": False, "call": f"C{token}{number}", **changes})


def gap(number: float, token: str = A, **changes: Any) -> Record:
    whose = {name: call(number, token)[name] for name in ("run", "tenant", "operation", "server", "api")}
    return {"type": "gap", **whose, "slot": at(number), "reason": "stopped", "closing": False, **changes}


def rules(*records: Record) -> list[str]:
    return [violation.rule for violation in broken_slots(output(*records), INTERVAL)]


def test_slots_that_end_one_after_the_other_break_nothing() -> None:
    assert not rules(call(1), call(1, B), gap(2), call(2, B), call(3), call(1, api="vision"))


def test_a_slot_without_a_record_is_lost() -> None:
    found = list(broken_slots(output(call(1), gap(2), call(5)), INTERVAL))
    assert [violation.rule for violation in found] == ["lost slot"]
    assert "2 slots" in found[0].text


@pytest.mark.parametrize("second", [call(2), gap(2), gap(2, reason="overrun")])
def test_a_slot_that_ends_twice_is_seen_whoever_wrote_it(second: Record) -> None:
    assert rules(call(1), call(2, run="other"), second, call(3)) == ["doubled slot"]


def test_a_slot_that_comes_late_is_out_of_order() -> None:
    assert rules(call(1), call(3), gap(2)) == ["slot out of order"]


def test_a_slot_beside_the_grid_is_odd() -> None:
    assert rules(call(1), call(2.5)) == ["odd slot"]


def test_each_subject_has_slots_of_its_own() -> None:
    assert not rules(call(1), call(9, B), call(5, api="vision"), call(2))


def test_closing_readings_stand_beside_the_grid() -> None:
    assert not rules(call(1), call(1.7, closing=True), call(2))


def test_calls_of_a_pass_have_no_slot() -> None:
    assert not slots(output(mark("ok", slot=None, closing=False)))


def test_two_records_of_one_call_are_seen() -> None:
    twice = output(call(1), call(2, call="X"), call(3, call="X"))
    assert [violation.about for violation in doubled_calls(twice)] == ["call X"]


def test_a_request_that_no_record_tells_of_is_counted() -> None:
    journal = [*exchange(0.0, 1), *exchange(3.0, 2), asked(6.0, 3)]
    assert unrecorded(journal, output(call(1))) == 2


def whole(answer: int, number: int) -> list[Record]:
    return whole_call(answer, slot=at(number), closing=False, call=f"C{number}")


def judged(journal: list[Any], *records: Record, repeats: int = 0) -> list[str]:
    found = judge(journal, output(*records), Terms(1.0, OWNERS, interval=INTERVAL, repeats=repeats), 1.0)
    return [violation.rule for violation in found]


def test_what_is_as_it_should_be_breaks_nothing() -> None:
    assert not judged([*exchange(0.0, 1), *exchange(3.0, 2)], *whole(101, 1), *whole(102, 2))


def test_an_answer_that_nobody_waited_for_any_more_forbids_nothing() -> None:
    late = [asked(0.0, 1), answered(1.5, 1, answer=101), *exchange(1.6, 2)]
    assert judged(late, *whole(102, 2), repeats=1) == []
    assert judged([*exchange(0.0, 1), *exchange(1.6, 2)], *whole(102, 2), repeats=1) == ["early"]


def test_a_call_that_died_with_its_machine_may_have_no_record() -> None:
    journal = [*exchange(0.0, 1), *exchange(3.0, 2)]
    assert judged(journal, *whole(101, 1)) == ["hidden attempts"]
    assert not judged(journal, *whole(101, 1), repeats=1)


def test_everything_is_looked_at() -> None:
    journal = [*exchange(0.0, 1), *exchange(0.2, 2)]
    assert judged(journal, *whole(101, 1), *whole(102, 2)) == ["overlap", "early"]
    assert judged(exchange(0.0, 1), *whole(107, 1)) == ["misplaced rows"]
    assert judged(exchange(0.0, 1), *whole(101, 1), call(2)) == ["invented attempts"]
    assert "uncommitted rows" in judged(exchange(0.0, 1), *whole(101, 1), row(1, 101))
    assert judged(exchange(0.0, 1), *(record | {"tenant": "globex"} for record in whole(101, 1)))[0] == "foreign row"
