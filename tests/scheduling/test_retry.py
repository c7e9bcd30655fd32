"""When a failed call is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.classify import RETRYABLE
from wolkvox_async.model import ErrorKind
from wolkvox_async.scheduling.retry import WAITS, GiveUp, Retry, RetryPolicy, Trials

from .samples import ATTEMPT_KINDS, failed

FAULTS = tuple(kind for kind in ATTEMPT_KINDS if kind in RETRYABLE and kind not in WAITS)
FINAL = tuple(kind for kind in ATTEMPT_KINDS if kind not in RETRYABLE)

jitters = st.floats(0, 1, exclude_max=True)
seconds = st.floats(0, 1e6)


@given(kind=st.sampled_from(FINAL), faults=st.integers(1, 9), jitter=jitters, asked=st.none() | seconds)
def test_a_final_failure_is_not_tried_again_even_when_the_server_asks_for_it(
    kind: ErrorKind, faults: int, jitter: float, asked: float | None
) -> None:
    assert RetryPolicy().decide(failed(kind, asked), Trials(faults), jitter=jitter) == GiveUp()


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_tried_again_until_its_attempts_are_used_up(kind: ErrorKind) -> None:
    policy = RetryPolicy(max_attempts=3)
    decisions = [policy.decide(failed(kind), Trials(faults), jitter=0.5) for faults in (1, 2, 3, 4)]
    assert decisions == [Retry(0.5), Retry(1.0), GiveUp(), GiveUp()]


def test_with_one_attempt_nothing_is_tried_again() -> None:
    assert RetryPolicy(max_attempts=1).decide(failed(ErrorKind.TIMEOUT), Trials(1), jitter=0) == GiveUp()


@given(faults=st.integers(1, 100_000), jitter=jitters, backoff=st.floats(0, 100), longest=st.floats(0, 1000))
def test_back_off_doubles_up_to_the_longest_with_full_jitter(
    faults: int, jitter: float, backoff: float, longest: float
) -> None:
    policy = RetryPolicy(max_attempts=faults + 1, backoff=backoff, longest=longest)
    full = min(longest, backoff * 2 ** min(faults - 1, 30))
    assert policy.decide(failed(ErrorKind.TIMEOUT), Trials(faults), jitter=jitter) == Retry(jitter * full)


@given(kind=st.sampled_from(FAULTS), asked=st.floats(0, 300), jitter=jitters)
def test_retry_after_wins_over_the_back_off(kind: ErrorKind, asked: float, jitter: float) -> None:
    assert RetryPolicy(patience=300).decide(failed(kind, asked), Trials(1), jitter=jitter) == Retry(asked)


def test_retry_after_buys_no_further_attempt() -> None:
    assert RetryPolicy(max_attempts=2).decide(failed(ErrorKind.RATE_LIMITED, 1), Trials(2), jitter=0) == GiveUp()


@pytest.mark.parametrize("kind", [ErrorKind.RATE_LIMITED, *WAITS])
def test_a_retry_after_beyond_patience_is_final(kind: ErrorKind) -> None:
    policy = RetryPolicy(patience=300)
    assert policy.decide(failed(kind, 300), Trials(1, 1), jitter=0) == Retry(300)
    assert policy.decide(failed(kind, 301), Trials(1, 1), jitter=0) == GiveUp()


def test_a_wait_counts_a_retry_after_against_what_is_left_of_patience() -> None:
    policy = RetryPolicy(patience=300)
    assert policy.decide(failed(ErrorKind.TOKEN_BUSY, 100), Trials(0, 5, waited=200), jitter=0) == Retry(100)
    assert policy.decide(failed(ErrorKind.TOKEN_BUSY, 101), Trials(0, 5, waited=200), jitter=0) == GiveUp()


@pytest.mark.parametrize("kind", WAITS)
def test_a_wait_uses_up_no_attempts(kind: ErrorKind) -> None:
    policy = RetryPolicy(max_attempts=1)
    assert isinstance(policy.decide(failed(kind), Trials(faults=1, waits=7), jitter=0), Retry)


@given(kind=st.sampled_from(sorted(WAITS)), waits=st.integers(1, 8), jitter=jitters)
def test_a_wait_pauses_for_at_least_half_of_what_doubles(kind: ErrorKind, waits: int, jitter: float) -> None:
    decision = RetryPolicy(patience=1e9).decide(failed(kind), Trials(0, waits), jitter=jitter)
    full = WAITS[kind] * 2 ** (waits - 1)
    assert isinstance(decision, Retry)
    assert full / 2 <= decision.delay <= full


def test_the_last_wait_ends_with_patience() -> None:
    policy = RetryPolicy(patience=300)
    assert policy.decide(failed(ErrorKind.MAINTENANCE), Trials(0, 4, waited=290), jitter=0.9) == Retry(10)
    assert policy.decide(failed(ErrorKind.MAINTENANCE), Trials(0, 5, waited=300), jitter=0.9) == GiveUp()


@given(
    kind=st.sampled_from(sorted(WAITS)),
    since=st.floats(0, 1e7),
    patience=st.floats(0, 1e5),
    jitter=jitters,
)
def test_waiting_ends_when_patience_does_even_if_attempts_take_no_time(
    kind: ErrorKind, since: float, patience: float, jitter: float
) -> None:
    policy = RetryPolicy(patience=patience)
    now, rounds = since, 1
    while isinstance(decision := policy.decide(failed(kind), Trials(0, rounds, now - since), jitter=jitter), Retry):
        now, rounds = now + decision.delay, rounds + 1
        assert rounds < 40
    assert now - since == pytest.approx(patience, abs=0.002)
