"""Everything that is watched comes due once per place of its grid, and is over when it is too late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.catalog import Catalog
from wolkvox_async.identity import CallIds
from wolkvox_async.model import GapReason, Operation, Slot, Token
from wolkvox_async.planning import DateRange, Subscription, Wanted
from wolkvox_async.scheduling.leads import GUESS, MARGIN, Leads, LeadTerms
from wolkvox_async.scheduling.rounds import REMEMBERED, Due, Rounds, grace
from wolkvox_async.scheduling.subjects import Subject, Subjects

CATALOG = Catalog()
TERMS = LeadTerms(timeout=65.0, server_limit=60.0, per_server=32, max_in_flight=1000)
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOW = round(NOON.timestamp() * 1000)
INTERVAL = 300_000
TURN = round(datetime(2026, 12, 1, 5, tzinfo=UTC).timestamp() * 1000)


def subjects(*apis: str, count: int = 1, interval: float = 300.0) -> list[Subject]:
    wanted = tuple(Wanted(endpoint) for api in apis or ("interactions",) if (endpoint := CATALOG.get(api)))
    operations = [Operation(f"t{n}", "main", "0010", Token(f"made-up-token-{n}")) for n in range(count)]
    return list(Subjects(interval).of([Subscription(operation, wanted) for operation in operations], NOON))


def rounds(watched: list[Subject], now: int = NOW) -> Rounds:
    found = Rounds(Leads(TERMS))
    for subject in watched:
        found.add(subject, None, now)
    return found


def drain(found: Rounds, now: int) -> list[Due]:
    due = []
    while (one := found.take(now)) is not None:
        due.append(one)
    return due


def on_time(found: Rounds, until: int) -> list[Due]:
    """Take everything when it is due."""
    due = []
    while (at := found.next_at()) is not None and at <= until:
        due += drain(found, at)
        while found.turned(at) is not None:
            pass
        if found.next_at() == at:
            break
    return due


def test_what_is_taken_in_time_is_begun() -> None:
    found = rounds(subjects(count=10))
    due = on_time(found, NOW + 10 * INTERVAL - 1)
    assert len(due) == 100
    assert {one.gap for one in due} == {None}


@given(st.lists(st.integers(1, 20 * INTERVAL), min_size=1, max_size=30))
def test_every_place_of_every_grid_comes_up_once_however_seldom_one_looks(pauses: list[int]) -> None:
    found, now, due = rounds(subjects(count=3)), NOW, []
    for pause in pauses:
        now += pause
        due += drain(found, now)
    for watched in found:
        places = [one.slot.place for one in due if one.watched is watched]
        first = watched.subject.timetable.first(NOW, 1).place
        assert places == [first + n * INTERVAL for n in range(len(places))]
        assert watched.next.place == first + len(places) * INTERVAL > now - INTERVAL


@given(st.integers(0, 3 * INTERVAL))
def test_a_slot_is_begun_a_moment_late_and_not_later(late: int) -> None:
    found = rounds(subjects())
    at = found.next_at()
    assert at is not None
    first, *_ = drain(found, at + late)
    assert first.gap is (None if late <= grace(300.0) * 1000 else GapReason.SUSPENDED)


def test_what_was_due_before_the_watching_began_was_stopped_and_does_not_come_due() -> None:
    (subject,) = subjects()
    last = subject.timetable.first(NOW - 10 * INTERVAL, 1)
    found = Rounds(Leads(TERMS))
    watched = found.add(subject, last, NOW)
    assert drain(found, NOW) == []
    missed = list(found.take_missed(watched))
    assert {reason for _, reason in missed} == {GapReason.STOPPED}
    places = [last.place, *(slot.place for slot, _ in missed), watched.next.place]
    assert places == [last.place + n * INTERVAL for n in range(len(places))]
    assert found.behind() is None


def test_what_was_missed_may_be_told_of_little_by_little() -> None:
    (subject,) = subjects()
    last = subject.timetable.first(NOW - 100 * INTERVAL, 1)
    found = Rounds(Leads(TERMS))
    watched, told = found.add(subject, last, NOW), []
    while (behind := found.behind()) is not None:
        assert behind is watched
        told += [slot.place for slot, _ in islice(found.take_missed(watched), 7)]
    assert told == [last.place + n * INTERVAL for n in range(1, len(told) + 1)]
    assert watched.next.place == told[-1] + INTERVAL


def test_what_was_missed_long_ago_is_not_told_of() -> None:
    (subject,) = subjects()
    last = subject.timetable.first(NOW - 400 * 86_400_000, 1)
    found = Rounds(Leads(TERMS))
    assert len(list(found.take_missed(found.add(subject, last, NOW)))) == REMEMBERED // INTERVAL


def test_what_is_back_within_a_moment_has_missed_nothing() -> None:
    (subject,) = subjects()
    last = subject.timetable.first(NOW - 10 * INTERVAL, 1)
    found = Rounds(Leads(TERMS))
    watched = found.add(subject, last, last.place + INTERVAL + 20_000)
    (due,) = drain(found, last.place + INTERVAL + 20_000)
    assert (watched.missed, due.gap, due.slot.place) == (None, None, last.place + INTERVAL)


def test_a_closing_slot_is_begun_as_long_as_its_month_has_not_turned() -> None:
    (subject,) = subjects()
    last = subject.timetable.first(TURN - 3 * INTERVAL, 1)
    found = Rounds(Leads(TERMS))
    found.add(subject, last, TURN - 1)
    (closing,) = [one for one in drain(found, TURN - 1) if one.slot.closing]
    assert closing.gap is None
    found = Rounds(Leads(TERMS))
    missed = list(found.take_missed(found.add(subject, last, TURN)))
    assert [reason for slot, reason in missed if slot.closing] == [GapReason.STOPPED]


def test_a_month_that_turns_ends_a_closing_reading_that_is_still_open() -> None:
    (subject,) = subjects()
    found = rounds([subject], TURN - 2 * INTERVAL)
    due = on_time(found, TURN - 1)
    (closing,) = [one for one in due if one.slot.closing]
    closing.watched.call = None
    assert found.turned(TURN) is None
    found = rounds([subject], TURN - 2 * INTERVAL)
    (closing,) = [one for one in on_time(found, TURN - 1) if one.slot.closing]
    closing.watched.call = subject.call(CallIds("0" * 26), closing.slot)
    assert found.turned(TURN - 1) is None
    assert found.turned(TURN) is closing.watched


def test_what_is_removed_does_not_come_due() -> None:
    watched = subjects(count=2)
    found = rounds(watched)
    found.remove(watched[0].key)
    assert {one.watched.subject.key for one in on_time(found, NOW + INTERVAL)} == {watched[1].key}


# --- how early closing readings are begun -------------------------------------------------


def test_a_lead_has_room_for_all_endpoints_a_time_out_and_the_vendors_limit() -> None:
    watched = subjects("interactions", "vision", "ivr_calls")
    leads = Leads(TERMS)
    for subject in watched:
        leads.add(subject)
        leads.measured(subject, 7.0)
    work = 3 * 7.0
    assert leads.of(watched[0]) == ceil((work + 65 + 60 + work / 32 + MARGIN) * 1000)


def test_a_slow_reading_counts_at_once_and_fast_ones_bring_it_down_slowly() -> None:
    (subject,) = subjects()
    leads = Leads(TERMS)
    leads.add(subject)
    leads.measured(subject, 20.0)
    slow = leads.of(subject)
    leads.measured(subject, 1.0)
    faster = leads.of(subject)
    for _ in range(200):
        leads.measured(subject, 1.0)
    assert slow > faster > leads.of(subject)
    assert slow - faster < 3000
    assert abs(leads.of(subject) - ceil((65 + 60 + 1.0 * 33 / 32 + MARGIN) * 1000)) < 50


def test_what_waits_at_one_server_makes_leads_longer() -> None:
    watched = subjects(count=640)
    leads = Leads(TERMS)
    for subject in watched:
        leads.add(subject)
    assert leads.of(watched[0]) == ceil((GUESS + 65 + 60 + 640 * GUESS / 32 + MARGIN) * 1000)


def test_what_is_removed_counts_no_more() -> None:
    watched = subjects(count=3)
    leads = Leads(TERMS)
    leads.add(watched[0])
    alone = leads.of(watched[0])
    for subject in watched[1:]:
        leads.add(subject)
    for subject in watched[1:]:
        leads.remove(subject)
    assert leads.of(watched[0]) == alone


# --- what is watched ----------------------------------------------------------------------


def test_a_replaced_token_leaves_every_slot_where_it_is() -> None:
    endpoint = CATALOG.get("interactions")
    assert endpoint is not None
    keys = set()
    for name in ("one", "another"):
        operation = Operation("acme", "main", "0010", Token(f"made-up-token-{name}"))
        (subject,) = Subjects(300.0).of([Subscription(operation, (Wanted(endpoint),))], NOON)
        keys.add((subject.key, subject.timetable.grid))
    assert len(keys) == 1


def test_what_two_entries_ask_of_one_token_is_watched_once() -> None:
    endpoint = CATALOG.get("interactions")
    assert endpoint is not None
    token = Token("made-up-token-shared")
    twice = [Subscription(Operation("acme", name, "0010", token), (Wanted(endpoint),)) for name in ("one", "two")]
    found = Subjects(300.0)
    assert [subject.operation.name for subject in found.of(twice, NOON)] == ["one"]
    assert [(double.path, double.first) for double in found.doubles] == [("acme/two", "acme/one")]


def test_dates_over_several_months_are_a_subject_for_each() -> None:
    endpoint = CATALOG.get("gamification")
    assert endpoint is not None
    operation = Operation("acme", "main", "0010", Token("made-up-token-dates"))
    dates = DateRange("2026-09-15", "2026-11-10")
    found = list(Subjects(300.0).of([Subscription(operation, (Wanted(endpoint, dates),))], NOON))
    assert [subject.month(NOW) for subject in found] == ["202609", "202610", "202611"]
    assert len({subject.key for subject in found}) == 3


def test_the_word_for_a_month_goes_with_the_time() -> None:
    endpoint = CATALOG.get("gamification")
    assert endpoint is not None
    operation = Operation("acme", "main", "0010", Token("made-up-token-dates"), "UTC")
    (subject,) = Subjects(300.0).of([Subscription(operation, (Wanted(endpoint, "current-month"),))], NOON)
    windows = [subject.window(Slot(0, round((NOON + timedelta(days=n)).timestamp() * 1000))) for n in (0, 10)]
    assert [window.date_ini for window in windows if window is not None] == ["20261101000000", "20261201000000"]


@pytest.mark.parametrize("before", [20_000, 100_000, 400_000])
def test_whoever_is_back_shortly_before_a_month_turns_closes_it_once(before: int) -> None:
    watched = subjects(count=200)
    found = Rounds(Leads(TERMS))
    found.announce(watched)
    since = TURN - before
    for subject in watched:
        found.add(subject, subject.timetable.first(TURN - 60 * INTERVAL, 1), since)
    closings = {subject.key: 0 for subject in watched}
    for each in found:
        missed = [slot for slot, _ in found.take_missed(each)]
        assert all(slot.due < since for slot in missed)
        closings[each.subject.key] += sum(slot.closing for slot in missed)
    for due in on_time(found, TURN + INTERVAL):
        closings[due.watched.subject.key] += due.slot.closing
        assert not due.slot.closing or due.gap is None
    assert set(closings.values()) == {1}


def test_what_is_watched_anew_goes_on_behind_what_was_told() -> None:
    (subject,) = subjects()
    last = subject.timetable.first(NOW - 10 * INTERVAL, 1)
    for missed in (True, False):
        found = Rounds(Leads(TERMS))
        watched = found.add(subject, last, NOW, missed=missed)
        assert watched.last is not None
        assert watched.last.place + INTERVAL == watched.next.place
