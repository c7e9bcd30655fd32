"""What `--max-in-flight auto` finds, against every fixed number that one could have guessed.

First in virtual time (see virtual): for servers, networks and CPUs of several kinds the
smallest fixed number that keeps 95 % and 99 % of the best throughput, and what auto has in
flight and gets. Then real: a pass over loopback at two latencies, auto against fixed
numbers. Exits 1 when auto loses more than 10 % of the throughput of the best fixed number,
or has more than twice as many calls in flight as the smallest one that is sufficient
(that keeps 95 %). Calls in flight are by Little's law: the seconds of all calls, per second.

    python -m benchmarks.in_flight [--only virtual|real] [--operations N] [--rounds N]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from wolkvox_async.scheduling.flow import Flow, FlowPolicy
from wolkvox_async.scheduling.level import Pace

from .laboratory import Pass, Vendor, fetch, vendor
from .virtual import Fixed, Simulation, VirtualServer, World, crowd

WORLDS: Mapping[str, World] = {
    "CPU 1 ms, 50 ms": World(crowd(20, 0.05), cpu=0.001),
    "CPU 1 ms, 200 ms": World(crowd(20, 0.2), cpu=0.001),
    "CPU 1 ms, 200 ms, in waves": World(crowd(20, 0.2, spread=0.0), cpu=0.001),
    "CPU 2 ms, 1 s by chance": World(crowd(20, 1.0, spread=1.0), cpu=0.002),
    "CPU 4 ms, 20 ms": World(crowd(20, 0.02), cpu=0.004),
    "long network": World(crowd(20, 0.02), network=0.4, cpu=0.002),
    "servers with 8 places": World(crowd(10, 0.2, places=8), cpu=0.001),
    "servers of two kinds": World((*crowd(10, 0.1), *crowd(4, 0.6, places=20)), cpu=0.002),
    "one refuses above 10": World((VirtualServer("9999", 0.2, refuses_above=10), *crowd(9, 0.2)), cpu=0.002),
}
SECONDS = 48
LATENCIES = (0.05, 0.2)
FIXED = (50, 200, 1000)
APIS = ("interactions", "gamification", "ivr_minutes")
SERVERS = 50
LOSS = 0.90  # of the best throughput: auto keeps at least that
SUFFICIENT = 0.95
TWICE = 2.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Answers per second and calls in flight on average."""

    throughput: float
    in_flight: float


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("virtual", "real"))
    parser.add_argument("--operations", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=1)
    wanted = parser.parse_args()
    held = True
    if wanted.only != "real":
        held &= False not in [_virtually(name, world) for name, world in WORLDS.items()]
    if wanted.only != "virtual":
        held &= False not in [_really(latency, wanted.operations, wanted.rounds) for latency in LATENCIES]
    print("auto keeps the throughput with few calls in flight" if held else "NO: see above")
    return 0 if held else 1


# --- in virtual time ----------------------------------------------------------------------


def _virtually(name: str, world: World) -> bool:
    fixed = {total: _simulated(world, Fixed(total, 32)) for total in _numbers(world)}
    auto = _simulated(world, Flow(FlowPolicy(Pace(ceiling=5000), per_server=32), now=0.0))
    best = max(each.throughput for each in fixed.values())
    smallest = {share: _smallest(fixed, share * best) for share in (SUFFICIENT, 0.99)}
    held = auto.throughput >= LOSS * best and auto.in_flight <= TWICE * smallest[SUFFICIENT]
    print(
        f"{name:<28} best fixed {best:7.1f}/s; 95 % with {smallest[SUFFICIENT]:4}, 99 % with {smallest[0.99]:4}; "
        f"auto {auto.throughput / best:6.1%} with {auto.in_flight:4.0f}  {'yes' if held else 'NO'}"
    )
    return held


def _simulated(world: World, control: Fixed | Flow) -> Figures:
    seen = Simulation(world, control).run(SECONDS)
    return Figures(seen.throughput(SECONDS / 3, SECONDS), seen.in_flight(SECONDS / 3, SECONDS))


def _numbers(world: World) -> Iterator[int]:
    most, number = 4 * world.best_latency() / world.cpu, 2.0
    while number < most:
        yield round(number)
        number = max(number + 1, number * 1.25)


def _smallest(fixed: Mapping[int, Figures], throughput: float) -> int:
    return min(total for total, each in fixed.items() if each.throughput >= throughput)


# --- over loopback ------------------------------------------------------------------------


def _really(latency: float, operations: int, rounds: int) -> bool:
    names = ["auto", *map(str, FIXED)]
    passes: dict[str, list[tuple[Vendor, Pass]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            passes[name].append(_pass(latency, operations, name))
    figures = {name: _report(latency, name, done) for name, done in passes.items()}
    auto = figures.pop("auto")
    best = max(each.throughput for each in figures.values())
    smallest = min(each.in_flight for each in figures.values() if each.throughput >= SUFFICIENT * best)
    clean = all(at.verdict["ok"] and done.code == 0 for made in passes.values() for at, done in made)
    held = clean and auto.throughput >= LOSS * best and auto.in_flight <= TWICE * smallest
    print(
        f"  auto keeps {auto.throughput / best:.1%} of the best fixed with {auto.in_flight / smallest:.2f} x the calls "
        f"in flight of the smallest that is sufficient; exit codes 0 and no broken rule: "
        f"{'yes' if clean else 'NO'}  {'yes' if held else 'NO'}"
    )
    return held


def _pass(latency: float, operations: int, in_flight: str) -> tuple[Vendor, Pass]:
    arguments = ["--operations", str(operations), "--servers", str(SERVERS), "--latency", str(latency)]
    with vendor(*arguments, *[f"--api={api}" for api in APIS]) as at:
        done = fetch(at, "--max-in-flight", in_flight)
    return at, done


def _report(latency: float, name: str, passes: list[tuple[Vendor, Pass]]) -> Figures:
    calls = len(passes[0][1].calls())
    seconds = median(done.run_seconds for _, done in passes)
    in_flight = median(sum(call["seconds"] for call in done.calls()) / done.run_seconds for _, done in passes)
    cpu = median(done.cpu for _, done in passes) / max(1, calls) * 1e6
    most = max(at.verdict["max_in_flight"] for at, _ in passes)
    print(
        f"{latency * 1000:4.0f} ms, {name:>4} in flight: {calls} calls in {seconds:6.2f} s = {calls / seconds:6.0f}/s, "
        f"CPU {cpu:4.0f} us a call, {in_flight:5.0f} in flight on average, at most {most} as the server saw it"
    )
    return Figures(calls / seconds, in_flight)


if __name__ == "__main__":
    sys.exit(main())
