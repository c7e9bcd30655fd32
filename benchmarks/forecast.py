"""How near `plan` comes to the engine in virtual time, and what predicting costs; seconds on one core.

Every shape is run twice: by the engine itself, in a loop whose time jumps from event to
event, and by `plan`'s prediction. Exits 1 when one is more than 5 % off, or when a
prediction for 100,000 calls takes more than 3 s of CPU.

    ./dev bench forecast [--calls N]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

import looptime

from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.apps.forecast import forecast
from wolkvox_async.apps.rehearsal import Scene, Seconds
from wolkvox_async.catalog import BILLING, Catalog
from wolkvox_async.model import Answer, Call, Operation, Token
from wolkvox_async.planning import Subscription, Wanted, plan
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.settings.composition import Parts, assemble
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options
from wolkvox_async.testing import ScriptedTransport, ok_answer

CLOSE = 0.05
MOST_SECONDS = 3.0
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
GOOD = ok_answer([{"items": "1"}])


def _even(_operation: Operation, _api: str) -> float:
    return 1.0


def _by_chance(operation: Operation, api: str) -> float:
    return round(0.01 + Random(operation.path + api).expovariate(2.0), 2)


def _one_slow_server(operation: Operation, _api: str) -> float:
    return 5.0 if operation.server == "0000" else 0.2


@dataclass(frozen=True)
class Shape:
    """Operations on servers, endpoints of each, how long calls take, and limits."""

    operations: int
    servers: int
    endpoints: int
    seconds: Seconds = _even
    limits: Limits = field(default_factory=Limits)

    def subscriptions(self) -> list[Subscription]:
        """Return the operations, each with a token of its own."""
        wanted = tuple(Wanted(endpoint) for endpoint in BILLING[: self.endpoints])
        return [
            Subscription(Operation(f"t{n}", "main", f"{n % self.servers:04}", Token(f"made-up-token-{n}")), wanted)
            for n in range(self.operations)
        ]


SHAPES = {
    "one slow server of ten": Shape(400, 10, 3, _one_slow_server, Limits(100, per_server=8)),
    "1,000 tokens on one server": Shape(1_000, 1, 2),
    "one token, 27 endpoints": Shape(1, 1, 27, _by_chance),
    "8 in flight to each server": Shape(300, 5, 6, _by_chance, Limits(per_server=8)),
    "40 in flight in all": Shape(700, 70, 3, _by_chance, Limits(40)),
    "pauses of 0.5 s": Shape(100, 3, 6, _by_chance, Limits(per_server=4, token_gap=0.5)),
}


class _Clock(LoopClock):
    """The loop's clock; that loop counts whole microseconds, so an alarm may ring a moment early."""

    def alarm(self, when: float, ring: object) -> asyncio.TimerHandle:
        """Ring a moment later."""
        return super().alarm(when + 2e-6, ring)  # type: ignore[arg-type]


async def _run(shape: Shape) -> float:
    """Make the pass; return how many seconds of the loop it took."""

    async def script(call: Call, _number: int) -> Answer:
        await asyncio.sleep(shape.seconds(call.operation, call.api))
        return GOOD

    limits = shape.limits
    options = Options(
        max_in_flight=limits.max_in_flight, per_server=limits.per_server, token_gap=limits.token_gap, interval=0.0
    )
    parts = Parts(transport=ScriptedTransport(script), clock=_Clock())
    loop = asyncio.get_running_loop()
    async with assemble(shape.subscriptions(), Tenants((), Catalog()), options, parts) as engine:
        began = loop.time()
        async with engine.fetch() as records:
            async for _record in records:
                pass
        return loop.time() - began


def _predict(shape: Shape) -> tuple[float, float, float]:
    """Return the prediction, the bound from below, and the CPU seconds that both took."""
    calls = list(plan(shape.subscriptions(), run="0" * 26, now=NOW))
    began = time.process_time()
    seen = forecast(calls, Scene(shape.seconds, shape.limits), {})
    return seen.about, seen.seconds, time.process_time() - began


def _compare(name: str, shape: Shape) -> bool:
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        took = runner.run(_run(shape))
    about, bound, _ = _predict(shape)
    calls, off = shape.operations * shape.endpoints, about / took - 1
    print(f"{name:<28}{calls:>7,}{took:>10.2f}{about:>13.2f}{off:>9.2%}{bound:>10.2f}")
    return abs(off) <= CLOSE


def main() -> int:
    """Compare, measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000, help="of the prediction that is timed")
    calls = parser.parse_args().calls
    print(f"{'shape':<28}{'calls':>7}{'run, s':>10}{'predicted':>13}{'off':>9}{'at least':>10}")
    compared = [_compare(name, shape) for name, shape in SHAPES.items()]
    about, _, seconds = _predict(Shape(calls // 2, 300, 2))
    print(f"\n{calls:,} calls: predicted {about:.1f} s, in {seconds:.2f} s of CPU")
    is_quick = seconds <= MOST_SECONDS * max(1.0, calls / 100_000)
    return 0 if is_quick and all(compared) else 1


if __name__ == "__main__":
    sys.exit(main())
