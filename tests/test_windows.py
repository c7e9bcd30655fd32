"""Windows are half-open inside and end with an included second in the vendor's notation."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.windows import (
    VENDOR_FORMAT,
    Window,
    by_month,
    current_month,
    month_start,
    next_midnight,
    next_month_start,
    parse_end,
    parse_start,
    previous_month,
    timezone,
)

BOGOTA = ZoneInfo("America/Bogota")

# Offsets of quarters of an hour, clocks that change at midnight or by half an hour, a day that never was.
ZONES = [
    "UTC", "America/Bogota", "America/New_York", "America/Santiago", "America/Havana", "Europe/Berlin", "Africa/Cairo",
    "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia",
]  # fmt: skip

zones = st.sampled_from(ZONES).map(ZoneInfo)
naive = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - Hypothesis takes naive bounds
seconds = naive.map(lambda moment: moment.replace(microsecond=0))


@st.composite
def moments(draw: st.DrawFn) -> datetime:
    return draw(naive).replace(tzinfo=draw(zones), fold=draw(st.integers(0, 1)))


@st.composite
def ranges(draw: st.DrawFn) -> Window:
    zone = draw(zones)
    start = draw(seconds)
    length = draw(st.one_of(st.integers(1, 100), st.integers(1, 86_400 * 40), st.integers(1, 86_400 * 800)))
    return Window(start.replace(tzinfo=zone), (start + timedelta(seconds=length)).replace(tzinfo=zone))


@given(ranges())
def test_the_vendors_notation_reads_back_as_the_same_window(window: Window) -> None:
    zone = window.start.tzinfo
    assert zone is not None
    assert Window(parse_start(window.date_ini, zone), parse_end(window.date_end, zone)) == window


@given(ranges())
def test_the_vendors_notation_is_two_times_fourteen_digits_in_order(window: Window) -> None:
    assert window.date_ini <= window.date_end
    assert all(len(text) == 14 and text.isdigit() for text in (window.date_ini, window.date_end))


def test_the_vendors_minutes_are_minutes() -> None:
    window = Window(datetime(2026, 11, 1, 8, 5, 9, tzinfo=BOGOTA), datetime(2026, 11, 1, 8, 6, tzinfo=BOGOTA))
    assert (window.date_ini, window.date_end) == ("20261101080509", "20261101080559")


@given(ranges())
def test_the_months_of_a_window_cover_it_exactly(window: Window) -> None:
    parts = list(by_month(window))
    assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    assert all(one.end == other.start for one, other in itertools.pairwise(parts))


@given(ranges())
def test_every_part_lies_in_one_calendar_month_and_no_month_comes_twice(window: Window) -> None:
    months = [(part.date_ini[:6], part.date_end[:6]) for part in by_month(window)]
    assert all(first == last for first, last in months)
    assert len(set(months)) == len(months)


@given(ranges())
def test_parts_meet_only_where_a_month_turns(window: Window) -> None:
    parts = list(by_month(window))
    assert all(part.date_end[6:8] in {"28", "29", "30", "31"} for part in parts[:-1])
    assert all(part.date_end[8:] == "235959" for part in parts[:-1])
    assert all(part.date_ini[6:] == "01000000" for part in parts[1:])


def test_a_year_of_months_has_their_lengths() -> None:
    year = Window(datetime(2028, 1, 1, tzinfo=BOGOTA), datetime(2029, 1, 1, tzinfo=BOGOTA))
    lengths = [int(part.date_end[6:8]) for part in by_month(year)]
    assert lengths == [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def test_a_window_over_the_turn_of_a_year_becomes_two() -> None:
    window = Window(datetime(2026, 12, 31, 23, 59, 59, tzinfo=BOGOTA), datetime(2027, 1, 1, 0, 0, 1, tzinfo=BOGOTA))
    assert [(part.date_ini, part.date_end) for part in by_month(window)] == [
        ("20261231235959", "20261231235959"),
        ("20270101000000", "20270101000000"),
    ]


@pytest.mark.parametrize(
    ("day", "last"),
    [((2026, 2, 10), "0228"), ((2028, 2, 10), "0229"), ((2100, 2, 28), "0228"), ((2026, 11, 30), "1130"),
     ((2026, 12, 31), "1231")],
)  # fmt: skip
def test_the_current_month_lasts_to_its_last_second(day: tuple[int, int, int], last: str) -> None:
    month = current_month(datetime(*day, 13, 14, 15, 16, tzinfo=BOGOTA))
    assert month.date_ini == f"{day[0]}{day[1]:02}01000000"
    assert month.date_end == f"{day[0]}{last}235959"


@given(moments())
def test_a_moment_lies_in_its_month_and_months_join(moment: datetime) -> None:
    month = current_month(moment)
    assert month.start <= moment < month.end
    assert previous_month(moment).end == month.start
    assert next_month_start(moment) == month.end == month_start(month.end)


@given(moments())
def test_the_previous_month_is_the_whole_month_before(moment: datetime) -> None:
    before = previous_month(moment)
    assert before == current_month(month_start(moment) - timedelta(days=1))
    assert list(by_month(before)) == [before]


def test_the_month_before_january_is_december_of_last_year() -> None:
    before = previous_month(datetime(2027, 1, 1, tzinfo=BOGOTA))
    assert (before.date_ini, before.date_end) == ("20261201000000", "20261231235959")


@given(moments())
def test_the_next_midnight_is_the_first_moment_of_the_next_day(moment: datetime) -> None:
    midnight = next_midnight(moment)
    assert midnight.date() == moment.date() + timedelta(days=1)
    assert (midnight.hour, midnight.minute, midnight.second, midnight.microsecond, midnight.fold) == (0, 0, 0, 0, 0)


def test_a_midnight_that_comes_twice_is_the_first_of_the_two() -> None:
    havana = ZoneInfo("America/Havana")
    evening = datetime(2026, 10, 31, 20, tzinfo=havana, fold=1)
    assert next_midnight(evening).astimezone(UTC) == datetime(2026, 11, 1, 4, tzinfo=UTC)


def test_a_month_that_begins_in_a_repeated_hour_begins_with_the_first() -> None:
    havana = ZoneInfo("America/Havana")
    second_time = datetime(2026, 11, 1, 5, 30, tzinfo=UTC).astimezone(havana)
    assert second_time.fold == 1
    assert month_start(second_time).astimezone(UTC) == datetime(2026, 11, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe"])
def test_changing_clocks_do_not_move_the_ends_of_a_month(zone: str) -> None:
    year = Window(datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)), datetime(2027, 1, 1, tzinfo=ZoneInfo(zone)))
    assert {part.date_ini[6:] for part in by_month(year)} == {"01000000"}
    assert {part.date_end[8:] for part in by_month(year)} == {"235959"}


def test_a_window_needs_a_timezone_and_an_order() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=BOGOTA)
    with pytest.raises(ValueError, match="timezone"):
        Window(noon.replace(tzinfo=None), noon)
    with pytest.raises(ValueError, match="timezone"):
        Window(noon, (noon + timedelta(hours=1)).replace(tzinfo=None))
    with pytest.raises(ValueError, match="before"):
        Window(noon, noon)
    with pytest.raises(ValueError, match="before"):
        Window(noon, noon - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("20261130080910", (2026, 11, 30, 8, 9, 10)),
        ("2026-11-30", (2026, 11, 30)),
        ("20261130", (2026, 11, 30)),
        ("2026-W48-1", (2026, 11, 23)),
        ("2026-11-30T08:09:10", (2026, 11, 30, 8, 9, 10)),
        ("2026-11-30 08:09", (2026, 11, 30, 8, 9)),
        ("20261130T080910", (2026, 11, 30, 8, 9, 10)),
        ("2026-11-30T08", (2026, 11, 30, 8)),
        ("2026-11-30T08:09:10.999", (2026, 11, 30, 8, 9, 10)),
        ("2026-11-30T08:09:10Z", (2026, 11, 30, 3, 9, 10)),
        ("2026-11-30T00:00:00+01:00", (2026, 11, 29, 18)),
    ],
)
def test_a_range_starts_at_the_moment_written_in_the_operations_timezone(text: str, start: tuple[int, ...]) -> None:
    read = parse_start(text, BOGOTA)
    assert read.timetuple()[:6] == (*start, 0, 0, 0)[:6]
    assert (read.tzinfo, read.microsecond) == (BOGOTA, 0)


@pytest.mark.parametrize(
    ("text", "last_second"),
    [
        ("2026-11-30", "20261130235959"),
        ("20261130", "20261130235959"),
        ("2028-02-29", "20280229235959"),
        ("2026-12-31", "20261231235959"),
        ("2026-W48-1", "20261123235959"),
        ("2026W481", "20261123235959"),
        ("20261130000000", "20261130000000"),
        ("2026-11-30T00:00:00", "20261130000000"),
        ("2026-11-30T08:00", "20261130080000"),
        ("2026-11-30T23:59:59", "20261130235959"),
        ("2026-11-30T23:59:59.999", "20261130235959"),
        ("2026-12-01T04:59:59Z", "20261130235959"),
    ],
)
def test_a_range_ends_with_the_second_written_and_a_day_with_its_last(text: str, last_second: str) -> None:
    start = datetime(2020, 1, 1, tzinfo=BOGOTA)
    assert Window(start, parse_end(text, BOGOTA)).date_end == last_second


@given(seconds, zones)
def test_both_notations_mean_the_same_moment(moment: datetime, zone: ZoneInfo) -> None:
    vendor, iso = moment.strftime(VENDOR_FORMAT), moment.isoformat()
    assert parse_start(vendor, zone) == parse_start(iso, zone) == moment.replace(tzinfo=zone)
    assert parse_end(vendor, zone) == parse_end(iso, zone) == moment.replace(tzinfo=zone) + timedelta(seconds=1)


@pytest.mark.parametrize(
    "odd",
    [
        "", " ", "yesterday", "2026", "2026-11", "2026-13-01", "2026-02-29", "2026-11-31", "20261131000000",
        "20261130246000", "2026-11-30T25:00", "2026-11-30T", " 2026-11-30", "2026-11-30\n", "30/11/2026", "2026-W48",
        "2026W48", "2026-W54-1", "2026-W48T08:00", "202611300809", "2026113008091", "202611300809100",
        "\u0662\u0660\u0662\u0666\u0661\u0661\u0663\u0660",
        "20261130\u0660\u0660\u0660\u0660\u0660\u0660", "2026-11-30\x00", "\ud800", "9" * 5000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("parse", [parse_start, parse_end])
def test_what_is_no_date_is_refused_with_the_ways_to_write_one(odd: str, parse: object) -> None:
    with pytest.raises(ValueError, match="is not a date: write 2026-11-30,") as caught:
        parse(odd, BOGOTA)  # type: ignore[operator]
    assert repr(odd) in str(caught.value)


@pytest.mark.parametrize(
    "far", ["9999-12-31", "99991231235959", "0001-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00",
            "0999-12-31"]
)  # fmt: skip
@pytest.mark.parametrize("parse", [parse_start, parse_end])
def test_a_year_that_leaves_no_room_to_reckon_is_refused(far: str, parse: object) -> None:
    with pytest.raises(ValueError, match="lies outside the years 1000 to 9998"):
        parse(far, ZoneInfo("Pacific/Apia"))  # type: ignore[operator]


@given(st.text(max_size=30) | st.from_regex(r"[0-9TWZ:.+-]{1,26}", fullmatch=True), zones)
def test_any_text_is_a_date_or_one_kind_of_mistake(text: str, zone: ZoneInfo) -> None:
    try:
        window = Window(parse_start(text, zone), parse_end(text, zone))
    except ValueError as mistake:
        said = str(mistake)
    else:
        said = f"{text!r} means {window.date_ini}"
    assert said.startswith(repr(text))


@pytest.mark.parametrize("name", ZONES)
def test_a_timezone_is_found_by_its_name(name: str) -> None:
    assert str(timezone(name)) == name


@pytest.mark.parametrize(
    "name",
    ["", " ", "America", "America/Bogot", "America/", "../etc/passwd", "/etc/localtime", "zone.tab", "tzdata.zi",
     "a\0b", "\ud800", "UTC+5", "Mars/Base", "America/Bogota\n", "x" * 5000],
)  # fmt: skip
def test_a_timezone_that_does_not_exist_is_one_kind_of_mistake(name: str) -> None:
    with pytest.raises(ValueError, match="no timezone is called") as caught:
        timezone(name)
    assert str(caught.value) == f"no timezone is called {name!r}"
