"""When what is watched is due, and how much that makes a minute."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wolkvox_async.apps.loads import loads
from wolkvox_async.apps.timetables import dated, ordinary, rows, settled, turns
from wolkvox_async.catalog import BILLING, Catalog, Endpoint
from wolkvox_async.model import Operation, Token
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.scheduling.leads import Leads, LeadTerms
from wolkvox_async.scheduling.subjects import Subject, Subjects

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT = round(NOW.timestamp() * 1000)
HOUR = 3_600_000
TERMS = LeadTerms(timeout=65.0, server_limit=60.0, per_server=32, max_in_flight=1000)
MONTHLY = tuple(endpoint for endpoint in BILLING if endpoint.monthly)
LEVEL = Catalog().get("gamification")  # takes dates, so that no month closes it


def subscription(name: str, *endpoints: Endpoint, zone: str = "America/Bogota", server: str = "0010") -> Subscription:
    operation = Operation("acme", name, server, Token(f"made-up-token-{name}"), zone)
    return Subscription(operation, tuple(map(Wanted, endpoints)))


def watching(*subscriptions: Subscription, interval: float = 300.0) -> list[Subject]:
    return list(Subjects(interval).of(subscriptions, NOW))


def leads(subjects: list[Subject], seconds: float = 1.0) -> Leads:
    return settled(subjects, TERMS, lambda _operation, _api: seconds)


zones = st.sampled_from(["America/Bogota", "America/Havana", "Asia/Kathmandu", "Europe/Madrid", "UTC"])
moments = st.integers(1_672_531_200_000, 1_956_441_600_000)  # 2023 to 2031


@given(moments, zones, st.sampled_from([60.0, 300.0, 3600.0]), st.floats(0.05, 30))
def test_what_is_due_next_and_closes_the_month_are_slots_of_the_timetable(
    now: int, zone: str, interval: float, seconds: float
) -> None:
    (subject,) = subjects = watching(subscription("a", MONTHLY[0], zone=zone), interval=interval)
    lead = leads(subjects, seconds)
    (row,) = rows(subjects, lead, now)
    assert now <= row.due < now + 2 * interval * 1000 + lead.of(subject)
    assert row.closing is not None
    turn = subject.timetable.turn(now)
    assert turn is not None
    assert row.closing == turn - lead.of(subject)
    slot = subject.timetable.first(row.closing - round(interval * 1000), lead.of(subject))
    while slot.due < row.closing:
        slot = subject.timetable.next(slot, lead.of(subject))
    assert (slot.due, slot.closing, slot.closed) == (row.closing, True, turn)


def test_what_no_month_closes_has_no_closing_reading() -> None:
    assert LEVEL is not None
    subjects = watching(subscription("a", LEVEL))
    (row,) = rows(subjects, leads(subjects), AT)
    assert row.closing is None
    assert turns(subjects, AT) == {}


@pytest.mark.parametrize("seconds", [0.0001, 0.05, 0.9, 4.9, 5.0, 5.1, 64.0])
def test_leads_are_those_of_readings_that_took_so_long_again_and_again(seconds: float) -> None:
    subjects = watching(subscription("a", *MONTHLY[:5]))
    found, patient = leads(subjects, seconds), leads(subjects, seconds)
    for _ in range(200):
        for subject in subjects:
            patient.measured(subject, seconds)
    assert found.of(subjects[0]) == pytest.approx(patient.of(subjects[0]), abs=1_000 * 5 * max(seconds / 50, 0.002))
    queueing = 5 * seconds / 32
    assert found.of(subjects[0]) / 1000 >= 5 * seconds + 65 + 60 + queueing


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 5), st.sampled_from([60.0, 90.0, 300.0]), moments)
def test_an_ordinary_stretch_has_every_place_of_every_grid_in_order(
    operations: int, endpoints: int, interval: float, since: int
) -> None:
    subjects = watching(*(subscription(f"o{n}", *BILLING[:endpoints]) for n in range(operations)), interval=interval)
    found = ordinary(subjects, since, since + HOUR)
    assert found == sorted(found)
    assert all(since <= due.at < since + HOUR and not due.closing for due in found)
    for number, subject in enumerate(subjects):
        mine = [due.at for due in found if due.number == number]
        assert {later - one for one, later in pairwise(mine)} == {subject.timetable.grid.interval}
        assert len(mine) == round(HOUR / (interval * 1000))


def test_the_stretch_before_a_month_turns_has_each_closing_reading_once() -> None:
    assert LEVEL is not None
    subjects = watching(subscription("a", *MONTHLY[:3], LEVEL), subscription("b", MONTHLY[0], zone="America/Lima"))
    ((turn, numbers),) = turns(subjects, AT).items()
    lead = leads(subjects)
    found = dated(subjects, lead, turn - HOUR, turn + HOUR)
    assert sorted(due.number for due in found if due.closing) == numbers == [0, 1, 2, 4]
    assert {due.at for due in found if due.closing} == {turn - lead.of(subjects[number]) for number in numbers}
    for number, subject in enumerate(subjects):
        mine = [due.at for due in found if due.number == number]
        assert all(later - one >= subject.timetable.grid.interval for one, later in pairwise(mine))
    assert all(turn - HOUR <= due.at < turn + HOUR for due in found)


def test_months_turn_in_the_timezone_of_each_operation() -> None:
    subjects = watching(
        subscription("a", MONTHLY[0]),
        subscription("b", MONTHLY[0], zone="Europe/Madrid"),
        subscription("c", MONTHLY[0], zone="America/Lima"),
    )
    found = {datetime.fromtimestamp(turn / 1000, UTC): numbers for turn, numbers in turns(subjects, AT).items()}
    assert found == {datetime(2026, 11, 30, 23, tzinfo=UTC): [1], datetime(2026, 12, 1, 5, tzinfo=UTC): [0, 2]}


def test_a_load_counts_the_calls_of_each_minute_and_server() -> None:
    subjects = watching(*(subscription(f"o{n}", *BILLING[:4], server=f"{n % 3:04}") for n in range(50)))
    found = loads(subjects, lambda _operation, _api: 1.5, AT + 12_345)
    assert found.since == AT
    assert sum(found.minutes) == len(subjects) == 200
    assert (found.in_all.least, found.in_all.most) == (min(found.minutes), max(found.minutes))
    assert found.in_all.mean == pytest.approx(40)
    assert found.in_all.in_flight == pytest.approx(1.0)  # Little's law: 200 / 300 s x 1.5 s
    assert sum(load.mean for load in found.servers.values()) == pytest.approx(40)
    assert sum(load.in_flight for load in found.servers.values()) == pytest.approx(1.0)
    due = ordinary(subjects, AT, AT + 300_000)
    assert found.minutes == tuple(sum((one.at - AT) // 60_000 == minute for one in due) for minute in range(5))


def test_a_load_is_counted_over_the_longest_interval_but_no_more_than_an_hour() -> None:
    slow, slower = Endpoint("token_info", file="information", interval=1200), Endpoint("x", file="y", interval=86_400)
    assert len(loads(watching(subscription("a", slow)), lambda _o, _a: 1.0, AT).minutes) == 20
    assert len(loads(watching(subscription("a", slow, slower)), lambda _o, _a: 1.0, AT).minutes) == 60
    assert loads([], lambda _o, _a: 1.0, AT).minutes == (0,)
