"""Counters say what a run has come to: every outcome, and what of the skipped only came too early."""

import pytest

from tests.calls import AT, CALL
from wolkvox_async.counters import Counters
from wolkvox_async.model import CallError, Empty, ErrorKind, Failed, Ok, Skipped
from wolkvox_async.settlements import Settlement


def skipped(kind: ErrorKind) -> Skipped:
    return Skipped(CallError(kind, "x", retryable=False))


def test_counters_cover_every_outcome() -> None:
    counters = Counters()
    failed = Failed(CallError(ErrorKind.TIMEOUT, "x", retryable=True))
    for outcome in (
        Ok([{}], 200, 200, None),
        Ok([1, 2, 3], 200, 0, None),
        Empty(404, 404, None),
        failed,
        skipped(ErrorKind.HELD),
    ):
        counters.count(Settlement(CALL, outcome, 2, AT, 0.1))
    assert counters == Counters(ok=2, empty=1, failed=1, skipped=1, held=1, rows=4, attempts=10)


@pytest.mark.parametrize("kind", [ErrorKind.HELD, ErrorKind.QUOTA, ErrorKind.STOPPING, ErrorKind.NOT_DUE])
def test_only_what_is_not_due_yet_is_skipped_without_being_held(kind: ErrorKind) -> None:
    counters = Counters()
    counters.count(Settlement(CALL, skipped(kind), 0, AT, 0.0))
    assert (counters.skipped, counters.held) == (1, int(kind is not ErrorKind.NOT_DUE))


def test_what_is_not_due_comes_due_until_the_latest_of_the_moments() -> None:
    counters, early = Counters(), CallError(ErrorKind.NOT_DUE, "x", retryable=False)
    for minute in (44, 59, 50):
        counters.count(Settlement(CALL, Skipped(early, AT.replace(minute=minute)), 0, AT, 0.0))
    assert (counters.not_due, counters.due) == (3, AT.replace(minute=59))


def test_the_attempts_of_a_call_that_parts_replaced_count_and_its_rows_do_not() -> None:
    counters = Counters()
    counters.count(Settlement(CALL, Ok([1, 2, 3], 200, 0, None), 2, AT, 0.1, 0.1, "cut"))
    assert counters == Counters(attempts=2)
