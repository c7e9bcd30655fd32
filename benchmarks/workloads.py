"""Small pieces of work, the same in every run: for instruction counts and for pytest-benchmark.

Every function prepares its work and returns it, to be called as often as is wanted. Times,
names and chance are fixed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import orjson

from wolkvox_async.classify import classify
from wolkvox_async.lines import call_lines
from wolkvox_async.marks import mark_of
from wolkvox_async.model import Answer, Call, Empty, Ok, Operation, Token
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.queues import Budget, Lane
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.settlements import Settlement

Work = Callable[[], object]

NOW: Final = datetime(2026, 11, 21, 21, 43, 47, 120_000, tzinfo=UTC)
RUN: Final = "01K00000000000000000000000"
ROW: Final = {"operation": "ACME BOG", "description": "Interactions", "items": "12", "date": "2026-11-21"}


def one_call(n: int = 0) -> Call:
    """Return the n-th call, each of a token of its own."""
    operation = Operation(f"tenant-{n}", "main", f"{n % 20:04d}", Token(f"made-up-token-{n:06d}"))
    return Call(f"{RUN[:-6]}{n:06d}", operation, "interactions", "billing", (("api", "interactions"),))


def answer(rows: int) -> Answer:
    """Return a successful answer with so many rows."""
    body = {"code": 200, "error": None, "msg": "Information found for the current month", "data": [ROW] * rows}
    return Answer(200, orjson.dumps(body))


def settlement(rows: int) -> Settlement:
    """Return a call that ended with so many rows."""
    return Settlement(one_call(), Ok([dict(ROW) for _ in range(rows)], 200, 200, "found"), 1, NOW, 0.213)


def classifying(rows: int) -> Work:
    """Prepare to classify an answer."""
    met = answer(rows)
    return lambda: classify(met, now=NOW)


def writing(rows: int) -> Work:
    """Prepare to write a call's lines."""
    settled = settlement(rows)
    return lambda: call_lines(RUN, settled)


def marking() -> Work:
    """Prepare to make a call's mark."""
    settled = settlement(1)
    return lambda: mark_of(RUN, settled)


def scheduling(calls: int = 1000) -> Work:
    """Prepare to add so many calls, start them all and end them all, on a fresh scheduler each time."""
    planned = [one_call(n) for n in range(calls)]
    nothing = Empty(200, 200, "")

    def work() -> int:
        scheduler, lane = Scheduler(Limits(max_in_flight=calls, per_server=calls)), Lane(Budget(calls))
        for call in planned:
            scheduler.add(call, lane, now=0.0)
        flying = []
        while (attempt := scheduler.take(now=1.0)) is not None:
            flying.append(attempt)
        for attempt in flying:
            scheduler.done(attempt, nothing, now=2.0, jitter=0.5)
            scheduler.release(lane)
        return len(flying)

    return work


def asking() -> Work:
    """Prepare to write a request: what is sent for one call on a connection that is open."""
    from wolkvox_async.adapters.http.requests import Targets, address, frame  # noqa: PLC0415 - with it comes aiohttp

    at = address("https://wv{server}.wolkvox.com", "0010")
    framed = frame(at, user_agent="wolkvox-async/0", encodings="gzip, deflate", proxy_lines=None)
    targets, call = Targets(), one_call()
    return lambda: framed.request(targets.of(call), call.operation.token)


def passing(calls: int = 300) -> Work:
    """Prepare a pass of the whole engine with scripted answers: a call on each of so many tokens."""
    from wolkvox_async import load_tenants  # noqa: PLC0415 - with the engine comes aiohttp

    tenants = load_tenants(
        {
            "defaults": {"apis": ["interactions"]},
            "tenants": [
                {
                    "name": f"tenant-{n}",
                    "operations": [
                        {"name": "main", "server": f"{n % 20:04d}", "token": Token(f"made-up-token-{n:06d}")}
                    ],
                }
                for n in range(calls)
            ],
        },
        now=NOW,
    )

    async def work() -> int:
        from wolkvox_async import Parts, open_engine  # noqa: PLC0415 - as above
        from wolkvox_async.testing import ManualClock, ScriptedTransport  # noqa: PLC0415 - as above

        met, sink = answer(1), _Counting()
        parts = Parts(transport=ScriptedTransport(lambda *_: met), clock=ManualClock(), chance=lambda: 0.5)
        async with open_engine(tenants, parts=parts) as engine, engine.fetch() as records:
            await records.write_to(sink)
        return sink.lines

    return lambda: asyncio.run(work())


class _Counting:
    """An output that counts its lines."""

    def __init__(self) -> None:
        self.lines = 0

    async def write(self, lines: bytes) -> None:
        self.lines += lines.count(b"\n")


SMALL: Final[dict[str, Callable[[], Work]]] = {
    "classify, 1 row": lambda: classifying(1),
    "classify, 100 rows": lambda: classifying(100),
    "lines of a call, 1 row": lambda: writing(1),
    "lines of a call, 100 rows": lambda: writing(100),
    "mark of a call": marking,
    "request of a call": asking,
    "scheduler, 1,000 calls": scheduling,
    "engine, 300 calls": passing,
}
