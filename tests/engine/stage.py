"""An engine over a scripted vendor: made-up operations, what the transport saw, what was left behind."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from math import ceil
from pathlib import Path
from random import Random
from typing import Any, Final

from wolkvox_async.adapters.clock import LoopClock
from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.catalog import Catalog
from wolkvox_async.engine import Engine, EngineParts
from wolkvox_async.engine.crew import CrewParts
from wolkvox_async.engine.permits import Terms
from wolkvox_async.engine.regulation import Regulator
from wolkvox_async.model import Answer, Breakdown, Call, ErrorKind, Operation, Token
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.ports import (
    AttemptFailed,
    CallSettled,
    Clock,
    Event,
    Hook,
    State,
    TokenClosed,
    TokenSource,
    Transport,
)
from wolkvox_async.records import CallRecord, Record
from wolkvox_async.scheduling.decisions import AfterFailure, Limits
from wolkvox_async.scheduling.flow import Flow
from wolkvox_async.scheduling.retry import RetryPolicy
from wolkvox_async.scheduling.scheduler import Scheduler
from wolkvox_async.testing import ScriptedTransport, ok_answer, refusal

CATALOG: Final = Catalog()
ROWS: Final = [{"operation": "ACME BOG", "description": "Interactions", "items": "12", "date": "2026-11-21"}]
GOOD: Final = ok_answer(ROWS)
EMPTY: Final = ok_answer([])
REFUSED: Final = refusal(403, "PLEASE VALIDATE TOKEN")
BUSY: Final = refusal(403, "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN")
QUOTA: Final = refusal(403, "TOKEN LIMIT EXCEEDED")
MAINTENANCE: Final = refusal(403, "BACKUP WINDOW")
BROKEN: Final = refusal(500, "TRY AGAIN", error="INTERNAL ERROR")
DOWN: Final = refusal(503, "TRY AGAIN", error="UNAVAILABLE")
UNKNOWN: Final = refusal(400, "THE API INTERACTIONS DOES NOT EXIST", error="BAD REQUEST")

_Met = Answer | Breakdown


def token(name: str) -> Token:
    """Return the made-up token `name`."""
    return Token(f"made-up-token-{name}")


def subscription(
    path: str = "acme/bogota",
    apis: Sequence[str] = ("interactions",),
    *,
    key: str | None = None,
    server: str = "0010",
    timezone: str = "America/Bogota",
) -> Subscription:
    """Return an operation (its token is called as it is, or `key`) and what it is asked for."""
    tenant, _, name = path.partition("/")
    return Subscription(Operation(tenant, name, server, token(key or path), timezone), wanted(tuple(apis)))


@cache
def wanted(apis: tuple[str, ...]) -> tuple[Wanted, ...]:
    """Return a list of endpoints; equal ones are one object, as in a tenants file."""
    return tuple(Wanted(endpoint) for api in apis if (endpoint := CATALOG.get(api)) is not None)


def many(count: int, apis: Sequence[str] = ("interactions",), *, servers: int = 1) -> list[Subscription]:
    """Return operations of as many tenants, spread over `servers`."""
    return [subscription(f"t{n}/main", apis, server=f"{n % servers:04}") for n in range(count)]


class Ear:
    """A hook that keeps what it hears."""

    def __init__(self) -> None:
        self.events: Final[list[Event]] = []

    def observe(self, event: Event) -> None:
        self.events.append(event)

    @property
    def settled(self) -> list[CallSettled]:
        return [event for event in self.events if isinstance(event, CallSettled)]

    @property
    def failures(self) -> list[AttemptFailed]:
        return [event for event in self.events if isinstance(event, AttemptFailed)]

    @property
    def closed(self) -> list[TokenClosed]:
        return [event for event in self.events if isinstance(event, TokenClosed)]

    @property
    def settled_once(self) -> bool:
        """Whether no call ended twice."""
        return max(Counter(event.call.id for event in self.settled).values(), default=0) <= 1


class Rotation:
    """A token source: what each operation's reference gives, one after the other; then nothing new."""

    def __init__(self, tokens: Mapping[str, Iterable[str]] | None = None) -> None:
        self._tokens: Final = {path: iter(names) for path, names in (tokens or {}).items()}
        self.asked: Final[list[str]] = []

    async def resolve(self, operation: Operation) -> Token | None:
        self.asked.append(operation.path)
        name = next(self._tokens.get(operation.path, iter(())), None)
        return None if name is None else token(name)


_ROUNDING: Final = 1e-5  # of a microsecond


class LoopWall(LoopClock):
    """The loop's clock, and a wall clock that goes with it."""

    def __init__(self, utc: datetime = datetime(2026, 11, 21, 12, tzinfo=UTC)) -> None:
        super().__init__()
        self._utc: Final = utc
        self._began: Final = self.now()

    def utc(self) -> datetime:
        return self._utc + timedelta(seconds=self.now() - self._began)

    def alarm(self, when: float, ring: Callable[[], None]) -> asyncio.TimerHandle:
        # Virtual time goes by whole microseconds: one that rang a part of one too early would ring so for ever.
        return super().alarm(ceil(when * 1e6 - _ROUNDING) / 1e6, ring)


