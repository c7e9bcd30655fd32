"""Servers, a network and our own CPU in virtual time: what limits of calls in flight lead to.

A call needs our CPU (half of it before it is sent, half when the answer is there), the
network both ways, and a place at its server, for which it queues, or is refused when the
server has more than it takes. Everything is pure: a seed in, figures out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Final, Protocol

from wolkvox_async.model import AttemptOutcome, CallError, Empty, ErrorKind, Failed

ANSWER: Final = Empty(200, 200, "")
REFUSAL: Final = Failed(CallError(ErrorKind.RATE_LIMITED, "too many", retryable=True), status=429)


@dataclass(frozen=True, slots=True)
class VirtualServer:
    """So many places, a service time in seconds, `spread` of it by chance; refuses beyond `refuses_above`."""

    name: str
    service: float
    places: float = inf
    refuses_above: float = inf
    spread: float = 0.2


@dataclass(frozen=True, slots=True)
class World:
    """Servers, the network's latency there and back, our CPU per call (both in seconds), calls there are."""

    servers: Sequence[VirtualServer]
    network: float = 0.0
    cpu: float = 0.0003
    calls: float = inf

    def best_latency(self) -> float:
        """Return the mean latency when nothing queues."""
        return self.network + self.cpu + sum(server.service for server in self.servers) / len(self.servers)


class Control(Protocol):
    """Who sets the limits."""

    @property
    def total(self) -> int:
        """How many calls may be in flight."""

    def server(self, name: str) -> int:
        """How many may be in flight to a server."""

    def observe(self, server: str, seconds: float, outcome: AttemptOutcome, in_flight: int, now: float) -> bool:
        """Take in an attempt that ended."""

    def decide(self, *, waiting: bool, now: float) -> object:
        """Set the limits anew."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Limits that stay."""

    total: int
    per_server: int = 1_000_000

    def server(self, name: str) -> int:  # noqa: ARG002 - the same for all
        """Return the limit of any server."""
        return self.per_server

    def observe(self, server: str, seconds: float, outcome: AttemptOutcome, in_flight: int, now: float) -> bool:  # noqa: ARG002
        """Learn nothing."""
        return False

    def decide(self, *, waiting: bool, now: float) -> None:
        """Change nothing."""


@dataclass(slots=True)
class Seen:
    """What came of it: answers and seconds of calls, by the second in which they ended, refusals, limits in all."""

    answers: dict[int, int] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)
    refusals: int = 0
    totals: list[tuple[float, int]] = field(default_factory=list)
    most: int = 0

    def throughput(self, since: float, until: float) -> float:
        """Return answers per second between two full seconds."""
        return sum(self.answers.get(second, 0) for second in range(int(since), int(until))) / (int(until) - int(since))

    def in_flight(self, since: float, until: float) -> float:
        """Return the calls in flight between two full seconds, on average: the seconds of calls per second."""
        return sum(self.seconds.get(second, 0.0) for second in range(int(since), int(until))) / (until - since)


Then = Callable[[], None]


