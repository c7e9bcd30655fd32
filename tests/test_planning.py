"""What is asked for becomes calls: once each, in each operation's own timezone, a month at a time."""

import itertools
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wolkvox_async.catalog import Catalog, Dates, Endpoint
from wolkvox_async.identity import ulid
from wolkvox_async.model import Call, Operation, Token
from wolkvox_async.planning import MONTH_WORDS, DateRange, Subscription, Wanted, call, plan, windows
from wolkvox_async.windows import Window

RUN = ulid(1_795_297_427_120, 2**79 + 12345)
NOW = datetime(2026, 11, 21, 21, 43, 47, 120_000, tzinfo=UTC)
TOKEN = Token("made-up-token-1")

INTERACTIONS = Endpoint("interactions")
GAMIFICATION = Endpoint("gamification", dates=Dates.OPTIONAL)
REPORT = Endpoint("calls", file="reports_manager", dates=Dates.REQUIRED, params=(("skill", "7"),), interval=3600.0)

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def operation(name: str = "bogota", *, tenant: str = "acme", timezone: str = "America/Bogota") -> Operation:
    return Operation(tenant, name, "0010", TOKEN, timezone)


def planned(*wanted: Wanted, dates: DateRange | None = None, timezone: str = "America/Bogota") -> list[Call]:
    subscription = Subscription(operation(timezone=timezone), wanted)
    return list(plan([subscription], run=RUN, now=NOW, dates=dates))


def notation(calls: list[Call]) -> list[tuple[str, str] | None]:
    return [(c.window.date_ini, c.window.date_end) if c.window else None for c in calls]


def test_an_endpoint_without_dates_is_asked_for_without_dates() -> None:
    (asked,) = planned(Wanted(INTERACTIONS))
    assert asked.query == (("api", "interactions"),)
    assert (asked.api, asked.file, asked.window, asked.params, asked.interval) == (
        "interactions", "billing", None, (), 300.0
    )  # fmt: skip


def test_a_dated_endpoint_without_dates_is_called_without_them_too() -> None:
    (asked,) = planned(Wanted(GAMIFICATION))
    assert (asked.window, asked.query) == (None, (("api", "gamification"),))


def test_dates_stand_in_the_query_in_the_vendors_notation_after_the_parameters() -> None:
    (asked,) = planned(Wanted(REPORT, DateRange("2026-11-01", "2026-11-20")))
    assert asked.query == (
        ("api", "calls"), ("skill", "7"), ("date_ini", "20261101000000"), ("date_end", "20261120235959")
    )  # fmt: skip
    assert (asked.api, asked.file) == ("reports_manager/calls", "reports_manager")
    assert (asked.params, asked.interval) == ((("skill", "7"),), 3600.0)


def test_the_last_day_of_a_month_is_included_even_while_the_month_lasts() -> None:
    assert notation(planned(Wanted(GAMIFICATION, DateRange("2026-11-01", "2026-11-30")))) == [
        ("20261101000000", "20261130235959")
    ]


def test_a_longer_range_becomes_one_call_per_calendar_month() -> None:
    assert notation(planned(Wanted(GAMIFICATION, DateRange("2025-12-31T23:59:59", "2026-03-01")))) == [
        ("20251231235959", "20251231235959"),
        ("20260101000000", "20260131235959"),
        ("20260201000000", "20260228235959"),
        ("20260301000000", "20260301235959"),
    ]


def test_from_alone_means_until_now_in_the_operations_timezone() -> None:
    assert notation(planned(Wanted(GAMIFICATION, DateRange("2026-10-30")))) == [
        ("20261030000000", "20261031235959"),
        ("20261101000000", "20261121164347"),
    ]


def test_until_now_ends_behind_the_second_that_is_now() -> None:
    (window,) = windows(DateRange("2026-11-01"), NOW)
    assert window == Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 21, 21, 43, 48, tzinfo=UTC))


@pytest.mark.parametrize("start", ["2026-11-21T16:43:47", "20261121164347", "2026-11-21T21:43:47Z"])
def test_from_this_very_second_is_a_window_of_one_second(start: str) -> None:
    assert notation(planned(Wanted(GAMIFICATION, DateRange(start)))) == [("20261121164347", "20261121164347")]


