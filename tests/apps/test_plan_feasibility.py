"""What cannot be met is said with what would help, and what helps does."""

from __future__ import annotations

from datetime import UTC, datetime
from math import fsum

from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.apps.delays import Closing, Delays
from wolkvox_async.apps.feasibility import Demand, Obstacle, Watching, least_interval, obstacles
from wolkvox_async.apps.rehearsal import Scene
from wolkvox_async.catalog import BILLING
from wolkvox_async.model import Operation, Token
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.subjects import Subjects

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def subscription(name: str, endpoints: int, *, key: str | None = None, server: str = "0010") -> Subscription:
    operation = Operation("acme", name, server, Token(f"made-up-token-{key or name}"))
    return Subscription(operation, tuple(Wanted(endpoint) for endpoint in BILLING[:endpoints]))


def watching(
    *subscriptions: Subscription,
    latency: float = 1.0,
    limits: Limits | None = None,
    interval: float = 300.0,
    **licences: int,
) -> Watching:
    subjects = Subjects(interval)
    found = list(subjects.of(subscriptions, NOW))
    scene = Scene(lambda _operation, _api: latency, limits or Limits())
    return Watching(found, subjects.doubles, scene, {f"acme/{name}": count for name, count in licences.items()})


def whats(found: list[Obstacle]) -> list[str]:
    return [obstacle.what for obstacle in found]


def test_what_can_be_met_is_not_mentioned() -> None:
    assert obstacles(watching(subscription("a", 27), subscription("b", 3), a=8, b=1), ()) == []


def test_a_quota_that_is_too_small_is_said_with_the_closing_readings_it_has_to_hold() -> None:
    (found,) = obstacles(watching(subscription("a", 27), a=7), ())
    assert found.what == "acme/a: 7776 calls a day and 26 closing readings, but 7 licences allow 7000"
    assert "--interval 335" in found.advice
    assert "8 licences" in found.advice
    assert obstacles(watching(subscription("a", 27), interval=335.0, a=7), ()) == []
    assert obstacles(watching(subscription("a", 27), interval=334.0, a=7), ()) != []


def test_closing_readings_alone_can_be_what_is_too_much() -> None:
    # 3 endpoints of which 2 are closed by the month: 998 calls a day leave room for two of them, 999 do not.
    three, two = subscription("a", 3), 2
    assert obstacles(watching(three, interval=3 * 86_400 / (1000 - two), a=1), ()) == []
    (found,) = obstacles(watching(three, interval=3 * 86_400 / (1000 - two + 1), a=1), ())
    assert "999 calls a day and 2 closing readings" in found.what
    assert "1 licence allows 1000" in found.what


def test_a_quota_nobody_knows_is_no_obstacle() -> None:
    assert obstacles(watching(subscription("a", 27)), ()) == []


def test_entries_with_one_token_have_one_quota() -> None:
    together = watching(subscription("a", 2, key="k"), subscription("b", 4, key="k"), a=1, b=1)
    (quota, *doubles) = obstacles(together, ())
    assert quota.what == "acme/a: 1152 calls a day and 3 closing readings, but 1 licence allows 1000"
    assert len(doubles) == 2
    assert doubles[0].what.startswith("acme/b: agent_script asks the same of the same token as acme/a")


def test_a_token_with_more_work_than_time_is_named_with_the_interval_that_would_do() -> None:
    (found,) = obstacles(watching(subscription("a", 27), latency=12.0), ())
    assert "asked 27 endpoints, one after the other: 1.08 seconds of calls a second" in found.what
    assert "--interval 324" in found.advice
    assert obstacles(watching(subscription("a", 27), latency=12.0, interval=324.0), ()) == []


def test_pauses_between_calls_are_work_of_a_token() -> None:
    assert obstacles(watching(subscription("a", 27), latency=10.0, limits=Limits(token_gap=2.0)), ()) != []


def test_servers_and_limits_in_all_that_are_too_small_are_named_with_those_that_would_do() -> None:
    many = [subscription(f"o{n}", 2, server=f"{n % 2:04}") for n in range(60)]
    found = obstacles(watching(*many, latency=10.0, limits=Limits(3, per_server=1)), ())
    assert whats(found) == [
        "server 0000: 2.0 calls in flight are needed, --per-server is 1",
        "server 0001: 2.0 calls in flight are needed, --per-server is 1",
        "4.0 calls in flight are needed, --max-in-flight is 3",
    ]
    assert "--per-server 2" in found[0].advice
    assert "--max-in-flight 4" in found[2].advice
    assert obstacles(watching(*many, latency=10.0, limits=Limits(4, per_server=2)), ()) == []


def test_closing_readings_that_would_come_too_late_are_named() -> None:
    delays = Delays([0.0] * 2, [0] * 2)
    closing = Closing(10, 2, 5, 11.0, (1,), delays)
    (found,) = obstacles(watching(subscription("a", 2)), (closing,))
    assert found.what == "acme/a: the closing reading of intelligent_dial would come after the month's turn"


def test_of_many_obstacles_of_a_sort_the_first_are_named_and_the_others_counted() -> None:
    many = [subscription(f"o{n}", 27) for n in range(50)]
    found = obstacles(watching(*many, latency=12.0), ())
    assert len(found) == 22  # and the server
    assert found[20].what == "30 more of this sort"


@given(
    st.lists(st.builds(Demand, st.floats(0.01, 100), st.floats(1, 10_000)), min_size=1, max_size=20),
    st.floats(0.001, 1_000),
)
def test_the_least_interval_is_enough_and_no_shorter_one_is(demands: list[Demand], capacity: float) -> None:
    def needed(interval: int) -> float:
        return fsum(demand.amount / max(demand.interval, interval) for demand in demands)

    least = least_interval(demands, capacity)
    if least is None:
        assert needed(32 * 86_400) > capacity
    else:
        assert needed(least) <= capacity
        assert least == 1 or needed(least - 1) > capacity
