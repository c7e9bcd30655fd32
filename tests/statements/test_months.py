"""Months and days of moments."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.statements import Calendar, days_in, month_name, month_named
from wolkvox_async.windows import timezone

ZONES = ("America/Bogota", "America/Santiago", "Asia/Kathmandu", "UTC")


@given(st.datetimes(datetime(2000, 1, 3), datetime(2099, 1, 1)), st.sampled_from(ZONES))  # noqa: DTZ001 - made aware below
def test_a_moment_is_in_the_day_that_the_calendar_on_the_wall_says(naive: datetime, zone: str) -> None:
    moment = naive.replace(tzinfo=UTC)
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    found, wall = Calendar(timezone(zone)).moment(text), moment.astimezone(timezone(zone))
    assert (month_name(found.month), found.day) == (f"{wall:%Y-%m}", wall.day)
    assert found.at == int(moment.timestamp() * 1000 // 1)


def test_a_moment_in_another_spelling_is_the_same() -> None:
    calendar = Calendar(timezone("America/Bogota"))
    usual = calendar.moment("2026-12-01T04:59:59.000Z")
    assert month_name(usual.month) == "2026-11"
    for text in ("2026-11-30T23:59:59-05:00", "2026-12-01T04:59:59Z", "20261201T045959Z"):
        assert calendar.moment(text) == usual


@pytest.mark.parametrize(
    "text", ["", "now", "2026-11-30T23:59:59", "2026-13-01T00:00:00.000Z", "2026-11-30T23:59:xx.000Z"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Calendar(timezone("UTC")).moment(text)


@given(st.integers(1, 9998), st.integers(1, 12))
def test_a_month_is_read_as_it_is_written(year: int, month: int) -> None:
    number = month_named(f"{year:04}-{month:02}")
    assert month_name(number) == f"{year:04}-{month:02}"
    assert month_name(number + 1) > month_name(number)
    assert 28 <= days_in(number) <= 31


@pytest.mark.parametrize("text", ["2026", "2026-13", "2026-00", "26-11", "2026-1", "0000-01", "2026-11-30"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no month"):
        month_named(text)
