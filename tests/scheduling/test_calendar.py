"""Every place of the grid is one slot, and every month is closed once, as late as it may be."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.model import Slot
from wolkvox_async.scheduling.calendar import Grid, Timetable
from wolkvox_async.windows import timezone

MINUTE = 60_000
INTERVAL = 5 * MINUTE
DAY = 24 * 60 * MINUTE

ZONES = (
    "America/Bogota",
    "America/Santiago",
    "America/Havana",
    "America/Asuncion",
    "America/Mexico_City",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "Europe/Madrid",
    "UTC",
)
zones = st.sampled_from(ZONES)
moments = st.integers(1_672_531_200_000, 1_956_441_600_000)  # 2023 to 2031
phases = st.integers(0, INTERVAL - 1)
leads = st.integers(1, 3 * INTERVAL)


def unix(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=timezone(zone)).timestamp() * 1000)


def slots(timetable: Timetable, since: int, until: int, leads: list[int]) -> list[Slot]:
    """Go through the slots up to `until`, with one lead after the other, again and again."""
    found = [timetable.first(since, leads[0])]
    while found[-1].place < until:
        found.append(timetable.next(found[-1], leads[len(found) % len(leads)]))
    return found


def near_a_turn(zone: str, moment: int) -> tuple[int, int, int]:
    """Return a turn of a month, and two hours before and after it."""
    turn = Timetable(Grid(INTERVAL, 0), timezone(zone)).turn(moment)
    assert turn is not None
    return turn, turn - 120 * MINUTE, turn + 120 * MINUTE


@given(zones, moments, phases, st.lists(leads, min_size=1, max_size=7))
def test_every_place_is_one_slot_whatever_the_lead_does(zone: str, moment: int, phase: int, leads: list[int]) -> None:
    _, since, until = near_a_turn(zone, moment)
    found = slots(Timetable(Grid(INTERVAL, phase), timezone(zone)), since, until, leads)
    assert all(later.place - one.place == INTERVAL for one, later in pairwise(found))
    assert all(slot.place % INTERVAL == phase for slot in found)
    assert found[0].due >= since


@given(zones, moments, phases, st.lists(leads, min_size=1, max_size=7))
def test_nothing_is_asked_twice_within_an_interval(zone: str, moment: int, phase: int, leads: list[int]) -> None:
    _, since, until = near_a_turn(zone, moment)
    found = slots(Timetable(Grid(INTERVAL, phase), timezone(zone)), since, until, leads)
    asked = [slot.due for slot in found if not slot.dropped]
    assert all(later - one >= INTERVAL for one, later in pairwise(asked))


@given(zones, moments, phases, st.lists(leads, min_size=1, max_size=7))
def test_a_month_is_closed_once_and_before_it_turns(zone: str, moment: int, phase: int, leads: list[int]) -> None:
    turn, since, until = near_a_turn(zone, moment)
    found = slots(Timetable(Grid(INTERVAL, phase), timezone(zone)), since, until, leads)
    (closing,) = [slot for slot in found if slot.closing]
    assert turn - max(leads) - INTERVAL < closing.due < turn
    assert closing.closed == turn


@given(zones, moments, phases, st.integers(1, INTERVAL))
def test_the_closing_slot_is_as_late_as_its_lead_allows(zone: str, moment: int, phase: int, lead: int) -> None:
    turn, since, until = near_a_turn(zone, moment)
    found = slots(Timetable(Grid(INTERVAL, phase), timezone(zone)), since, until, [lead])
    (closing,) = [slot for slot in found if slot.closing]
    assert closing.due == turn - lead
    dropped = [slot.place for slot in found if slot.dropped]
    assert dropped == ([closing.place + INTERVAL] if closing.due > closing.place else [])


@given(zones, moments, phases, leads, st.integers(0, 239))
def test_whoever_was_away_goes_on_with_the_same_slots(zone: str, moment: int, phase: int, lead: int, cut: int) -> None:
    _, since, until = near_a_turn(zone, moment)
    timetable = Timetable(Grid(INTERVAL, phase), timezone(zone))
    found = slots(timetable, since, until, [lead])
    last = found[cut % len(found)]
    again = [last]
    while len(again) < len(found):
        again.append(timetable.next(again[-1], lead))
    assert again[: len(found) - found.index(last)] == found[found.index(last) :]


@given(moments, phases)
def test_what_can_be_read_later_has_no_closing_slot(moment: int, phase: int) -> None:
    found = slots(Timetable(Grid(INTERVAL, phase)), moment, moment + DAY, [MINUTE])
    assert len(found) == DAY // INTERVAL + 1
    assert not any(slot.closing or slot.dropped for slot in found)
    assert all(slot.due == slot.place for slot in found)


@pytest.mark.parametrize(
    ("zone", "before", "turn"),
    [
        ("America/Bogota", "2026-11-30T12:00", "2026-12-01T00:00"),
        ("America/Bogota", "2026-12-31T12:00", "2027-01-01T00:00"),
        ("America/Bogota", "2028-02-29T12:00", "2028-03-01T00:00"),
        ("Europe/Madrid", "2026-03-29T12:00", "2026-04-01T00:00"),
        ("America/Santiago", "2026-04-04T12:00", "2026-05-01T00:00"),
    ],
)
def test_a_month_turns_at_midnight_of_its_timezone(zone: str, before: str, turn: str) -> None:
    assert Timetable(Grid(INTERVAL, 0), timezone(zone)).turn(unix(before, zone)) == unix(turn, zone)


def test_who_begins_within_the_lead_takes_the_closing_reading_still() -> None:
    turn = unix("2026-12-01T00:00")
    timetable = Timetable(Grid(INTERVAL, MINUTE), timezone("UTC"))
    begun = timetable.first(turn - 3 * MINUTE, 2 * MINUTE)
    assert begun == Slot(turn - 4 * MINUTE, turn - 2 * MINUTE, closing=True, closed=turn)


def test_who_begins_after_the_last_place_of_a_month_begins_with_the_next_month() -> None:
    turn = unix("2026-12-01T00:00")
    timetable = Timetable(Grid(INTERVAL, MINUTE), timezone("UTC"))
    assert timetable.first(turn - MINUTE, 2 * MINUTE).place == turn + MINUTE


@given(st.text(max_size=40), st.integers(1, 10 * INTERVAL))
def test_a_phase_is_less_than_the_interval_and_always_the_same(key: str, interval: int) -> None:
    grid = Grid.of(key, interval)
    assert 0 <= grid.phase < interval
    assert grid == Grid.of(key, interval)


def test_phases_are_spread_evenly() -> None:
    tenths = [Grid.of(f"tk_{number:012x} interactions", INTERVAL).phase * 10 // INTERVAL for number in range(10_000)]
    assert all(850 < tenths.count(tenth) < 1_150 for tenth in range(10))


@given(moments, phases)
def test_the_place_before_a_moment_is_the_last_one(moment: int, phase: int) -> None:
    place = Grid(INTERVAL, phase).before(moment)
    assert place < moment <= place + INTERVAL
    assert place % INTERVAL == phase


@given(zones, moments, phases, leads, st.integers(0, 3 * DAY))
def test_whoever_goes_on_later_has_the_same_slots_as_whoever_never_left(
    zone: str, moment: int, phase: int, lead: int, away: int
) -> None:
    timetable = Timetable(Grid(INTERVAL, phase), timezone(zone))
    last = timetable.first(moment, lead)
    since = moment + away
    expected = timetable.next(last, lead)
    while expected.due < since:
        expected = timetable.next(expected, lead)
    found = timetable.after(last, since, lead)
    assert found.place == expected.place
    assert found.due >= since
