"""A million simulated attempts, in virtual time: 0 overlaps, 0 early calls, every call settled once.

Two engines share one state, so that tokens are taken from each other, and make passes
over the same operations. The vendor is made up: it answers, fails, hangs, drops
connections and keeps working on what was abandoned, for up to its limit; and it keeps
the books that the client is judged by.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self

from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.catalog import Catalog
from wolkvox_async.engine import Engine, EngineParts
from wolkvox_async.engine.closing import REFUSED_FOR
from wolkvox_async.engine.crew import CrewParts
from wolkvox_async.engine.permits import Terms
from wolkvox_async.model import Answer, Breakdown, Call, ErrorKind, Operation, Token
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.ports import Event
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import RetryPolicy
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.testing import ok_answer, refusal

from .figures import Figures

TOKENS: Final = 10_000
SERVERS: Final = 200
APIS: Final = ("interactions", "gamification", "ivr_minutes")
INTERVAL: Final = 300.0
LIMIT: Final = 60.0  # seconds that the vendor works on what was abandoned
TIMEOUT: Final = 65.0
_MOMENT: Final = 0.01  # seconds: two clocks that are added up differ by rounding

GOOD: Final = ok_answer([{"operation": "", "description": "made up", "items": "1", "date": "2026-11-21"}])
EMPTY: Final = ok_answer([])
BUSY: Final = refusal(403, "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN")
REFUSED: Final = refusal(403, "PLEASE VALIDATE TOKEN")
BROKEN: Final = refusal(500, "", error="INTERNAL ERROR")
SLOWER: Final = refusal(429, "", error="TOO MANY REQUESTS")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time: when nothing is ready, its clock moves on."""

    def __init__(self) -> None:
        super().__init__(_Leap(self))
        self.now = 0.0

    def time(self) -> float:
        return self.now


