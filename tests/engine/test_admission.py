"""What is asked again, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.stage import CATALOG, subscription
from wolkvox_async.engine.admission import Go, Later, admission
from wolkvox_async.model import Call, ErrorKind, Skipped
from wolkvox_async.planning import call

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def question(interval: float = 300.0) -> Call:
    endpoint = CATALOG.get("interactions")
    assert endpoint is not None
    return replace(call(subscription().operation, endpoint, run="0" * 26), interval=interval)


def test_what_is_due_soon_waits() -> None:
    assert admission(question(), 292.0, wait=10, now=lambda: NOON) == Later(8.0)


def test_what_is_due_late_is_not_made_and_says_when_it_is_due() -> None:
    verdict = admission(question(), 60.0, wait=10, now=lambda: NOON)
    assert isinstance(verdict, Skipped)
    assert verdict.error.kind is ErrorKind.NOT_DUE
    assert "--interval" in verdict.error.message
    assert verdict.due == NOON + timedelta(seconds=240)


def test_an_interval_of_nothing_lets_everything_through() -> None:
    assert admission(question(0), 0.0, wait=0, now=lambda: NOON) == Go()


@pytest.mark.parametrize("since", [300.0, 300.5, 1e9])
def test_what_is_due_is_made(since: float) -> None:
    assert admission(question(), since, wait=0, now=lambda: NOON) == Go()


@given(since=st.floats(0, 1e6), interval=st.floats(0, 1e6), wait=st.floats(0, 1e6))
def test_nothing_is_made_before_its_time_and_nothing_waits_longer_than_allowed(
    since: float, interval: float, wait: float
) -> None:
    match admission(question(interval), since, wait=wait, now=lambda: NOON):
        case Go():
            assert since >= interval - 0.001
        case Later(seconds=seconds):
            assert 0 < seconds <= wait
            assert since + seconds == pytest.approx(interval)
        case Skipped(due=due):
            assert due is not None
            assert due > NOON
            assert interval - since > wait
