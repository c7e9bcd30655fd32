"""What `plan` promises is a bound from below."""

from datetime import UTC, datetime

from wolkvox_async.apps.forecast import forecast
from wolkvox_async.catalog import BILLING
from wolkvox_async.model import Call, Operation, Token
from wolkvox_async.planning import Subscription, Wanted, plan
from wolkvox_async.settings.options import Options


def calls(operations: int, servers: int, endpoints: int, *, one_token: bool = False) -> list[Call]:
    wanted = tuple(Wanted(endpoint) for endpoint in BILLING[:endpoints])
    subscriptions = [
        Subscription(
            Operation("acme", f"o{n}", f"{n % servers:04}", Token(f"token-{0 if one_token else n:08}")), wanted
        )
        for n in range(operations)
    ]
    return list(plan(subscriptions, run="0" * 26, now=datetime(2026, 11, 21, tzinfo=UTC)))


def test_the_longest_token_queue_bounds_a_pass() -> None:
    seen = forecast(calls(4, 4, 3), Options(), 0.5, {})
    assert (seen.calls, seen.operations, seen.tokens, seen.servers) == (12, 4, 4, 4)
    assert seen.seconds == 1.5
    assert "one call after the other" in seen.bound_by


def test_a_token_of_several_operations_is_one_queue() -> None:
    assert forecast(calls(4, 4, 3, one_token=True), Options(), 0.5, {}).seconds == 6.0


def test_a_servers_limit_bounds_a_pass() -> None:
    seen = forecast(calls(200, 1, 1), Options(per_server=10), 1.0, {})
    assert seen.seconds == 20.0
    assert seen.bound_by == "server 0000, 10 calls in flight at once"


def test_the_limit_of_all_calls_bounds_a_pass() -> None:
    seen = forecast(calls(200, 100, 1), Options(max_in_flight=50), 1.0, {})
    assert seen.seconds == 4.0
    assert seen.bound_by == "50 calls in flight in all"


def test_a_day_has_a_thousand_calls_per_licence() -> None:
    plenty = calls(1, 1, 27) * 40
    assert forecast(plenty, Options(), 1.0, {"acme/o0": 2}).cannot == ()
    (line,) = forecast(plenty, Options(), 1.0, {"acme/o0": 1}).cannot
    assert line == "acme/o0: 1080 calls, but 1 licences allow 1000 a day"


def test_nothing_to_call_takes_no_time() -> None:
    assert forecast([], Options(), 1.0, {}).seconds == 0