@pytest.mark.parametrize("start", ["2026-11-21T16:43:48", "2026-11-22", "2026-12-01", "2030-01-01"])
@pytest.mark.parametrize("end", [None, "2030-12-31"])
def test_a_start_in_the_future_is_a_mistake_that_repeats_it(start: str, end: str | None) -> None:
    with pytest.raises(ValueError, match=f"^from {re.escape(start)} lies in the future$"):
        planned(Wanted(GAMIFICATION, DateRange(start, end)))


def test_a_start_at_this_very_moment_is_no_future() -> None:
    whole = NOW.replace(microsecond=0)
    subscription = Subscription(operation(), (Wanted(GAMIFICATION, DateRange("2026-11-21T21:43:47Z")),))
    assert notation(list(plan([subscription], run=RUN, now=whole))) == [("20261121164347", "20261121164347")]


def test_today_can_be_the_future_further_west() -> None:
    dates = DateRange("2026-11-22")
    assert notation(planned(Wanted(GAMIFICATION, dates), timezone="Asia/Tokyo")) == [
        ("20261122000000", "20261122064347")
    ]
    with pytest.raises(ValueError, match="future"):
        planned(Wanted(GAMIFICATION, dates), timezone="America/Bogota")


def test_an_end_in_the_future_is_no_mistake() -> None:
    assert notation(planned(Wanted(GAMIFICATION, DateRange("2026-11-21", "2026-12-02")))) == [
        ("20261121000000", "20261130235959"),
        ("20261201000000", "20261202235959"),
    ]


@pytest.mark.parametrize(("start", "end"), [("2026-11-02", "2026-11-01"), ("2026-11-02T00:00:01", "20261102000000")])
def test_an_end_before_the_start_is_a_mistake_that_repeats_both(start: str, end: str) -> None:
    with pytest.raises(ValueError, match=f"to {end} lies before from {start}"):
        planned(Wanted(GAMIFICATION, DateRange(start, end)))


@pytest.mark.parametrize(("start", "end"), [("soon", None), ("2026-11-01", "later"), ("2026-11-01", "9999-12-31")])
def test_what_is_no_date_is_a_mistake(start: str, end: str | None) -> None:
    with pytest.raises(ValueError, match=end or start):
        planned(Wanted(GAMIFICATION, DateRange(start, end)))


@pytest.mark.parametrize(
    ("word", "window"),
    [("current-month", ("20261101000000", "20261130235959")), ("previous-month", ("20261001000000", "20261031235959"))],
)
def test_a_month_can_be_named_by_a_word(word: str, window: tuple[str, str]) -> None:
    assert word in MONTH_WORDS
    assert notation(planned(Wanted(GAMIFICATION, word))) == [window]


def test_the_month_turns_by_the_operations_clock() -> None:
    turn = datetime(2026, 12, 1, 2, tzinfo=UTC)
    seen = {
        zone: next(plan([Subscription(operation(timezone=zone), (Wanted(GAMIFICATION, "current-month"),))],
                        run=RUN, now=turn)).window
        for zone in ("America/Bogota", "Europe/Berlin")
    }  # fmt: skip
    assert {zone: window and window.date_ini for zone, window in seen.items()} == {
        "America/Bogota": "20261101000000",
        "Europe/Berlin": "20261201000000",
    }


def test_the_dates_of_a_pass_replace_those_of_the_entries() -> None:
    dates = DateRange("2026-11-05", "2026-11-06")
    for entry in (None, "previous-month", DateRange("2026-10-01", "2026-10-31")):
        assert notation(planned(Wanted(GAMIFICATION, entry), dates=dates)) == [("20261105000000", "20261106235959")]


def test_the_dates_of_a_pass_leave_undated_endpoints_alone() -> None:
    calls = planned(Wanted(INTERACTIONS), Wanted(GAMIFICATION), dates=DateRange("2026-11-05", "2026-11-06"))
    assert notation(calls) == [None, ("20261105000000", "20261106235959")]


def test_calls_come_operation_by_operation_in_the_order_asked_for() -> None:
    names = ("interactions", "gamification", "nlp_ai")
    wanted = tuple(Wanted(endpoint) for name in names if (endpoint := Catalog().get(name)))
    subscriptions = [Subscription(operation(name), wanted) for name in ("bogota", "quito")]
    calls = list(plan(subscriptions, run=RUN, now=NOW))
    assert [(c.operation.name, c.api) for c in calls] == list(itertools.product(("bogota", "quito"), names))


