"""Values of fields: moments are cut off, never rounded; outcomes have the names of the contract."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.fields import outcome_name, timestamp
from wolkvox_async.model import CallError, Empty, ErrorKind, Failed, Ok, Outcome, Skipped

BOGOTA = ZoneInfo("America/Bogota")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 21, 21, 43, 47, 0, UTC), "2026-11-21T21:43:47.000Z"),
        (datetime(2026, 11, 21, 21, 43, 47, 999, UTC), "2026-11-21T21:43:47.000Z"),
        (datetime(2026, 11, 21, 21, 43, 47, 7_000, UTC), "2026-11-21T21:43:47.007Z"),
        (datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC), "2026-12-31T23:59:59.999Z"),
        (datetime(2026, 11, 21, 16, 43, 47, 120_000, BOGOTA), "2026-11-21T21:43:47.120Z"),
        (datetime(987, 1, 2, 3, 4, 5, 6_000, UTC), "0987-01-02T03:04:05.006Z"),
    ],
)
def test_a_time_is_written_in_utc_to_the_millisecond_and_never_rounded_up(moment: datetime, text: str) -> None:
    assert timestamp(moment) == text


@given(st.datetimes(datetime(1990, 1, 1), timezones=st.sampled_from([UTC, BOGOTA])))  # noqa: DTZ001 - Hypothesis takes naive bounds
def test_a_time_reads_back_as_the_same_millisecond(moment: datetime) -> None:
    read = datetime.strptime(timestamp(moment), "%Y-%m-%dT%H:%M:%S.%f%z")
    assert timedelta(0) <= moment - read < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        (Ok([{}], 200, 200, None), "ok"),
        (Empty(200, 200, None), "empty"),
        (Failed(CallError(ErrorKind.TLS, "x", retryable=False)), "failed"),
        (Skipped(CallError(ErrorKind.HELD, "x", retryable=False)), "skipped"),
    ],
)
def test_outcomes_have_the_names_of_the_contract(outcome: Outcome, name: str) -> None:
    assert outcome_name(outcome) == name