class Simulation:
    """A client under `control` in a world; change `world` while it stands still."""

    def __init__(self, world: World, control: Control, *, seed: int = 1) -> None:
        self.world = world
        self.control: Final = control
        self.now = 0.0
        self.seen: Final = Seen(totals=[(0.0, control.total)])
        self._chance: Final = Random(seed)
        self._events: Final[list[tuple[float, int, Then]]] = []
        self._sequence = 0
        self._cpu_free = 0.0
        self._used: Final[dict[str, int]] = {}
        self._at_work: Final[dict[str, int]] = {}
        self._queues: Final[dict[str, deque[Then]]] = {}
        self._in_flight = 0
        self._started = 0
        self._turn = 0

    def run(self, until: float) -> Seen:
        """Go on to that time."""
        self._dispatch()
        while self._events and self._events[0][0] <= until:
            self.now, _, then = heappop(self._events)
            then()
        self.now = until
        return self.seen

    def _at(self, when: float, then: Then) -> None:
        self._sequence += 1
        heappush(self._events, (when, self._sequence, then))

    def _compute(self, then: Then) -> None:
        self._cpu_free = max(self._cpu_free, self.now) + self.world.cpu / 2
        self._at(self._cpu_free, then)

    # --- the client ---------------------------------------------------------------------

    def _dispatch(self) -> None:
        while self._in_flight < self.control.total and self._started < self.world.calls:
            server = self._next_server()
            if server is None:
                return
            self._start(server)

    def _next_server(self) -> VirtualServer | None:
        servers = self.world.servers
        for _ in servers:
            self._turn = (self._turn + 1) % len(servers)
            server = servers[self._turn]
            if self._used.get(server.name, 0) < self.control.server(server.name):
                return server
        return None

    def _start(self, server: VirtualServer) -> None:
        self._started += 1
        self._in_flight += 1
        self.seen.most = max(self.seen.most, self._in_flight)
        self._used[server.name] = self._used.get(server.name, 0) + 1
        started = self.now
        half = self.world.network / 2

        def back(outcome: AttemptOutcome) -> None:
            self._at(self.now + half, lambda: self._compute(lambda: self._end(server, started, outcome)))

        self._compute(lambda: self._at(self.now + half, lambda: self._arrive(server, back)))

    def _end(self, server: VirtualServer, started: float, outcome: AttemptOutcome) -> None:
        due = self.control.observe(server.name, self.now - started, outcome, self._in_flight, self.now)
        self._in_flight -= 1
        self._used[server.name] -= 1
        second = int(self.now)
        self.seen.seconds[second] = self.seen.seconds.get(second, 0.0) + self.now - started
        if outcome is ANSWER:
            self.seen.answers[second] = self.seen.answers.get(second, 0) + 1
        else:
            self.seen.refusals += 1
        if due:
            self._decide()
        self._dispatch()

    def _decide(self) -> None:
        waiting = self._started < self.world.calls and self._next_server() is not None
        before = self.control.total
        self.control.decide(waiting=waiting, now=self.now)
        if self.control.total != before:
            self.seen.totals.append((self.now, self.control.total))

    # --- a server -----------------------------------------------------------------------

    def _arrive(self, server: VirtualServer, back: Callable[[AttemptOutcome], None]) -> None:
        queue = self._queues.setdefault(server.name, deque())
        busy = self._at_work.get(server.name, 0)
        if busy + len(queue) >= server.refuses_above:
            back(REFUSAL)
        elif busy >= server.places:
            queue.append(lambda: self._serve(server, back))
        else:
            self._serve(server, back)

    def _serve(self, server: VirtualServer, back: Callable[[AttemptOutcome], None]) -> None:
        self._at_work[server.name] = self._at_work.get(server.name, 0) + 1
        # The world may have changed: how long it takes is the server's as it is now.
        service = {other.name: other.service for other in self.world.servers}[server.name]
        seconds = service * (1 - server.spread + server.spread * self._chance.expovariate(1))

        def leave() -> None:
            self._at_work[server.name] -= 1
            queue = self._queues[server.name]
            if queue:
                queue.popleft()()
            back(ANSWER)

        self._at(self.now + seconds, leave)


def crowd(count: int, service: float, **changes: float) -> tuple[VirtualServer, ...]:
    """Return so many servers alike."""
    return tuple(VirtualServer(f"{number:04}", service, **changes) for number in range(count))


def throughput(world: World, total: int, *, seconds: float = 12.0, per_server: int = 1_000_000) -> float:
    """Return what a fixed limit comes to, once it has settled."""
    settled = min(seconds / 3, 4 * (world.best_latency() + total * world.cpu) + 1)
    return Simulation(world, Fixed(total, per_server)).run(seconds).throughput(settled + 1, seconds)