class _Leap(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout:
            self._loop.now += timeout
        return super().select(0)


@dataclass
class Books:
    """What the vendor saw."""

    attempts: int = 0
    overlaps: int = 0
    early: int = 0
    after_refusal: int = 0
    at_work_until: dict[str, float] = field(default_factory=dict)
    answered: dict[tuple[str, str], float] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
    met: Counter[str] = field(default_factory=Counter)


class Vendor:
    """Fulfils `ports.Transport` without a socket."""

    def __init__(self, books: Books, rng: random.Random, now: Callable[[], float]) -> None:
        self.books: Final = books
        self._rng: Final = rng
        self._now: Final = now

    def turn(self, _operation: Operation) -> VendorTurn:
        return VendorTurn(self)

    async def close(self) -> None:
        """Have nothing to close."""

    async def receive(self, call: Call) -> Answer | Breakdown:
        """Take a request in, check it, and deal with it in one of many ways."""
        sent, token, key = self._now(), call.operation.token.id, (call.operation.token.id, call.question)
        self._check(sent, token, key)
        self.books.at_work_until[token] = float("inf")
        how = self._rng.choices(tuple(_WAYS), tuple(_WAYS.values()))[0]
        self.books.met[how] += 1
        try:
            met = await self._deal(how, sent, token)
        except asyncio.CancelledError:
            self.books.at_work_until[token] = sent + self._rng.uniform(0, LIMIT)
            raise
        if isinstance(met, Answer):
            self.books.at_work_until[token] = self._now()
            if met in (GOOD, EMPTY):
                self.books.answered[key] = sent
            elif met == REFUSED:
                self.books.refused[token] = self._now()
        return met

    def _check(self, sent: float, token: str, key: tuple[str, str]) -> None:
        books = self.books
        books.attempts += 1
        books.overlaps += sent < books.at_work_until.get(token, -1.0)
        books.early += sent < books.answered.get(key, -INTERVAL) + INTERVAL - _MOMENT
        books.after_refusal += sent < books.refused.get(token, -REFUSED_FOR) + REFUSED_FOR - _MOMENT

    async def _deal(self, how: str, sent: float, token: str) -> Answer | Breakdown:
        latency = self._rng.lognormvariate(-1.0, 0.8)
        if how == "hangs":
            await asyncio.sleep(TIMEOUT)
            self.books.at_work_until[token] = sent + self._rng.uniform(0, LIMIT)
            return Breakdown(ErrorKind.TIMEOUT, "no answer", sent)
        await asyncio.sleep(min(latency, TIMEOUT - 1))
        if how == "drops":
            self.books.at_work_until[token] = sent + self._rng.uniform(0, LIMIT)
            return Breakdown(ErrorKind.DISCONNECTED, "dropped", sent)
        if how == "unreachable":
            self.books.at_work_until[token] = sent
            return Breakdown(ErrorKind.CONNECT, "no connection", None)
        return _ANSWERS[how]


_ANSWERS: Final = {"answers": GOOD, "empty": EMPTY, "busy": BUSY, "refuses": REFUSED, "breaks": BROKEN, "slows": SLOWER}
_WAYS: Final = {
    "answers": 800,
    "empty": 60,
    "breaks": 50,
    "slows": 20,
    "busy": 10,
    "drops": 35,
    "hangs": 15,
    "unreachable": 9,
    "refuses": 0.05,
}


class VendorTurn:
    """A turn without a connection."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor: Final = vendor

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def attempt(self, call: Call) -> Answer | Breakdown:
        return await self._vendor.receive(call)

    def distrust(self) -> None:
        """Have no connection to close."""


class VirtualClock:
    """The loop's time, and a wall clock that goes with it."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def utc(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self.now())

    def alarm(self, when: float, ring: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_at(when, ring)


class Deaf:
    """A hook that hears nothing."""

    def observe(self, event: Event) -> None:
        """Ignore it."""


@dataclass
class Passes:
    """What the passes came to: how often each planned call was settled, and attempts as recorded."""

    planned: int = 0
    settled: int = 0
    twice: int = 0
    attempts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)


def run(figures: Figures, *, short: bool) -> None:
    """Simulate, and put the figures down."""
    wanted = 10_000 if short else 1_000_000
    loop = VirtualLoop()
    books, passes = Books(), Passes()
    began = time.process_time()
    try:
        loop.run_until_complete(_simulate(books, passes, wanted, TOKENS // 20 if short else TOKENS))
    finally:
        loop.close()
    cpu = time.process_time() - began
    figures.note("attempts", f"{books.attempts} in {loop.now / 3600:.1f} virtual hours, {cpu:.0f} s of CPU")
    figures.note("what they met", ", ".join(f"{how} {count}" for how, count in books.met.most_common()))
    figures.note("calls", ", ".join(f"{how} {count}" for how, count in passes.outcomes.most_common()))
    counts = {
        "overlaps": books.overlaps,
        "early calls": books.early,
        "requests within an hour of a refusal": books.after_refusal,
        "planned calls not settled": passes.planned - passes.settled,
        "calls settled twice": passes.twice,
        "attempts made, less attempts recorded": books.attempts - passes.attempts,
    }
    for name, count in counts.items():
        figures.promise(name, count, kept=count == 0)


async def _simulate(books: Books, passes: Passes, wanted: int, tokens: int) -> None:
    rng, clock = random.Random(20261121), VirtualClock()
    catalog = Catalog()
    endpoints = tuple(Wanted(endpoint) for api in APIS if (endpoint := catalog.get(api)) is not None)
    subscriptions = [
        Subscription(Operation(f"t{n}", "main", f"{n % SERVERS:04}", Token(f"made-up-token-{n:05}")), endpoints)
        for n in range(tokens)
    ]
    state = MemoryState(clock)
    states = (state, state.beside())
    vendor = Vendor(books, rng, clock.now)
    engines = [_engine(subscriptions, catalog, one, vendor, rng.random) for one in states]
    async with engines[0], engines[1]:
        while books.attempts < wanted:
            await asyncio.gather(*(_one_pass(engine, passes) for engine in engines))
            await asyncio.sleep(rng.uniform(0, INTERVAL))


def _engine(
    subscriptions: list[Subscription],
    catalog: Catalog,
    state: MemoryState,
    vendor: Vendor,
    chance: Callable[[], float],
) -> Engine:
    limits, retry = Limits(max_in_flight=500), RetryPolicy()
    crew = CrewParts(
        scheduler=Scheduler(limits, retry),
        transport=vendor,
        clock=VirtualClock(),
        hook=Deaf(),
        chance=chance,
        state=state,
        server_limit=LIMIT,
        terms=Terms(hold=70.0),
    )
    return Engine(subscriptions, EngineParts(crew, _NoTokens(), catalog, limits, retry.max_attempts, "torture"))


class _NoTokens:
    async def resolve(self, _operation: Operation) -> Token | None:
        return None


async def _one_pass(engine: Engine, passes: Passes) -> None:
    seen: set[str] = set()
    async with engine.fetch() as records:
        passes.planned += records.planned
        async for record in records:
            if record["type"] != "call":
                continue
            passes.twice += record["call"] in seen
            seen.add(record["call"])
            passes.attempts += record["attempts"]
            passes.outcomes[record["outcome"] if record["error"] is None else record["error"]["kind"]] += 1
    passes.settled += len(seen)
