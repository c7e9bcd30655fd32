"""Sees what is sent and what comes back, and knows the promises; knows nothing of queues."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from wolkvox_async.model import AttemptOutcome, Call, Failed, Token
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import ServerPolicy

from .naive import OVERDRAFT, WAITS, Again, Answer, Leave, verdict_on


@dataclass
class Sighting:
    """A server, as far as it shows in how attempts end."""

    in_a_row: int = 0
    down: bool = False
    pause: float = 0.0
    silent_until: float = 0.0
    prober: Token | None = None
    retries: Fraction | None = None  # that are left, as of some time; None: all of them
    as_of: float = 0.0


class Witness:
    """Asserts the promises at each thing that it is told."""

    def __init__(self, limits: Limits, servers: ServerPolicy, hosts: Iterable[str]) -> None:
        self.limits: Final = limits
        self.most = limits.max_in_flight
        self.per_server = dict.fromkeys(hosts, limits.per_server)
        self.policy: Final = servers
        self.rooms: Final[dict[str, int]] = {}  # by lane
        self.flying: Final[dict[Token, str]] = {}
        self._calls: Final[dict[str, Call]] = {}
        self._unsettled: Final[dict[Token, list[str]]] = {}  # in the order in which they were added
        self._used: Final[Counter[str]] = Counter()  # by lane: units of room in use
        self._attempts: Final[Counter[str]] = Counter()
        self._ready_at: Final[dict[str, float]] = {}  # of calls that are tried again
        self._open_at: Final[dict[Token, float]] = {}
        self._not_before: Final[dict[str, float]] = {}  # calls that are not due
        self._owing: Final[set[str]] = set()  # calls whose last attempt was a fault
        self._seen: Final = defaultdict[str, Sighting](Sighting)
        self._turns: Final[dict[Token, tuple[float, int, str]]] = {}  # began, attempts, server

    def added(self, call: Call, attempts: int, due: float | None) -> None:
        self._calls[call.id] = call
        self._not_before[call.id] = due or 0.0
        self._attempts[call.id] = attempts
        self._unsettled.setdefault(call.operation.token, []).append(call.id)

    def started(self, leave: Leave, now: float) -> None:
        """Note that a turn began with this attempt."""
        operation = self._calls[leave.call].operation
        self._turns[operation.token] = (now, 0, operation.server)
        self.sent(leave, now)

    def sent(self, leave: Leave, now: float) -> None:
        """Note an attempt, the first of a turn or one that follows."""
        token = self._calls[leave.call].operation.token
        assert token not in self.flying, "one at a time"
        assert self._unsettled[token][0] == leave.call, "first in, first out, and a retry keeps its place"
        assert now >= self._open_at.get(token, 0.0), "nothing is sent with a closed token"
        assert now >= self._ready_at.get(leave.call, 0.0), "no retry comes too early"
        assert now >= self._not_before[leave.call], "nothing is sent before it is due"
        self._attempts[leave.call] += 1
        assert leave.number == self._attempts[leave.call], "attempts are numbered"
        self.flying[token] = leave.call
        assert len(self.flying) <= self.most, "limits hold, also those that changed meanwhile"
        server = self._calls[leave.call].operation.server
        assert self.servers()[server] <= self.per_server[server]
        self._used[leave.lane] += 1
        times = OVERDRAFT if self._turns[token][1] else 1
        assert self._used[leave.lane] <= times * self.rooms[leave.lane], "a lane is not overfilled"
        self._turn_goes_on(token, server, now)
        self._server_is_spared(leave.call, token, now)

    def told(self, token: Token, outcome: AttemptOutcome, now: float) -> None:
        """Note what an attempt says about its server; before `came_back`."""
        name = self.flying[token]
        seen = self._seen[self._calls[name].operation.server]
        if self._attempts[name] == 1:
            self._refill(seen, Fraction(1, self.policy.calls_per_retry), now)
        if name in self._owing and not isinstance(outcome, Failed):
            self._refill(seen, Fraction(1), now)
        was_probe = seen.prober == token
        seen.prober = None if was_probe else seen.prober
        verdict = verdict_on(outcome)
        waits = seen.down and verdict == "down"
        self._owing.discard(name)
        if verdict == "up":
            seen.in_a_row, seen.down, seen.prober = 0, False, None
        else:
            seen.in_a_row += verdict == "down"
            opens = not seen.down and seen.in_a_row >= self.policy.failures
            if opens or was_probe:
                seen.pause = self.policy.first_pause if opens else min(2 * seen.pause, self.policy.longest_pause)
                seen.down, seen.silent_until = seen.down or opens, now + seen.pause / 2
        if isinstance(outcome, Failed) and not waits and outcome.error.kind not in WAITS:
            self._owing.add(name)

    def called_off(self, token: Token, lane: str, open_at: float) -> str:
        """Note that the attempt in flight is not made after all; its token waits until `open_at`."""
        name = self.flying.pop(token)
        seen = self._seen[self._calls[name].operation.server]
        seen.prober = None if seen.prober == token else seen.prober
        if name in self._owing:
            self._refill(seen, Fraction(1), seen.as_of)
        self._attempts[name] -= 1
        self._used[lane] -= 1
        self.closed(token, open_at)
        return name

    def closed(self, token: Token, open_at: float) -> None:
        self._open_at[token] = max(open_at, self._open_at.get(token, 0.0))

    def ended_unmade(self, answer: Answer, name: str) -> None:
        """Note that a call ended together with its attempt that was not made."""
        assert not isinstance(answer.call, Again)
        assert (answer.call.call, answer.call.attempts) == (name, self._attempts[name])
        self.settled([name, *(each.call for each in answer.skipped)])

    def came_back(self, answer: Answer, token: Token, open_at: float) -> None:
        """Note what the end of an attempt led to; the token is closed until `open_at`."""
        name = self.flying.pop(token)
        self.closed(token, open_at)
        if isinstance(answer.call, Again):
            assert answer.skipped == ()
            assert answer.call.ready_at >= self._open_at[token], "it waits for the later of the two"
            self._ready_at[name] = answer.call.ready_at
        else:
            assert (answer.call.call, answer.call.attempts) == (name, self._attempts[name])
            self.settled([name, *(each.call for each in answer.skipped)])

    def settled(self, names: Iterable[str]) -> None:
        for name in names:
            assert name not in self.flying.values()
            unsettled = self._unsettled[self._calls[name].operation.token]
            assert unsettled.count(name) == 1, "a call settles once"
            unsettled.remove(name)

    def charged(self, lane: str, units: int) -> None:
        """Note that settled calls take up more room of a lane; this may be more than there is."""
        self._used[lane] += units

    def gave_back(self, lane: str, units: int) -> None:
        """Note that a lane has more room: a retry waits, or records were delivered."""
        self._used[lane] -= units

    def unsettled(self) -> list[str]:
        return [name for names in self._unsettled.values() for name in names]

    def servers(self) -> Counter[str]:
        """Attempts in flight, by server."""
        return Counter(self._turns[token][2] for token in self.flying)

    def _turn_goes_on(self, token: Token, server: str, now: float) -> None:
        began, attempts, first_server = self._turns[token]
        assert server == first_server, "a turn is with one server"
        assert attempts < self.limits.turn_calls
        assert attempts == 0 or now - began < self.limits.turn_seconds
        self._turns[token] = (began, attempts + 1, server)

    def _server_is_spared(self, name: str, token: Token, now: float) -> None:
        seen = self._seen[self._calls[name].operation.server]
        if seen.down:
            assert seen.prober is None, "one probe at a time"
            assert now >= seen.silent_until, "no probe comes too early"
            seen.prober = token
            self._owing.discard(name)
        elif name in self._owing:
            assert self._refill(seen, Fraction(0), now) >= 1, "retries draw on a budget"
            self._refill(seen, Fraction(-1), now)

    def _refill(self, seen: Sighting, retries: Fraction, now: float) -> Fraction:
        most = Fraction(self.policy.reserve * self.limits.per_server)
        back = Fraction(now - seen.as_of) * self.limits.per_server / Fraction(self.policy.seconds_per_retry)
        left = most if seen.retries is None else min(seen.retries + back, most)
        seen.retries, seen.as_of = min(left + retries, most), now
        return seen.retries
