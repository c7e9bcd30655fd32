"""From when on a call may be made again follows from how it ended and when its request had left."""

import dataclasses
from datetime import datetime, timedelta

import pytest

from tests.calls import AT, CALL
from wolkvox_async.model import CallError, Empty, ErrorKind, Failed, Ok, Outcome, Skipped
from wolkvox_async.settlements import Settlement


def error(kind: ErrorKind) -> CallError:
    return CallError(kind, "x", retryable=False)


@pytest.mark.parametrize("outcome", [Ok([{}], 200, 200, None), Empty(404, 404, None)])
@pytest.mark.parametrize(
    ("interval", "ago", "due"),
    [
        (300.0, 0.0, AT + timedelta(minutes=5)),
        (300.0, 60.0, AT + timedelta(minutes=4)),
        (3600.0, 0.5, AT + timedelta(minutes=59, seconds=59.5)),
        (0.0, 0.5, AT - timedelta(seconds=0.5)),
    ],
)
def test_a_call_is_due_an_interval_after_its_request_had_left(
    outcome: Outcome, interval: float, ago: float, due: datetime
) -> None:
    call = dataclasses.replace(CALL, interval=interval)
    assert Settlement(call, outcome, 1, AT, seconds=70.0, ago=ago).due == due


def test_a_failed_call_is_due_at_no_fixed_time() -> None:
    assert Settlement(CALL, Failed(error(ErrorKind.TIMEOUT)), 4, AT, 65.0, 65.0).due is None


def test_a_skipped_call_is_due_when_it_says_so() -> None:
    due = AT + timedelta(minutes=3)
    assert Settlement(CALL, Skipped(error(ErrorKind.NOT_DUE), due), 0, AT, 0.0).due == due
    assert Settlement(CALL, Skipped(error(ErrorKind.HELD)), 0, AT, 0.0).due is None
