"""What `plan` promises of a pass: what it cannot beat, and what it will take."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.apps.forecast import forecast
from wolkvox_async.apps.rehearsal import Scene
from wolkvox_async.catalog import BILLING
from wolkvox_async.model import Call, Operation, Token
from wolkvox_async.planning import Subscription, Wanted, plan
from wolkvox_async.scheduling.decisions import Limits


def calls(operations: int, servers: int, endpoints: int, *, one_token: bool = False) -> list[Call]:
    wanted = tuple(Wanted(endpoint) for endpoint in BILLING[:endpoints])
    subscriptions = [
        Subscription(
            Operation("acme", f"o{n}", f"{n % servers:04}", Token(f"token-{0 if one_token else n:08}")), wanted
        )
        for n in range(operations)
    ]
    return list(plan(subscriptions, run="0" * 26, now=datetime(2026, 11, 21, tzinfo=UTC)))


def scene(latency: float, limits: Limits | None = None, *, auto: bool = False) -> Scene:
    return Scene(lambda _operation, _api: latency, limits or Limits(), auto)


def test_the_longest_token_queue_bounds_a_pass() -> None:
    seen = forecast(calls(4, 4, 3), scene(0.5), {})
    assert (seen.calls, seen.operations, seen.tokens, seen.servers) == (12, 4, 4, 4)
    assert seen.seconds == seen.about == 1.5
    assert "one call after the other" in seen.bound_by


def test_a_token_of_several_operations_is_one_queue() -> None:
    seen = forecast(calls(4, 4, 3, one_token=True), scene(0.5), {})
    assert (seen.seconds, seen.about, seen.most_in_flight) == (6.0, 6.0, 1)


def test_a_servers_limit_bounds_a_pass() -> None:
    seen = forecast(calls(200, 1, 1), scene(1.0, Limits(per_server=10)), {})
    assert (seen.seconds, seen.about, seen.most_in_flight) == (20.0, 20.0, 10)
    assert seen.bound_by == "server 0000, 10 calls in flight at once"


def test_the_limit_of_all_calls_bounds_a_pass() -> None:
    seen = forecast(calls(200, 100, 1), scene(1.0, Limits(max_in_flight=50)), {})
    assert (seen.seconds, seen.about, seen.most_in_flight) == (4.0, 4.0, 50)
    assert seen.bound_by == "50 calls in flight in all"


def test_a_limit_that_is_found_while_calls_are_made_bounds_nothing() -> None:
    seen = forecast(calls(200, 100, 1), scene(1.0, Limits(max_in_flight=50), auto=True), {})
    assert "in all" not in seen.bound_by
    assert 0 < seen.most_in_flight <= 50


def test_a_pass_takes_longer_than_its_bound_where_slots_stay_empty() -> None:
    # 3 tokens on a server with 2 slots, 40 calls each: nobody can help the last of a token in its last turn.
    seen = forecast(calls(3, 1, 27), scene(1.0, Limits(per_server=2)), {})
    assert seen.seconds == 40.5
    assert seen.about > seen.seconds


def test_a_call_that_is_waited_for_makes_a_pass_longer() -> None:
    planned = calls(2, 1, 2)
    seen = forecast(planned, scene(1.0), {}, dues={planned[1].id: 8.0})
    assert seen.about == 9.0


def test_a_day_has_a_thousand_calls_per_licence() -> None:
    plenty = calls(1, 1, 27) * 40
    assert forecast(plenty, scene(1.0), {"acme/o0": 2}).cannot == ()
    (line,) = forecast(plenty, scene(1.0), {"acme/o0": 1}).cannot
    assert line == "acme/o0: 1080 calls, but 1 licences allow 1000 a day"


def test_nothing_to_call_takes_no_time() -> None:
    seen = forecast([], scene(1.0), {})
    assert (seen.seconds, seen.about, seen.bound_by) == (0.0, 0.0, "nothing to call")


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 5), st.integers(1, 6)),
    st.integers(1, 20),
    st.integers(1, 8),
    st.floats(0.01, 20),
)
def test_a_pass_never_beats_its_bound_and_never_takes_longer_than_one_call_at_a_time(
    shape: tuple[int, int, int], in_flight: int, per_server: int, latency: float
) -> None:
    planned = calls(*shape)
    seen = forecast(planned, scene(latency, Limits(in_flight, per_server)), {})
    assert seen.seconds <= seen.about * (1 + 1e-9)
    assert seen.about <= len(planned) * latency * (1 + 1e-9)
    assert seen.most_in_flight <= min(in_flight, shape[1] * per_server)
