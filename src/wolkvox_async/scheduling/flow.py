"""The calls in flight that nobody has to guess: in all (see level), and per server (see congestion).

The engine tells `observe` of every attempt that ended; when that says so it asks `decide`,
and hands on what has changed. The limits it starts with are `total` and, for a server not
yet heard of, `first`. No clock, no chance: the same attempts at the same times give the
same limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from wolkvox_async.model import AttemptOutcome, Failed

from .congestion import FIRST, Congestion, Load, load
from .level import Level, Pace

EACH_KIB: Final = 128  # memory of a call in flight: its connection, its buffers, and an answer of usual size


def affordable_in(free_kib: int, *, share: float = 0.25) -> int:
    """Return how many calls in flight fit into that share of so much free memory, in KiB; at least 1."""
    return max(1, int(free_kib * share) // EACH_KIB)


@dataclass(frozen=True, slots=True)
class FlowPolicy:
    """What the limits keep to, in all and per server; how often a server's is set, in seconds."""

    pace: Pace = field(default_factory=Pace)
    per_server: int = 32
    server_interval: float = 1.0

    def __post_init__(self) -> None:
        """Raise `ValueError` when a server could be given nothing."""
        if self.per_server < 1:
            raise ValueError("a server takes at least 1 call at once")


@dataclass(frozen=True, slots=True)
class Resized:
    """The limits that changed: in all (None: as before), and those of servers by name."""

    total: int | None
    servers: Mapping[str, int]


class Flow:
    """Finds the limits while calls are made; times in monotonic seconds."""

    def __init__(self, policy: FlowPolicy, *, now: float) -> None:
        self._policy: Final = policy
        self._level: Final = Level(policy.pace, now=now)
        self._servers: Final[dict[str, Congestion]] = {}
        self._ripe: Final[dict[str, Congestion]] = {}  # those that are to decide

    @property
    def total(self) -> int:
        """How many calls may be in flight."""
        return self._level.level

    @property
    def first(self) -> int:
        """How many may be in flight to a server that nothing was heard of yet."""
        return min(FIRST, self._policy.per_server)

    def server(self, name: str) -> int:
        """Return how many calls may be in flight to one server."""
        known = self._servers.get(name)
        return self.first if known is None else known.limit

    def observe(self, server: str, seconds: float, outcome: AttemptOutcome, in_flight: int, now: float) -> bool:
        """Take in an attempt that ended after `seconds`, one of so many in flight; tell whether to `decide`."""
        known = self._servers.get(server)
        if known is None:
            known = self._meet(server, now + seconds)
        if isinstance(outcome, Failed) and (said := load(outcome)) is not Load.ANSWERED:
            return said is Load.REFUSED and self._refused(server, known, seconds, now)
        meter = self._level.meter
        meter.seconds += seconds
        meter.in_flight += in_flight
        meter.answers += 1
        if now >= known.began:
            known.seconds += seconds
            known.answers += 1
            if known.answers >= known.due and now - known.began >= known.least:
                self._ripe[server] = known
                return True
        return meter.answers >= meter.due

    def decide(self, *, waiting: bool, now: float) -> Resized | None:
        """Return what changes; `waiting`: a token is ready, and waits for nothing but a slot of the total."""
        level, before = self._level, self._level.level
        if level.meter.answers >= level.meter.due:
            level.decide(waiting=waiting, now=now)
        servers = self._decide_servers(now)
        total = None if level.level == before else level.level
        return None if total is None and not servers else Resized(total, servers)

    def _decide_servers(self, now: float) -> dict[str, int]:
        changed: dict[str, int] = {}
        for name, server in self._ripe.items():
            before = server.limit
            server.decide(strain=self._level.strain, now=now)
            if server.limit != before:
                changed[name] = server.limit
        self._ripe.clear()
        return changed

    def _meet(self, name: str, now: float) -> Congestion:
        policy = self._policy
        server = self._servers[name] = Congestion(policy.per_server, policy.server_interval, now=now)
        return server

    def _refused(self, name: str, server: Congestion, seconds: float, now: float) -> bool:
        if now - seconds < server.since:
            return False
        server.refusals += 1
        if now - server.began < server.least and server.refusals < server.limit:
            return False
        self._ripe[name] = server
        return True
