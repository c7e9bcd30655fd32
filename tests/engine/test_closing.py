"""How long a token stays closed after an attempt."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from wolkvox_async.classify import classify
from wolkvox_async.engine.closing import REFUSED_FOR, Span, closing
from wolkvox_async.model import Answer, Breakdown, ErrorKind, Operation

from .stage import BROKEN, BUSY, EMPTY, GOOD, MAINTENANCE, QUOTA, REFUSED, broke, token

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def until(met: Answer | Breakdown, *, at: datetime = NOON, zone: str = "America/Bogota", limit: float = 60.0) -> float:
    """Return until when a token is closed after an attempt that took from 100 to 110."""
    span = Span(100.0, 110.0, at)
    operation = Operation("acme", "bogota", "0010", token("a"), zone)
    return closing(operation, met, classify(met, now=at), span, server_limit=limit).until


@pytest.mark.parametrize("met", [GOOD, EMPTY, BUSY, MAINTENANCE, BROKEN])
def test_an_answer_that_does_not_speak_of_the_token_closes_nothing(met: Answer) -> None:
    assert until(met) == 0.0


def test_an_unanswered_request_closes_until_the_server_is_done_with_it_at_the_latest() -> None:
    assert until(broke(ErrorKind.TIMEOUT, since=104.0)) == 164.0
    assert until(broke(ErrorKind.TIMEOUT, since=104.0), limit=0.5) == 104.5


def test_a_request_that_never_left_closes_nothing() -> None:
    assert until(broke(ErrorKind.CONNECT)) == 0.0


@pytest.mark.parametrize("since", [5.0, 99.9, 110.1, 1e9])
def test_the_time_of_another_clock_counts_as_the_end_of_the_attempt(since: float) -> None:
    assert until(broke(ErrorKind.TIMEOUT, since=since)) == 170.0


def test_a_refused_token_is_closed_for_an_hour() -> None:
    assert until(REFUSED) == 110.0 + REFUSED_FOR == 3710.0


def test_a_used_up_quota_closes_until_the_operations_own_midnight() -> None:
    assert until(QUOTA, zone="America/Bogota") == 110.0 + 17 * 3600  # noon in UTC is 7 in Bogota
    assert until(QUOTA, zone="Asia/Tokyo") == 110.0 + 3 * 3600


@pytest.mark.parametrize(
    ("day", "hours"),
    [((2026, 9, 5), 24 - 6), ((2026, 9, 6), 24 - 6), ((2027, 4, 3), 24 - 6 + 1)],
    ids=["the clocks go forward at midnight", "an ordinary day after that", "the clocks go back at midnight"],
)
def test_a_change_of_the_clocks_is_part_of_the_night(day: tuple[int, int, int], hours: int) -> None:
    at = datetime(*day, 6, tzinfo=ZoneInfo("America/Santiago")).astimezone(UTC)
    closed = until(QUOTA, at=at, zone="America/Santiago")
    assert closed == 110.0 + hours * 3600


def test_the_quotas_night_is_never_empty() -> None:
    before = datetime(2026, 11, 21, 23, 59, 59, 999999, tzinfo=ZoneInfo("America/Bogota")).astimezone(UTC)
    assert 110.0 < until(QUOTA, at=before) < 110.1


def test_a_quota_that_is_used_up_early_in_the_day_is_asked_again_in_an_hour() -> None:
    night = datetime(2026, 11, 22, 0, 30, tzinfo=ZoneInfo("America/Bogota")).astimezone(UTC)
    assert until(QUOTA, at=night) == 110.0 + REFUSED_FOR
