"""What `fetch --workers 2` costs and brings, against one worker; every pass is a process of its own.

- With answers that are there at once, inside the workers: how much faster two are (on two cores).
- Against a server that costs little (see `peers/loopback.c`), 50 ms an answer: CPU per call of
  all processes together.

Both are ratios of passes that take turns, so that what else the machine does hits both; the
best of each kind counts. How fast two are shows only where both cores are theirs: the load
of the machine is printed, and what the CPU time would allow. Exits 1 when a figure is missed.

    python -m benchmarks.workers [--operations N] [--rows N] [--repeat N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from wolkvox_async.apps import passing
from wolkvox_async.apps.working import fetching
from wolkvox_async.model import Answer, Call, Operation
from wolkvox_async.settings.composition import Parts
from wolkvox_async.settings.options import Options
from wolkvox_async.settings.tenants import load_tenants

from .laboratory import table
from .peers.servers import Offer, Workshop

APIS = ("interactions", "gamification", "ivr_minutes")
FASTER = 1.7
DEARER = 1.15
SERVERS = 20
LATENCY = 0.05


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds that a pass took by the clock, and of CPU in all its processes."""

    wall: float = math.inf
    cpu: float = math.inf

    def best(self, other: Took) -> Took:
        """Return the best of both."""
        return Took(min(self.wall, other.wall), min(self.cpu, other.cpu))


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=15000)
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--base-url", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child is not None:
        print(json.dumps(asdict(_pass(wanted))))
        return 0
    load = os.getloadavg()[0]
    scripted = _taking_turns(wanted)
    with tempfile.TemporaryDirectory() as name:
        offer = Offer(rows=wanted.rows, latency=LATENCY, apis=APIS)
        with Workshop(Path(name)).serve(offer, None) as server:
            served = _taking_turns(wanted, "--base-url", server.base_url)
    return _judge(wanted, load, scripted, served, server.verdict["overlaps"])


def _judge(
    wanted: argparse.Namespace, load: float, scripted: Sequence[Took], served: Sequence[Took], overlaps: int
) -> int:
    calls = wanted.operations * len(APIS)
    faster, dearer = scripted[0].wall / scripted[1].wall, served[1].cpu / served[0].cpu
    checks = {
        f"two workers at least {FASTER} times as fast": faster >= FASTER,
        f"CPU per call at most {DEARER} of one worker's": dearer <= DEARER,
        "0 overlaps": overlaps == 0,
    }
    rows: list[tuple[str, object]] = [
        ("load of the machine at the start", f"{load:.1f}"),
        ("calls", f"{calls}, {wanted.rows} row(s) each"),
    ]
    for kind, passes in (("scripted", scripted), ("served", served)):
        for number, one in zip(("one worker", "two workers"), passes, strict=True):
            rows.append((f"{kind}, {number}", f"{one.wall:.2f} s, CPU {one.cpu / calls * 1e6:.0f} us a call"))
    rows += [
        ("scripted: so many times as fast", f"{faster:.2f} (CPU allows {2 * scripted[0].cpu / scripted[1].cpu:.2f})"),
        ("served: CPU per call", f"{dearer:.2f} of one worker's"),
        *((name, "yes" if held else "NO") for name, held in checks.items()),
    ]
    table(rows)
    return 0 if all(checks.values()) else 1


def _taking_turns(wanted: argparse.Namespace, *more: str) -> list[Took]:
    """Return the best of one worker's passes, and of two workers'."""
    best = [Took(), Took()]
    for _ in range(wanted.repeat):
        for number, before in enumerate(best):
            arguments = ["--operations", str(wanted.operations), "--rows", str(wanted.rows), *more]
            command = [sys.executable, "-m", "benchmarks.workers", "--child", str(number + 1), *arguments]
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            best[number] = before.best(Took(**json.loads(said.stdout)))
    return best


# --- in the process of a pass ------------------------------------------------------------------


@dataclass(slots=True)
class Instant:
    """A transport, and its turns, whose answers are there at the next turn of the loop."""

    body: bytes

    def turn(self, operation: Operation) -> Instant:  # noqa: ARG002 - the port's signature
        """Open a turn."""
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def attempt(self, call: Call) -> Answer:  # noqa: ARG002 - the port's signature
        """Answer."""
        await asyncio.sleep(0)
        return Answer(200, self.body)

    def distrust(self) -> None:
        """Do nothing: there is no connection."""

    async def close(self) -> None:
        """Do nothing."""


def _pass(wanted: argparse.Namespace) -> Took:
    """Make one pass in this process, and say what it took."""
    tenants = load_tenants(_document(wanted.operations))
    with tempfile.TemporaryDirectory() as name:
        output = Path(name, "usage.jsonl")
        options = Options(state=str(Path(name, "state")), max_in_flight=1000, per_server=100)
        if wanted.base_url:
            options = replace(options, base_url=wanted.base_url)
        order = passing.Order(tenants, options, str(output), progress=False, workers=wanted.child)
        started, used = time.monotonic(), _cpu()
        ending = _run(order, _parts(wanted))
        took = Took(time.monotonic() - started, _cpu() - used)
        lines = output.read_bytes().count(b"\n")
    if ending.code or lines != wanted.operations * len(APIS) * (wanted.rows + 1) + 2:
        raise AssertionError(f"the pass ended with {ending.code}, and wrote {lines} lines")
    return took


def _parts(wanted: argparse.Namespace) -> Callable[[], Parts]:
    if wanted.base_url:
        return Parts
    row = {"operation": "ACME BOG", "description": "Consumption of the day", "items": "12", "date": "2026-11-21"}
    body = orjson.dumps({"code": 200, "error": None, "msg": "Information found", "data": [row] * wanted.rows})
    return lambda: Parts(transport=Instant(body))


def _run(order: passing.Order, parts: Callable[[], Parts]) -> passing.Ending:
    if order.workers == 1:
        return passing.run(lambda: passing.run_pass(order, parts()))
    return fetching.run(order, parts)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _document(operations: int) -> dict[str, Any]:
    entries = [
        {"name": f"op{n}", "server": f"{n % SERVERS:04}", "token": f"made-up-token-{n:08}"} for n in range(operations)
    ]
    return {"defaults": {"apis": list(APIS)}, "tenants": [{"name": "acme", "operations": entries}]}


if __name__ == "__main__":
    sys.exit(main())