@dataclass
class Stage:
    """What an engine is made of, with modest limits; `jitter`, if given, is what chance always gives."""

    subscriptions: Sequence[Subscription]
    script: Callable[[Call, int], _Met | Awaitable[_Met]] = lambda _call, _number: GOOD
    clock: Clock | None = None
    hook: Hook | None = None
    tokens: TokenSource = field(default_factory=Rotation)
    limits: Limits = field(default_factory=lambda: Limits(max_in_flight=100))
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    after_failure: AfterFailure = "hold"
    server_limit: float = 60.0
    interval: float = 0.0  # off: most tests ask the same again and again
    wait: float = 10.0
    state: State | None = None
    jitter: float | None = None
    seed: int = 7  # of chance, and so of the ids of runs
    transport: Transport | None = None
    flow: Flow | None = None  # with one, the limits are found while calls are made
    shared: bool = False  # connections, between tokens
    catalog: Catalog = CATALOG

    def __post_init__(self) -> None:
        self.ear = Ear()
        self.scripted = ScriptedTransport(self.script)

    def engine(self) -> Engine:
        clock = self.clock or LoopWall()
        limits = self.limits if self.flow is None else replace(self.limits, max_in_flight=self.flow.total)
        scheduler = self.scheduler = Scheduler(limits, self.retry, after_failure=self.after_failure)
        crew = CrewParts(
            scheduler=scheduler,
            transport=self.transport or self.scripted,
            clock=clock,
            hook=self.hook or self.ear,
            chance=Random(self.seed).random if self.jitter is None else itertools.repeat(self.jitter).__next__,
            state=self.state or MemoryState(clock),
            server_limit=self.server_limit,
            terms=Terms(max(65.0, 10.0 + self.server_limit), self.limits.token_gap, self.wait, self.shared),
            regulator=None if self.flow is None else Regulator(self.flow, scheduler),
        )
        parts = EngineParts(
            crew, self.tokens, self.catalog, self.limits, self.retry.max_attempts, "0.1.0", self.interval
        )
        return Engine(self.subscriptions, parts)

    @property
    def sent(self) -> list[str]:
        """The operations that were called, in order."""
        return [call.operation.path for call in self.scripted.calls]


class Gate:
    """A script whose attempts wait until they are let go, one answer for all of them."""

    def __init__(self, answer: _Met = GOOD) -> None:
        self.answer = answer
        self.arrived: Final[list[Call]] = []
        self._waiting: Final[list[asyncio.Future[None]]] = []

    async def __call__(self, call: Call, _number: int) -> _Met:
        self.arrived.append(call)
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting
        return self.answer

    def open(self, count: int | None = None) -> None:
        """Let the first `count` go (None: all that are there)."""
        while self._waiting and count != 0:
            waiting = self._waiting.pop(0)
            if not waiting.done():
                waiting.set_result(None)
                count = None if count is None else count - 1


async def settle_down(rounds: int = 30) -> None:
    """Let the event loop go round until nothing more happens by itself."""
    for _ in range(rounds):
        await asyncio.sleep(0)


async def read_all(engine: Engine, **selection: Any) -> list[Record]:
    """Make one pass and return its records."""
    async with engine.fetch(**selection) as records:
        return [record async for record in records]


def ends(records: Iterable[Record]) -> list[CallRecord]:
    """Return the `call` records."""
    return [record for record in records if record["type"] == "call"]


def outcomes(records: Iterable[Record]) -> Counter[str]:
    """Count how calls ended: by outcome, and by kind where there is an error."""
    return Counter(
        end["outcome"] if end["error"] is None else f"{end['outcome']} {end['error']['kind']}" for end in ends(records)
    )


def kind_of(record: CallRecord) -> str | None:
    """Return the kind of a call's error."""
    return None if record["error"] is None else record["error"]["kind"]


def broke(kind: ErrorKind, since: float | None = None) -> Breakdown:
    """Return an attempt without an answer."""
    return Breakdown(kind, "made up", since)


@dataclass(frozen=True)
class Left:
    """What there is of things that must not be left behind."""

    tasks: frozenset[asyncio.Task[Any]]
    threads: int
    timers: int
    sockets: int


def left() -> Left:
    """Look at the running loop and this process."""
    loop = asyncio.get_running_loop()
    timers = [timer for timer in getattr(loop, "_scheduled", ()) if not timer.cancelled()]
    return Left(frozenset(asyncio.all_tasks()), threading.active_count(), len(timers), _sockets())


async def soon_only(before: Left) -> bool:
    """Tell whether nothing is there that was not there before, once sockets and threads had time to end."""
    for _ in range(200):
        await settle_down()
        if left() == before:
            return True
        await asyncio.sleep(0.001)
    return False


def _sockets() -> int:
    return sum(_is_socket(link) for link in Path("/proc/self/fd").iterdir())


def _is_socket(link: Path) -> bool:
    try:
        return str(link.readlink()).startswith("socket:")
    except OSError:  # the descriptor of this very listing
        return False
