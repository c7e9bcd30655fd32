"""A server that refuses or slows down gets less, the others do not, and it gets more when it can take it."""

from dataclasses import replace
from statistics import mean

import pytest

from benchmarks.virtual import Simulation, VirtualServer, World, crowd
from wolkvox_async.model import CallError, Empty, ErrorKind, Failed
from wolkvox_async.scheduling.flow import Flow, FlowPolicy
from wolkvox_async.scheduling.level import Pace

GOOD = Empty(200, 200, "")
BUSY = Failed(CallError(ErrorKind.TOKEN_BUSY, "", retryable=True), status=403)
OTHERS = crowd(4, 0.4)


def ruled(world: World, *, per_server: int = 32) -> Simulation:
    return Simulation(world, Flow(FlowPolicy(Pace(ceiling=2_000), per_server=per_server), now=0.0))


def limits(simulation: Simulation, name: str, since: int, until: int) -> list[int]:
    """Return a server's limit at every full second."""
    found = []
    for second in range(since, until):
        simulation.run(float(second))
        found.append(simulation.control.server(name))
    return found


@pytest.mark.parametrize("takes", [1, 4, 10, 20])
def test_the_limit_of_a_server_that_refuses_settles_near_what_it_takes(takes: int) -> None:
    world = World((VirtualServer("9999", 0.4, refuses_above=takes), *OTHERS), cpu=0.001)
    simulation = ruled(world)
    simulation.run(30)
    assert mean(limits(simulation, "9999", 30, 90)) == pytest.approx(takes, rel=0.2, abs=0.5)
    assert {simulation.control.server(server.name) for server in OTHERS} == {32}


def test_hardly_anything_is_refused_once_it_has_settled() -> None:
    world = World((VirtualServer("9999", 0.4, refuses_above=10), *OTHERS), cpu=0.001)
    simulation = ruled(world)
    simulation.run(30)
    before = simulation.seen.refusals
    seen = simulation.run(120)
    assert seen.refusals - before <= 0.005 * 90 * seen.throughput(30, 120)


def test_a_server_that_takes_more_again_gets_more_again() -> None:
    narrow = VirtualServer("9999", 0.4, refuses_above=6)
    simulation = ruled(World((narrow, *OTHERS), cpu=0.001))
    assert limits(simulation, "9999", 39, 40)[0] <= 7
    simulation.world = replace(simulation.world, servers=(replace(narrow, refuses_above=100), *OTHERS))
    simulation.run(130)
    assert simulation.control.server("9999") == 32


def test_the_limit_of_a_server_that_slows_down_with_its_load_falls_and_its_throughput_stays() -> None:
    slow = VirtualServer("9999", 0.4, places=8)
    simulation = ruled(World((slow, *OTHERS), cpu=0.001))
    simulation.run(40)
    assert mean(limits(simulation, "9999", 40, 80)) == pytest.approx(8 * 1.2, rel=0.3)
    assert {simulation.control.server(server.name) for server in OTHERS} == {32}
    alone = ruled(World((slow,), cpu=0.001))
    assert alone.run(60).throughput(20, 60) >= 0.95 * 8 / 0.4
    assert alone.control.server("9999") <= 12


def test_a_server_that_is_slower_for_reasons_of_its_own_keeps_its_limit() -> None:
    server = VirtualServer("9999", 0.2)
    simulation = ruled(World((server,), cpu=0.001))
    simulation.run(20)
    simulation.world = replace(simulation.world, servers=(replace(server, service=0.5),))
    simulation.run(60)
    assert simulation.control.server("9999") == 32


def test_our_own_slowness_is_not_blamed_on_a_server() -> None:
    world = World(crowd(8, 0.2), cpu=0.001)
    simulation = ruled(world)
    simulation.run(20)
    simulation.world = replace(world, cpu=0.003)
    simulation.run(80)
    assert min(simulation.control.server(server.name) for server in world.servers) >= 16


def test_refusals_that_a_lower_limit_does_not_end_do_not_take_all_of_it() -> None:
    # One token in twenty is always busy, however few calls are in flight.
    flow, now, lowest = Flow(FlowPolicy(per_server=16), now=0.0), 0.0, 16
    for number in range(20_000):
        limit = flow.server("0001")
        now += 0.2 / limit
        outcome = BUSY if number % 20 == 0 else GOOD
        if flow.observe("0001", 0.2, outcome, limit, now):
            flow.decide(waiting=False, now=now)
        if now > 30:
            lowest = min(lowest, flow.server("0001"))
    assert lowest >= 8


def test_an_attempt_that_started_under_another_limit_says_nothing_about_this_one() -> None:
    flow = Flow(FlowPolicy(per_server=8), now=0.0)
    for number in range(20):
        if flow.observe("0001", 0.1, BUSY, 8, 0.1 * number):
            flow.decide(waiting=False, now=0.1 * number)
            break
    lowered, now = flow.server("0001"), 0.1 * number
    assert lowered == 4
    for _ in range(10):
        now += 0.2
        assert not flow.observe("0001", now, BUSY, 8, now)
    assert flow.server("0001") == lowered
