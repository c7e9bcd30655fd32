"""Windows that are split: at the days that an endpoint takes, and in half where an answer was cut off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.catalog import Catalog, Dates, Endpoint
from wolkvox_async.identity import ulid
from wolkvox_async.lines import call_lines
from wolkvox_async.marks import mark_of, read_mark, tail
from wolkvox_async.model import MOST_ROWS, Call, Ok, Operation, Token
from wolkvox_async.planning import (
    DateRange,
    Subscription,
    Wanted,
    call,
    counts,
    cut_id,
    left_of,
    parts,
    plan,
    tails_in,
)
from wolkvox_async.settlements import Settlement
from wolkvox_async.windows import Window, by_days, halved

RUN = ulid(1_795_297_427_120, 2**79 + 12345)
NOW = datetime(2026, 11, 21, 21, 43, 47, tzinfo=UTC)
BOGOTA = ZoneInfo("America/Bogota")
OPERATION = Operation("acme", "bogota", "0010", Token("made-up-token-1"))
CDR = Endpoint("cdr_1", file="reports_manager", dates=Dates.REQUIRED, days=31)

moments = st.integers(0, 10 * 366 * 86_400).map(lambda n: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=n))
zones = st.sampled_from(["America/Bogota", "America/Santiago", "Europe/Berlin", "Asia/Kathmandu"]).map(ZoneInfo)


@st.composite
def spans(draw: st.DrawFn) -> Window:
    start, zone = draw(moments), draw(zones)
    length = draw(st.integers(1, 100) | st.integers(1, 100 * 86_400))
    return Window(start.replace(tzinfo=zone), start.replace(tzinfo=zone) + timedelta(seconds=length))


def asked(endpoint: Endpoint, start: str, end: str, **of: Operation) -> list[Call]:
    subscription = Subscription(of.get("operation", OPERATION), (Wanted(endpoint, DateRange(start, end)),))
    return list(plan([subscription], run=RUN, now=NOW))


def notation(calls: list[Call]) -> list[tuple[str, str]]:
    return [(one.window.date_ini, one.window.date_end) for one in calls if one.window]


@given(spans(), st.integers(1, 40))
def test_windows_of_days_tile_the_range_and_none_touches_more_days_than_it_may(whole: Window, days: int) -> None:
    found = list(by_days(whole, days))
    assert (found[0].start, found[-1].end) == (whole.start, whole.end)
    assert all(one.end == other.start for one, other in pairwise(found))
    touched = [((one.end - timedelta(seconds=1)).date() - one.start.date()).days + 1 for one in found]
    assert max(touched) <= days
    assert all(one == days for one in touched[1:-1])


@given(spans())
def test_halves_tile_the_window_down_to_single_seconds(whole: Window) -> None:
    halves = halved(whole)
    if halves is None:
        assert whole.date_ini == whole.date_end
        return
    first, second = halves
    assert (first.start, second.end) == (whole.start, whole.end)
    assert first.end == second.start
    assert first.date_end < second.date_ini
    assert 0 <= (second.end - second.start - (first.end - first.start)).total_seconds() <= 1


def test_a_range_is_split_at_the_limit_of_days_in_the_operations_timezone() -> None:
    assert notation(asked(CDR, "2026-08-15", "2026-11-20T10:00")) == [
        ("20260815000000", "20260914235959"),
        ("20260915000000", "20261015235959"),
        ("20261016000000", "20261115235959"),
        ("20261116000000", "20261120100000"),
    ]
    daily = Endpoint("agent_1", file="reports_manager", dates=Dates.REQUIRED, days=1)
    assert notation(asked(daily, "2026-11-01T22:00:00-05:00", "2026-11-03T01:00:00")) == [
        ("20261101220000", "20261101235959"),
        ("20261102000000", "20261102235959"),
        ("20261103000000", "20261103010000"),
    ]


def test_without_a_limit_of_days_a_call_covers_a_calendar_month() -> None:
    assert notation(asked(Endpoint("x", file="reports_manager", dates=Dates.REQUIRED), "2026-09-15", "2026-10-02")) == [
        ("20260915000000", "20260930235959"),
        ("20261001000000", "20261002235959"),
    ]


def test_counting_and_planning_agree_about_days_and_choices() -> None:
    chosen = Endpoint(
        "c", file="campaign", dates=Dates.REQUIRED, days=7, choices=(("a", ("1", "2")), ("b", ("x", "y")))
    )
    wanted = tuple(Wanted(chosen, DateRange("2026-11-01", "2026-11-20")).variants())
    subscription = Subscription(OPERATION, wanted)
    planned = list(plan([subscription], run=RUN, now=NOW))
    assert list(counts([subscription], now=NOW)) == [len(planned)] == [4 * 3]
    assert len({one.id for one in planned}) == 12
    assert {one.params for one in planned} == {
        (("a", first), ("b", second)) for first in ("1", "2") for second in ("x", "y")
    }
    assert planned[0].query[1:3] == (("a", "1"), ("b", "x"))


def test_dates_may_have_other_names_and_are_remembered_alike() -> None:
    odd = Endpoint("x", file="customer", dates=Dates.REQUIRED, date_names=("from", "until"), params=(("skill", "7"),))
    (one,) = asked(odd, "2026-11-01", "2026-11-02")
    assert one.query[2:] == (("from", "20261101000000"), ("until", "20261102235959"))
    settled = Settlement(one, Ok([{}], 200, 200, ""), 1, NOW, 0.2)
    read = read_mark(call_lines(RUN, settled).splitlines()[-1])
    assert read is not None
    assert read.question == one.question == mark_of(RUN, settled).question


# --- parts ----------------------------------------------------------------------------------


def test_a_part_is_the_call_that_asks_for_half_of_the_window() -> None:
    (whole,) = asked(CDR, "2026-11-01", "2026-11-02")
    first, second = parts(whole, RUN)
    assert notation([first, second]) == [("20261101000000", "20261101235959"), ("20261102000000", "20261102235959")]
    assert first.query == (("api", "cdr_1"), ("date_ini", "20261101000000"), ("date_end", "20261101235959"))
    assert first.id == asked(CDR, "2026-11-01", "2026-11-01")[0].id
    assert {one.reach.part_of for one in (first, second, *parts(first, RUN)) if one.reach} == {whole.id}
    assert len({whole.id, cut_id(whole, RUN), first.id, second.id}) == 4


@pytest.mark.parametrize(
    "endpoint",
    [
        Endpoint("gamification", dates=Dates.OPTIONAL),
        Endpoint("agents", file="information"),
    ],
)
def test_billing_and_what_has_no_dates_is_never_cut(endpoint: Endpoint) -> None:
    window = None if endpoint.dates is Dates.NEVER else DateRange("2026-11-01", "2026-11-02").window(NOW)
    made = call(OPERATION, endpoint, run=RUN, window=window)
    assert parts(made, RUN) == ()
    assert made.most_rows == MOST_ROWS


def test_a_second_is_not_cut() -> None:
    (second,) = asked(CDR, "2026-11-01T08:00:00", "2026-11-01T08:00:00")
    assert parts(second, RUN) == ()


@given(st.data())
def test_what_is_left_of_a_cut_call_tiles_what_was_not_settled(data: st.DataObject) -> None:
    (whole,) = asked(CDR, "2026-11-01", "2026-11-03T07:11:12")
    settled, leaves, done = set[str](), [whole], set[str]()
    for _ in range(data.draw(st.integers(0, 12))):
        cut = leaves.pop(data.draw(st.integers(0, len(leaves) - 1)))
        settled.add(tail(cut_id(cut, RUN)))
        leaves += parts(cut, RUN) or (cut,)
    for leaf in leaves:
        if data.draw(st.booleans()):
            done.add(leaf.id)
            settled.add(tail(leaf.id))
    left = list(left_of(whole, RUN, settled))
    assert {one.id for one in left} == {leaf.id for leaf in leaves} - done
    ends = sorted((leaf.window.start, leaf.window.end) for leaf in leaves if leaf.window)
    assert whole.window is not None
    assert (ends[0][0], ends[-1][1]) == (whole.window.start, whole.window.end)
    assert all(one[1] == other[0] for one, other in pairwise(ends))
    # What machines know of each other comes to the same.
    asked_for = {leaf.id for leaf in leaves if leaf.id in done} | _cut_above(whole, settled)
    found = tails_in(
        whole,
        RUN,
        answered=lambda one: one.id in asked_for,
        was_cut=lambda one: tail(cut_id(one, RUN)) in settled,
    )
    assert set(found) == settled


def _cut_above(whole: Call, settled: set[str]) -> set[str]:
    if tail(cut_id(whole, RUN)) not in settled:
        return set()
    return {whole.id}.union(*(_cut_above(part, settled) for part in parts(whole, RUN)))


def test_a_catalogue_keeps_an_endpoint_with_choices_as_one() -> None:
    chosen = Endpoint("c", file="campaign", choices=(("id", ("1", "2")),))
    assert Catalog([chosen]).get("campaign/c") is chosen
    assert [one.params for one in chosen.variants()] == [(("id", "1"),), (("id", "2"),)]
