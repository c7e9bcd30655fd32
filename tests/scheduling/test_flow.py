"""The limits are kept to, the same attempts give the same limits, and what is no answer says nothing about latency."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.model import AttemptOutcome, CallError, Empty, ErrorKind, Failed, Ok
from wolkvox_async.scheduling.congestion import Load, load
from wolkvox_async.scheduling.flow import EACH_KIB, Flow, FlowPolicy, affordable_in
from wolkvox_async.scheduling.level import Pace

GOOD = Empty(200, 200, "")
BUSY = Failed(CallError(ErrorKind.RATE_LIMITED, "", retryable=True), status=429)
HUNG = Failed(CallError(ErrorKind.TIMEOUT, "", retryable=True))


def failure(kind: ErrorKind, status: int | None) -> Failed:
    return Failed(CallError(kind, "", retryable=True), status=status)


@dataclass(frozen=True)
class Ending:
    server: str
    seconds: float
    outcome: AttemptOutcome
    in_flight: int
    pause: float
    waiting: bool


ENDINGS = st.builds(
    Ending,
    server=st.sampled_from(["0001", "0002", "0003"]),
    seconds=st.floats(0, 100),
    outcome=st.sampled_from([GOOD, GOOD, GOOD, BUSY, HUNG]),
    in_flight=st.integers(1, 50),
    pause=st.one_of(st.just(0.0), st.floats(0, 5)),
    waiting=st.booleans(),
)
POLICIES = st.builds(
    lambda floor, ceiling, per_server: FlowPolicy(Pace(floor=floor, ceiling=ceiling, interval=0.2), per_server),
    floor=st.integers(1, 10),
    ceiling=st.integers(1, 40),
    per_server=st.integers(1, 20),
)
Trace = list[tuple[int, dict[str, int]]]


def trace(policy: FlowPolicy, endings: list[Ending]) -> Trace:
    """Return the limits after each ending, as the engine would have them by what it was told."""
    flow, now = Flow(policy, now=0.0), 0.0
    total, servers = flow.total, dict.fromkeys(("0001", "0002", "0003"), flow.first)
    seen: Trace = [(total, dict(servers))]
    for ending in endings:
        now += ending.pause
        if flow.observe(ending.server, ending.seconds, ending.outcome, ending.in_flight, now):
            changed = flow.decide(waiting=ending.waiting, now=now)
            if changed is not None:
                total = changed.total or total
                servers.update(changed.servers)
        assert (flow.total, {name: flow.server(name) for name in servers}) == (total, servers)
        seen.append((total, dict(servers)))
    return seen


def many(endings: list[Ending]) -> list[Ending]:
    # Few would never complete a round.
    return endings * 10


@given(POLICIES, st.lists(ENDINGS, min_size=1, max_size=40).map(many))
def test_limits_stay_within_what_is_allowed_whatever_ends_and_when(policy: FlowPolicy, endings: list[Ending]) -> None:
    floor = min(policy.pace.floor, policy.pace.ceiling)
    for total, servers in trace(policy, endings):
        assert floor <= total <= policy.pace.ceiling
        assert all(1 <= limit <= policy.per_server for limit in servers.values())


@given(POLICIES, st.lists(ENDINGS, min_size=1, max_size=40).map(many))
def test_the_same_attempts_at_the_same_times_give_the_same_limits(policy: FlowPolicy, endings: list[Ending]) -> None:
    assert trace(policy, endings) == trace(policy, endings)


@given(st.lists(ENDINGS, min_size=1, max_size=40).map(many))
def test_the_total_stays_as_it_is_while_nothing_waits_for_it(endings: list[Ending]) -> None:
    idle = [
        Ending(each.server, each.seconds, each.outcome, each.in_flight, each.pause, waiting=False) for each in endings
    ]
    policy = FlowPolicy(Pace(ceiling=40), per_server=20)
    assert {total for total, _ in trace(policy, idle)} == {40}


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (GOOD, Load.ANSWERED),
        (Ok([], 200, 200, ""), Load.ANSWERED),
        (failure(ErrorKind.UNAUTHORIZED, 401), Load.ANSWERED),
        (failure(ErrorKind.SERVER_ERROR, 500), Load.ANSWERED),
        (failure(ErrorKind.RATE_LIMITED, 429), Load.REFUSED),
        (failure(ErrorKind.SERVER_ERROR, 503), Load.REFUSED),
        (failure(ErrorKind.TOKEN_BUSY, 403), Load.REFUSED),
        (failure(ErrorKind.DISCONNECTED, None), Load.REFUSED),
        (failure(ErrorKind.MAINTENANCE, 503), Load.ANSWERED),
        (failure(ErrorKind.TIMEOUT, None), Load.UNKNOWN),
        (failure(ErrorKind.CONNECT, None), Load.UNKNOWN),
    ],
)
def test_only_what_says_too_much_counts_as_a_refusal(outcome: AttemptOutcome, says: Load) -> None:
    assert load(outcome) is says


def test_a_call_that_hangs_does_not_make_its_server_look_slow() -> None:
    flow, now = Flow(FlowPolicy(per_server=8), now=0.0), 0.0
    for _ in range(400):
        now += 0.025
        outcome, seconds = (HUNG, 65.0) if int(now * 40) % 10 == 0 else (GOOD, 0.2)
        if flow.observe("0001", seconds, outcome, 8, now):
            flow.decide(waiting=False, now=now)
    assert flow.server("0001") == 8


def test_a_policy_without_room_for_a_call_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FlowPolicy(per_server=0)
    with pytest.raises(ValueError, match="at least 1"):
        Pace(floor=0)
    with pytest.raises(ValueError, match="at least 1"):
        Pace(ceiling=0)


@given(st.integers(0, 10**9), st.floats(0, 1))
def test_calls_in_flight_fit_into_their_share_of_the_memory(free: int, share: float) -> None:
    calls = affordable_in(free, share=share)
    assert calls >= 1
    assert calls == 1 or calls * EACH_KIB <= free * share
    assert (calls + 1) * EACH_KIB > free * share - EACH_KIB
