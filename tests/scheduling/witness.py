"""Sees what is sent and what comes back, and knows the promises; knows nothing of queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from wolkvox_async.model import Call, Token
from wolkvox_async.scheduling.decisions import Limits

from .naive import Again, Answer, Leave


class Witness:
    """Asserts the promises at each thing that it is told."""

    def __init__(self, limits: Limits) -> None:
        self.limits: Final = limits
        self.rooms: Final[dict[str, int]] = {}  # by lane
        self.flying: Final[dict[Token, str]] = {}
        self._calls: Final[dict[str, Call]] = {}
        self._unsettled: Final[dict[Token, list[str]]] = {}  # in the order in which they were added
        self._used: Final[Counter[str]] = Counter()  # by lane: units of room in use
        self._attempts: Final[Counter[str]] = Counter()
        self._ready_at: Final[dict[str, float]] = {}  # of calls that are tried again
        self._open_at: Final[dict[Token, float]] = {}
        self._turns: Final[dict[Token, tuple[float, int, str]]] = {}  # began, attempts, server

    def added(self, call: Call, attempts: int) -> None:
        self._calls[call.id] = call
        self._attempts[call.id] = attempts
        self._unsettled.setdefault(call.operation.token, []).append(call.id)

    def started(self, leave: Leave, now: float) -> None:
        """Note that a turn began with this attempt."""
        operation = self._calls[leave.call].operation
        self._turns[operation.token] = (now, 0, operation.server)
        self.sent(leave, now)
        assert len(self.flying) <= self.limits.max_in_flight
        assert self.servers()[operation.server] <= self.limits.per_server

    def sent(self, leave: Leave, now: float) -> None:
        """Note an attempt, the first of a turn or one that follows."""
        token = self._calls[leave.call].operation.token
        assert token not in self.flying, "one at a time"
        assert self._unsettled[token][0] == leave.call, "first in, first out, and a retry keeps its place"
        assert now >= self._open_at.get(token, 0.0), "nothing is sent with a closed token"
        assert now >= self._ready_at.get(leave.call, 0.0), "no retry comes too early"
        self._attempts[leave.call] += 1
        assert leave.number == self._attempts[leave.call], "attempts are numbered"
        self.flying[token] = leave.call
        self._used[leave.lane] += 1
        assert self._used[leave.lane] <= self.rooms[leave.lane], "a lane is not overfilled"
        self._turn_goes_on(token, self._calls[leave.call].operation.server, now)

    def came_back(self, answer: Answer, token: Token, open_at: float) -> None:
        """Note what the end of an attempt led to; the token is closed until `open_at`."""
        name = self.flying.pop(token)
        self._open_at[token] = max(open_at, self._open_at.get(token, 0.0))
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
