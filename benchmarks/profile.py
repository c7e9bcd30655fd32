"""Where the CPU of one pass goes: own time by function, the ten dearest.

A pass with everything switched on against the loopback server of `benchmarks/peers`, run
twice: plainly, for what it costs, and under cProfile, for who costs it. The profiler sees
the thread of the event loop and makes small functions look dearer than they are, so shares
are given, of that thread alone. What the other threads (state, output) use is told apart.

    python -m benchmarks.profile [--rows N] [--tokens N] [--calls-per-token N] [--write FILE]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wolkvox_async.apps import logs, passing

from .peers.clients.engine import import_everything, order
from .peers.job import Job, cpu
from .peers.servers import Workshop, cores, pin
from .peers.trial import APIS, Load, write_tenants

MOST = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """A function's own time: its share of the loop's thread, and how often it is called per call."""

    name: str
    share: float
    times: float


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--calls-per-token", type=int, default=20)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--write", type=Path, metavar="FILE", help="leave the table there")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child:
        return _pass(Job.read(wanted.child[0]), is_profiled=wanted.child[1] == "profiled")
    load = Load(wanted.tokens, wanted.calls_per_token, wanted.rows, wanted.in_flight)
    plain, profiled = _run(load, "plain"), _run(load, "profiled")
    text = _page(load, plain, profiled)
    print(text)
    if wanted.write is not None:
        wanted.write.write_text(text + "\n")
    return 0


def _run(load: Load, how: str) -> dict[str, Any]:
    """Make one pass in a process of its own, with a server and a folder of its own."""
    at, other = cores()
    with tempfile.TemporaryDirectory(prefix="wolkvox-profile-") as name:
        folder = Path(name)
        write_tenants(folder / "tenants.json", load)
        with Workshop(folder).serve(load.offer(), other) as server:
            job = Job(
                tenants=str(folder / "tenants.json"),
                base_url=server.base_url,
                apis=APIS[: load.calls_per_token],
                in_flight=load.in_flight,
                output=str(folder / "usage.jsonl"),
                state=str(folder / "state"),
            )
            job.write(folder / "job.json")
            command = [sys.executable, "-m", "benchmarks.profile", "--child", str(folder / "job.json"), how]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            pin(process.pid, at)
            said, _ = process.communicate()
        if process.returncode or server.verdict["answered"] != load.calls or server.verdict["overlaps"]:
            raise SystemExit(f"the pass was not in order: exit code {process.returncode}, {server.verdict}")
        told: dict[str, Any] = json.loads(said.splitlines()[-1])
        return told


def _pass(job: Job, *, is_profiled: bool) -> int:
    import_everything()
    logs.configure("json", "error")
    wanted = order(job)
    profile = cProfile.Profile()
    used, of_thread = cpu(), time.thread_time()
    if is_profiled:
        profile.enable()
    ending = passing.run(lambda: passing.run_pass(wanted))
    profile.disable()
    spent, of_loop = cpu() - used, time.thread_time() - of_thread
    costs = _costs(pstats.Stats(profile)) if is_profiled else []
    print(json.dumps({"cpu": spent, "loop": of_loop, "costs": costs}))
    return int(ending.code)


def _costs(stats: pstats.Stats) -> list[tuple[str, float, int]]:
    """Return every function with its own seconds and how often it was called, the dearest first."""
    known: dict[tuple[str, int, str], tuple[int, int, float, float, Any]] = stats.stats  # type: ignore[attr-defined]
    costs = [(_named(*place), own, calls) for place, (_, calls, own, _, _) in known.items()]
    return sorted(costs, key=lambda cost: -cost[1])


def _named(path: str, line: int, function: str) -> str:
    if path == "~":
        return function.strip("<>")
    parts = Path(path).with_suffix("").parts
    start = next((n for n, part in enumerate(parts) if part in ("wolkvox_async", "site-packages")), len(parts) - 2)
    below = parts[start + (parts[start] == "site-packages") :]
    return f"{'.'.join(below)}:{line} {function}"


def _page(load: Load, plain: dict[str, Any], profiled: dict[str, Any]) -> str:
    total = sum(own for _, own, _ in profiled["costs"])
    costs = [Cost(name, own / total, calls / load.calls) for name, own, calls in profiled["costs"][:MOST]]
    each, others = plain["cpu"] / load.calls * 1e6, (plain["cpu"] - plain["loop"]) / load.calls * 1e6
    head = (
        f"{load.calls:,} calls with {load.rows:,} rows each, {load.calls_per_token} on each token: {each:.0f} us of CPU"
    )
    head += f" per call, {others:.0f} us of it in other threads than the event loop's."
    share, following = sum(cost.share for cost in costs), profiled["costs"][MOST][1] / total
    foot = f"The ten are {share:.0%} of the event loop's thread; the next one is {following:.1%}."
    return "\n".join([head, "", *_table(costs), "", foot])


def _table(costs: Sequence[Cost]) -> list[str]:
    lines = ["| | own time | times per call | function |", "|--:|--:|--:|---|"]
    return lines + [f"| {n} | {c.share:.1%} | {c.times:.2g} | `{c.name}` |" for n, c in enumerate(costs, 1)]


if __name__ == "__main__":
    sys.exit(main())
