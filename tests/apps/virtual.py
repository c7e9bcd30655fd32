"""What predictions are compared with: the engine itself, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from tests.engine.stage import GOOD, LoopWall, Stage, read_all
from wolkvox_async.apps.rehearsal import Seconds
from wolkvox_async.catalog import BILLING
from wolkvox_async.model import Answer, Call, Operation
from wolkvox_async.planning import Subscription
from wolkvox_async.scheduling.decisions import Limits

APIS = tuple(endpoint.api for endpoint in BILLING)


def constant(_operation: Operation, _api: str) -> float:
    return 0.3


def one_slow_server(operation: Operation, _api: str) -> float:
    return 5.0 if operation.server == "0000" else 0.2


def one_slow_endpoint(_operation: Operation, api: str) -> float:
    return 4.0 if api == "vision" else 0.1


def by_chance(operation: Operation, api: str) -> float:
    return round(0.01 + Random(operation.path + api).expovariate(1 / 0.4), 2)


class WholeWall(LoopWall):
    """A clock for loops that count whole microseconds: there an alarm may ring a moment early, again and again."""

    def alarm(self, when: float, ring: Callable[[], None]) -> asyncio.TimerHandle:
        return super().alarm(when + 2e-6, ring)


@dataclass(frozen=True)
class Shape:
    """Operations, how long their calls take, and limits."""

    subscriptions: Sequence[Subscription]
    seconds: Seconds = constant
    limits: Limits = field(default_factory=Limits)


async def passed(shape: Shape, **options: object) -> tuple[float, int]:
    """Make a pass; return how many virtual seconds it took, and of how many calls it was."""

    async def script(call: Call, _number: int) -> Answer:
        await asyncio.sleep(shape.seconds(call.operation, call.api))
        return GOOD

    loop = asyncio.get_running_loop()
    stage = Stage(shape.subscriptions, script, WholeWall(), limits=shape.limits, **options)  # type: ignore[arg-type]
    async with stage.engine() as engine:
        began = loop.time()
        records = await read_all(engine)
        took = loop.time() - began
    return took, sum(record["type"] == "call" for record in records)


@dataclass(frozen=True)
class Seen:
    """What came of watching: by operation, endpoint and due time (ms) how late calls began (s), and lost slots."""

    late: dict[tuple[str, str, int], float]
    answered: dict[tuple[str, str], float]  # closing readings, in Unix ms
    lost: list[int]
    most_in_flight: int

    def worst(self, due: range) -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for (path, api, at), late in self.late.items():
            if at in due:
                found[path, api] = max(late, found.get((path, api), 0.0))
        return found


async def watched(shape: Shape, start: datetime, span: timedelta) -> Seen:
    """Watch from `start` on, every 300 s."""
    late: dict[tuple[str, str, int], float] = {}
    answered: dict[tuple[str, str], float] = {}
    clock = WholeWall(start)

    async def script(call: Call, _number: int) -> Answer:
        assert call.slot is not None
        late[call.operation.path, call.api, call.slot.due] = clock.utc().timestamp() - call.slot.due / 1000
        await asyncio.sleep(shape.seconds(call.operation, call.api))
        if call.slot.closing:
            answered[call.operation.path, call.api] = clock.utc().timestamp() * 1000
        return GOOD

    stage = Stage(shape.subscriptions, script, clock, limits=shape.limits, interval=300.0)
    async with stage.engine() as engine, engine.watch() as records:
        asyncio.get_running_loop().call_later(span.total_seconds(), engine.stop)
        gaps = [record async for record in records if record["type"] == "gap" and record["reason"] != "closing"]
    lost = [round(datetime.fromisoformat(gap["slot"]).timestamp() * 1000) for gap in gaps]
    return Seen(late, answered, lost, stage.scripted.most_at_once)
