"""The level finds the knee, keeps the throughput, and follows when the world changes; all in virtual time."""

from dataclasses import replace

import pytest

from benchmarks.virtual import Fixed, Seen, Simulation, World, crowd, throughput
from wolkvox_async.scheduling.flow import Flow, FlowPolicy
from wolkvox_async.scheduling.level import Pace

DECISIONS = 16  # within so many changes of the level it is there
WORLDS = {
    "our CPU is short": World(crowd(20, 0.4), cpu=0.003),
    "our CPU is short and the answers come in waves": World(crowd(20, 0.4, spread=0.0), cpu=0.003),
    "our CPU is short and latency is chance": World(crowd(20, 0.3, spread=1.0), network=0.1, cpu=0.003),
    "our CPU is short at once": World(crowd(20, 0.02), cpu=0.004),
    "the network is long": World(crowd(20, 0.02), network=0.6, cpu=0.002),
    "it starts below the knee": World(crowd(20, 1.0), cpu=0.002),
}


def knee(world: World) -> float:
    """Return throughput at most x latency at best: what is needed in flight, if nothing ever queued."""
    return world.best_latency() / world.cpu


def ruled(world: World, *, seed: int = 1) -> Simulation:
    return Simulation(world, Flow(FlowPolicy(Pace(ceiling=5_000), per_server=1_000), now=0.0), seed=seed)


def changes(seen: Seen, since: float, until: float) -> int:
    return sum(since < when <= until for when, _ in seen.totals)


@pytest.mark.parametrize("name", WORLDS)
def test_it_settles_near_the_knee_within_so_many_decisions_and_keeps_the_throughput(name: str) -> None:
    world = WORLDS[name]
    seen = ruled(world).run(80)
    levels = [level for _, level in seen.totals[:DECISIONS]]
    assert any(abs(level - 1.1 * knee(world)) <= 0.25 * 1.1 * knee(world) for level in levels)
    assert changes(seen, 0, 40) <= 2 * DECISIONS
    assert seen.in_flight(40, 80) == pytest.approx(1.1 * knee(world), rel=0.25)
    assert seen.throughput(40, 80) >= 0.95 * throughput(world, round(4 * knee(world)))


def test_it_follows_when_latency_doubles_in_the_middle() -> None:
    before, after = World(crowd(20, 0.2), cpu=0.003), World(crowd(20, 0.4), cpu=0.003)
    simulation = ruled(before)
    simulation.run(40)
    simulation.world = after
    seen = simulation.run(120)
    assert seen.in_flight(20, 40) < 1.5 * knee(before)
    assert seen.in_flight(80, 120) == pytest.approx(1.1 * knee(after), rel=0.25)
    assert seen.throughput(60, 120) >= 0.95 / after.cpu


def test_it_follows_when_latency_halves_in_the_middle() -> None:
    before, after = World(crowd(20, 0.4), cpu=0.003), World(crowd(20, 0.2), cpu=0.003)
    simulation = ruled(before)
    simulation.run(40)
    simulation.world = after
    seen = simulation.run(140)
    assert seen.in_flight(100, 140) == pytest.approx(1.1 * knee(after), rel=0.25)
    assert seen.throughput(60, 140) >= 0.95 / after.cpu


def test_it_follows_when_others_use_half_of_our_cpu_and_when_they_stop() -> None:
    alone = World(crowd(20, 0.3), cpu=0.002)
    shared = replace(alone, cpu=0.004)
    simulation = ruled(alone)
    simulation.run(40)
    simulation.world = shared
    simulation.run(100)
    simulation.world = alone
    seen = simulation.run(160)
    assert seen.in_flight(70, 100) == pytest.approx(1.1 * knee(shared), rel=0.3)
    assert seen.throughput(60, 100) >= 0.95 / shared.cpu
    assert seen.in_flight(130, 160) == pytest.approx(1.1 * knee(alone), rel=0.25)
    assert seen.throughput(130, 160) >= 0.95 / alone.cpu


def test_it_does_not_fall_while_there_is_nothing_to_do() -> None:
    simulation = ruled(World(crowd(20, 0.3), cpu=0.002))
    simulation.run(30)
    found = simulation.control.total
    simulation.world = replace(simulation.world, calls=0)
    simulation.run(60)
    assert simulation.control.total >= found / 2
    assert changes(simulation.seen, 32, 60) == 0


def test_it_does_not_rise_while_something_else_holds_calls_back() -> None:
    few = World(crowd(2, 0.3), cpu=0.0005)
    seen = Simulation(few, Flow(FlowPolicy(Pace(ceiling=5_000), per_server=32), now=0.0)).run(30)
    assert [level for _, level in seen.totals] == [128]
    assert seen.throughput(10, 30) == pytest.approx(64 / few.best_latency(), rel=0.05)


def test_it_rises_to_its_ceiling_and_no_further() -> None:
    world = World(crowd(20, 1.0), cpu=0.0005)
    flow = Flow(FlowPolicy(Pace(ceiling=300), per_server=1_000), now=0.0)
    seen = Simulation(world, flow).run(40)
    assert max(level for _, level in seen.totals) == 300
    assert seen.most == 300
    assert seen.throughput(20, 40) >= 0.95 * throughput(world, 300)


def test_a_fixed_number_above_the_knee_gains_next_to_nothing() -> None:
    # So the simulation has the knee that the others are measured by.
    world = WORLDS["our CPU is short"]
    at, above, below = (throughput(world, round(factor * knee(world))) for factor in (1.1, 4, 0.5))
    assert at >= 0.95 * above
    assert below <= 0.6 * above
    assert Fixed(3).server("0001") > 3
