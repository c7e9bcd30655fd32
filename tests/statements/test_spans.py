"""What went wrong, as spans of time."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.statements import Trouble

from .told import answer, failed, gap, line, statement

BEGIN = datetime(2026, 11, 3, 10)  # noqa: DTZ001 - as the helpers take it


def at(slot: int) -> str:
    """Return the time of a slot."""
    return f"{BEGIN + timedelta(minutes=5 * slot):%Y-%m-%d %H:%M}"


def test_slots_missed_one_after_the_other_for_one_reason_are_one_span() -> None:
    (found,) = statement(gap(at(0)), gap(at(1)), gap(at(2))).outages
    assert (found.trouble, found.reason, found.count, found.last - found.first) == (Trouble.GAP, "down", 3, 600_000)


def test_a_reading_or_another_reason_ends_a_span() -> None:
    records = (gap(at(0)), answer(at(10), 1), gap(at(20)), gap(at(21), "busy"), gap(at(22), "busy"))
    assert [(one.reason, one.count) for one in statement(*records).outages] == [("down", 1), ("down", 1), ("busy", 2)]


def test_what_befell_many_at_once_is_told_once() -> None:
    found = statement(
        *(gap(at(slot), operation=name, api=api) for slot in (0, 1) for name in ("a", "b") for api in ("x", "y"))
    )
    (outage,) = found.outages
    assert (outage.count, outage.subjects) == (8, (("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")))


def test_the_message_of_a_failure_is_kept_and_gaps_and_failures_stay_apart() -> None:
    found = statement(gap(at(0)), failed(at(1), "timeout"))
    assert [(one.trouble, one.reason, one.message) for one in found.outages] == [
        (Trouble.GAP, "down", ""),
        (Trouble.FAILED, "timeout", "m"),
    ]


def test_a_subject_that_fails_every_other_time_keeps_its_count_in_bounded_room() -> None:
    records = [one for slot in range(1000) for one in (gap(at(2 * slot)), *answer(at(2 * slot + 1), slot))]
    (found,) = statement(records).lines
    assert found.gaps == 1000
    outages = statement(records).outages
    assert len(outages) <= 51
    assert sum(one.count for one in outages) == 1000
    assert outages[-1].scattered


@given(st.lists(st.sampled_from(["ok", "down", "busy", "timeout"]), min_size=1, max_size=60))
def test_every_slot_without_a_reading_is_counted_once(slots: list[str]) -> None:
    records = [
        answer(at(n), n, slot=None)
        if one == "ok"
        else failed(at(n), one, call=str(n))
        if one == "timeout"
        else gap(at(n), one)
        for n, one in enumerate(slots)
    ]
    found = line(*records)
    assert (found.readings, found.gaps, found.failed) == (
        slots.count("ok"),
        slots.count("down") + slots.count("busy"),
        slots.count("timeout"),
    )
    assert sum(one.count for one in statement(*records).outages) == found.gaps + found.failed