def test_planning_is_lazy_so_that_a_hundred_thousand_operations_cost_nothing_yet() -> None:
    endless = (Subscription(operation(str(n)), (Wanted(INTERACTIONS),)) for n in itertools.count())
    first = list(itertools.islice(plan(endless, run=RUN, now=NOW), 3))
    assert [c.operation.name for c in first] == ["0", "1", "2"]


def test_a_subscription_is_addressed_like_its_operation() -> None:
    subscription = Subscription(operation("quito", tenant="globex"), (Wanted(INTERACTIONS),))
    assert (subscription.tenant, subscription.name) == ("globex", "quito")


def test_now_needs_a_timezone() -> None:
    with pytest.raises(ValueError, match=r"^now needs a timezone$"):
        windows(DateRange("2026-11-01"), datetime(2026, 11, 21))  # noqa: DTZ001


def test_a_call_has_an_id_of_its_runs_time_that_stays_the_same() -> None:
    wanted = [Wanted(INTERACTIONS), Wanted(GAMIFICATION, DateRange("2026-09-15", "2026-11-20"))]
    first, again = planned(*wanted), planned(*wanted)
    assert [c.id for c in first] == [c.id for c in again]
    assert all(ULID.fullmatch(c.id) and c.id[:10] == RUN[:10] for c in first)


def test_another_run_gives_other_ids() -> None:
    other = ulid(1_795_297_427_120, 5)
    assert call(operation(), INTERACTIONS, run=RUN).id != call(operation(), INTERACTIONS, run=other).id


def test_a_calls_id_does_not_depend_on_its_token_or_server() -> None:
    moved = Operation("acme", "bogota", "0042", Token("another-made-up-token"), "America/Lima")
    assert call(operation(), INTERACTIONS, run=RUN).id == call(moved, INTERACTIONS, run=RUN).id


names = st.text("ab/", min_size=1, max_size=3)
params = st.lists(st.tuples(st.sampled_from(["date_ini", "date_end", "a"]), names), max_size=3).map(tuple)
starts = st.integers(0, 86_400 * 60).map(lambda second: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second))
optional_windows = st.none() | st.builds(
    lambda start, seconds: Window(start, start + timedelta(seconds=seconds)), starts, st.integers(1, 3)
)
asked_for = st.tuples(names, names, st.sampled_from(["billing", "f"]), st.sampled_from("ab"), params, optional_windows)


@given(asked_for, asked_for)
def test_calls_for_different_things_have_different_ids(one: tuple, other: tuple) -> None:  # type: ignore[type-arg]
    assume(one != other)
    ids = {
        call(operation(name, tenant=tenant), Endpoint(api, file=file, params=params), run=RUN, window=window).id
        for tenant, name, file, api, params, window in (one, other)
    }
    assert len(ids) == 2


def test_a_fixed_parameter_that_looks_like_a_date_is_not_taken_for_the_window() -> None:
    window = Window(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))
    dated = call(operation(), Endpoint("a"), run=RUN, window=window)
    fixed = call(operation(), Endpoint("a", params=dated.query[1:]), run=RUN)
    assert dated.query == fixed.query
    assert dated.id != fixed.id


zones = st.sampled_from(
    ["UTC", "America/Bogota", "America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Apia"]
)
days = st.dates(date(2020, 1, 1), date(2026, 11, 19))


@given(days, st.integers(0, 800), zones)
def test_the_calls_of_a_range_cover_every_day_of_it_once(first: date, length: int, zone: str) -> None:
    last = first + timedelta(days=length)
    calls = planned(Wanted(GAMIFICATION, DateRange(f"{first}", f"{last}")), timezone=zone)
    covered = [c.window for c in calls if c.window]
    assert len(covered) == len(calls)
    assert (covered[0].date_ini, covered[-1].date_end) == (f"{first:%Y%m%d}000000", f"{last:%Y%m%d}235959")
    assert all(one.end == other.start for one, other in itertools.pairwise(covered))
    assert all(window.date_ini[:6] == window.date_end[:6] for window in covered)
    assert len({c.id for c in calls}) == len(calls) == len({window.date_ini[:6] for window in covered})
    assert all(window.start.tzinfo == ZoneInfo(zone) for window in covered)
