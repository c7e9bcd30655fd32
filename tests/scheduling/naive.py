"""The scheduler's rules written to be read: lists, no heaps, everything looked for anew each time.

It shares values and the retry policy with the real one, and no code. It answers in plain
values, so that answers can be compared: lanes are names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from wolkvox_async.model import AttemptOutcome, Call, ErrorKind, Failed, Token
from wolkvox_async.scheduling.decisions import Limits
from wolkvox_async.scheduling.retry import Retry, RetryPolicy, ServerPolicy, Trials

from . import samples

CLOSING: Final = {ErrorKind.UNAUTHORIZED, ErrorKind.FORBIDDEN, ErrorKind.QUOTA}
NEVER_HOLD: Final = {ErrorKind.UNKNOWN_API, ErrorKind.BAD_REQUEST, ErrorKind.TOO_LARGE, ErrorKind.MALFORMED}
WAITS: Final = {ErrorKind.TOKEN_BUSY, ErrorKind.MAINTENANCE}
OVERDRAFT: Final = 2  # a turn goes on while its lane has less than so many times its room in use
SILENT: Final = {ErrorKind.TIMEOUT, ErrorKind.DISCONNECTED, ErrorKind.PROTOCOL, ErrorKind.STOPPING}


class Leave(NamedTuple):
    """Leave to make an attempt."""

    call: str
    lane: str
    number: int


class End(NamedTuple):
    """How a call ended; only why when that was not what an attempt ended with."""

    call: str
    lane: str
    outcome: AttemptOutcome | ErrorKind
    attempts: int


class Again(NamedTuple):
    """The call will be tried again."""

    failure: Failed
    ready_at: float


class Answer(NamedTuple):
    """What the end of an attempt leads to."""

    call: End | Again
    skipped: tuple[End, ...]
    following: Leave | None


@dataclass
class Item:
    """A call that has not settled."""

    call: Call
    lane: str
    added: float
    due: float
    tries: int
    faults: int
    owes: bool = False
    busy_since: float | None = None
    waits: int = 0
    waiting_since: float | None = None
    failure: Failed | None = None

    def trials(self, now: float) -> Trials:
        return Trials(self.faults, self.waits, 0.0 if self.waiting_since is None else now - self.waiting_since)

    def ended(self, outcome: AttemptOutcome | ErrorKind) -> End:
        return End(self.call.id, self.lane, outcome, self.tries)


@dataclass
class Host:
    """What is known of a server."""

    in_a_row: int = 0
    opened: float | None = None
    probe_at: float = 0.0
    probes: int = 0
    prober: Token | None = None
    each: float = 0.0  # seconds in which one retry comes back
    most: int = 0  # retries
    full_at: float = float("-inf")  # when all of them are back

    def learn(self, verdict: str, token: Token, policy: ServerPolicy, now: float, jitter: float) -> None:
        """Note what the attempt of `token` says: up, down, or nothing."""
        was_probe = self.prober == token
        self.prober = None if was_probe else self.prober
        if verdict == "up":
            self.in_a_row, self.opened, self.probes, self.prober = 0, None, 0, None
            return
        self.in_a_row += verdict == "down"
        if self.opened is None and self.in_a_row < policy.failures:
            return
        if self.opened is not None and not was_probe:
            return
        self.probes = 0 if self.opened is None else self.probes + 1
        self.opened = now if self.opened is None else self.opened
        full = min(policy.longest_pause, policy.first_pause * 2**self.probes)
        self.probe_at = now + full * (1 + jitter) / 2

    @property
    def retry_at(self) -> float:
        return self.full_at - (self.most - 1) * self.each


@dataclass
class Line:
    """One token's calls, the first one being the next or the one in flight."""

    token: Token
    items: list[Item] = field(default_factory=list)
    open_at: float = 0.0
    refusal: Failed | None = None
    ready_since: float = 0.0
    place: int = 0
    looked_at: float = 0.0
    turn: tuple[float, int] | None = None  # when it began, attempts so far

    @property
    def due(self) -> float:
        return max(self.open_at, self.items[0].due)

    @property
    def server(self) -> str:
        return self.items[0].call.operation.server

    @property
    def state(self) -> str:
        if not self.items:
            return "IDLE"
        if self.turn is not None:
            return "IN_FLIGHT"
        return "WAITING" if self.due > self.looked_at else "READY"


class NaiveScheduler:
    """What the real one must be indistinguishable from."""

    def __init__(
        self, limits: Limits, retry: RetryPolicy, servers: ServerPolicy, hosts: Iterable[str], *, holds: bool
    ) -> None:
        self.limits: Final = limits
        self.most = limits.max_in_flight
        self.per_server = dict.fromkeys(hosts, limits.per_server)
        self.retry: Final = retry
        self.policy: Final = servers
        self.holds: Final = holds
        self.rooms: Final[dict[str, int]] = {}  # by lane
        self.lines: Final[dict[Token, Line]] = {}
        self.undelivered: Final[Counter[str]] = Counter()  # units of room, by lane
        self.closed: Final[set[str]] = set()
        self.held: Final[set[tuple[Token, str]]] = set()
        self.calls: Final[dict[str, Call]] = {}
        each, most = servers.seconds_per_retry / limits.per_server, servers.reserve * limits.per_server
        self.hosts: Final = defaultdict[str, Host](lambda: Host(each=each, most=most))
        self.places = 0
        self.looked_at = 0.0

    # --- the questions that the real one is asked -----------------------------------

    def add(self, call: Call, lane: str, now: float, attempts: int, due: float | None) -> End | None:
        line = self.lines.get(call.operation.token) or Line(call.operation.token)
        if lane in self.closed:
            return End(call.id, lane, ErrorKind.STOPPING, attempts)
        if line.refusal is not None and now < line.open_at:
            return End(call.id, lane, _held(line.refusal), attempts)
        line.refusal = None
        if (call.operation.token, lane) in self.held:
            return End(call.id, lane, ErrorKind.HELD, attempts)
        self.lines[line.token] = line
        self.calls[call.id] = call
        line.items.append(Item(call, lane, now, now if due is None else due, attempts, attempts))
        if len(line.items) == 1:
            self._stand(line, now, since=now)
        return None

    def take(self, now: float) -> Leave | None:
        self._look(now)
        able = self.may_start(now)
        if not able or self.states()["IN_FLIGHT"] >= self.most:
            return None
        line = min(able, key=lambda line: (line.ready_since, line.place))
        host = self.hosts[line.server]
        if host.opened is not None:
            host.prober = line.token
        return self._launch(line, now, (now, 0))

    def done(self, token: Token, outcome: AttemptOutcome, now: float, jitter: float, open_at: float) -> Answer:
        line = self.lines[token]
        item, host = line.items[0], self.hosts[line.server]
        item.tries += 1
        item.busy_since = None
        if item.tries == 1:
            host.full_at -= host.each / self.policy.calls_per_retry
        if item.owes and not isinstance(outcome, Failed):
            host.full_at -= host.each
        line.refusal = line.refusal if now < line.open_at else None
        line.open_at = max(line.open_at, open_at, now + self.limits.token_gap)
        verdict = verdict_on(outcome)
        outage = verdict == "down" and host.opened is not None
        host.learn(verdict, token, self.policy, now, jitter)
        delay = self._delay(line, outcome, now, jitter, outage=outage) if isinstance(outcome, Failed) else None
        if isinstance(outcome, Failed) and delay is not None:
            item.due = max(now + delay, line.open_at)
            return Answer(Again(outcome, item.due), (), self._follow(line, item, now))
        self.undelivered[item.lane] += 1
        skipped = self._consequences(line, item, outcome, outage=outage) if isinstance(outcome, Failed) else ()
        line.items.remove(item)
        return Answer(item.ended(outcome), skipped, self._follow(line, item, now))

    def postpone(self, token: Token, now: float, until: float, busy: bool) -> Answer | None:
        line = self.lines[token]
        item = self._not_made(line)
        line.refusal = line.refusal if now < line.open_at else None
        if item.lane in self.closed or line.refusal is not None:
            why = ErrorKind.STOPPING if line.refusal is None or item.lane in self.closed else _held(line.refusal)
            return self._end_unmade(line, item.failure or why, now)
        over = False
        if busy:
            item.busy_since = now if item.busy_since is None else item.busy_since
            over = item.busy_since + self.retry.patience <= now
            until = min(until, (now if over else item.busy_since) + self.retry.patience)
        line.open_at = max(line.open_at, until)
        if over:
            skipped = self._consequences(line, item, samples.failed(ErrorKind.TOKEN_BUSY))
            return self._end_unmade(line, ErrorKind.TOKEN_BUSY, now, skipped)
        self._stop_turn(line, now)
        return None

    def dismiss(self, token: Token, why: ErrorKind, now: float) -> Answer:
        line = self.lines[token]
        item = self._not_made(line)
        return self._end_unmade(line, item.failure or why, now)

    def close(self, token: Token, failure: Failed, now: float, until: float) -> list[End]:
        line = self.lines.setdefault(token, Line(token))
        line.open_at, line.refusal = max(line.open_at, until), failure
        return [item.ended(item.failure or _held(failure)) for item in self._remove(line, None, now)]

    def expired(self, now: float, tokens: Iterable[Token]) -> list[End]:
        """End the calls of those tokens whose patience is over: who came to wait for it, only the real one knows."""
        self._look(now)
        return [end for token in tokens for end in self._lose_patience(self.lines[token], now)]

    def patience_ends(self, token: Token) -> float:
        """Return when patience ends for a token that waits for its server, or for a retry."""
        line = self.lines[token]
        host = self.hosts[line.server]
        assert line.state == "READY"
        if host.opened is not None:
            return self.retry.patience + max(host.opened, line.items[0].added)
        assert line.items[0].owes
        return self.retry.patience + line.ready_since

    def charge(self, lane: str, units: int) -> None:
        self.undelivered[lane] += units

    def release(self, lane: str, units: int) -> None:
        self.undelivered[lane] -= units

    def drain(self, lane: str | None, now: float) -> dict[str, End]:
        unsettled = [item.lane for line in self.lines.values() for item in line.items]
        self.closed.update(unsettled if lane is None else [lane])
        gone = [item for line in self.lines.values() for item in self._remove(line, lane, now)]
        return {item.call.id: item.ended(item.failure or ErrorKind.STOPPING) for item in gone}

    def withdraw(self, call: Call, lane: str, now: float) -> bool:
        self.closed.add(lane)
        line = self.lines.get(call.operation.token)
        return line is not None and bool(self._remove(line, lane, now))

    def next_ready_at(self, impatient: set[Token]) -> float | None:
        due = [line.due for line in self.lines.values() if line.state == "WAITING"]
        waited_for = {self.lines[token].server for token in impatient}
        probes = [
            host.probe_at
            for name, host in self.hosts.items()
            if host.opened is not None and not host.prober and host.probe_at > self.looked_at and name in waited_for
        ]
        hosts = {name: self.hosts[name] for name in waited_for}
        retries = [
            host.retry_at
            for name, host in hosts.items()
            if host.opened is None and self.server_has_slot(name) and host.retry_at > self.looked_at
        ]
        return min([*due, *probes, *retries, *map(self.patience_ends, impatient)], default=None)

    def down(self) -> dict[str, float]:
        return {name: host.probe_at for name, host in self.hosts.items() if host.opened is not None}

    # --- what there is to see -------------------------------------------------------

    def states(self) -> Counter[str]:
        return Counter(line.state for line in self.lines.values())

    def queued(self) -> int:
        return sum(len(line.items) for line in self.lines.values())

    def may_start(self, now: float) -> list[Line]:
        """Return the tokens that are due and find room at their server and in their lane."""
        return [
            line
            for line in self.lines.values()
            if line.state == "READY"
            and self.server_has_slot(line.server)
            and self._serves(line, now)
            and self.lane_has_room(line.items[0].lane)
        ]

    def cut_off(self) -> list[Line]:
        """Return the tokens that are due, have room in their lane, and cannot reach their server or retry there."""
        return [
            line
            for line in self.lines.values()
            if line.state == "READY"
            and self.lane_has_room(line.items[0].lane)
            and not self._serves(line, self.looked_at)
            and (self.hosts[line.server].opened is not None or self.server_has_slot(line.server))
        ]

    def _serves(self, line: Line, now: float) -> bool:
        host = self.hosts[line.server]
        if host.opened is not None:
            return host.prober is None and now >= host.probe_at
        return not line.items[0].owes or host.retry_at <= now

    def waiting_after(self) -> Counter[ErrorKind]:
        heads = (line.items[0].failure for line in self.lines.values() if line.state == "WAITING")
        return Counter(failure.error.kind for failure in heads if failure is not None)

    # --- how it gets there ----------------------------------------------------------

    def _stand(self, line: Line, now: float, *, since: float) -> None:
        self.places += 1
        line.place, line.looked_at = self.places, now
        line.ready_since = line.due if line.due > now else since

    def lane_has_room(self, lane: str, times: int = 1) -> bool:
        flying = sum(line.turn is not None and line.items[0].lane == lane for line in self.lines.values())
        return flying + self.undelivered[lane] < times * self.rooms[lane]

    def server_has_slot(self, server: str) -> bool:
        used = sum(line.turn is not None and line.server == server for line in self.lines.values())
        return used < self.per_server[server]

    def _look(self, now: float) -> None:
        self.looked_at = now
        for line in self.lines.values():
            line.looked_at = now

    def _launch(self, line: Line, now: float, turn: tuple[float, int]) -> Leave:
        item, host = line.items[0], self.hosts[line.server]
        if host.prober == line.token:
            item.owes = False
        if item.owes:
            host.full_at = max(host.full_at, now) + host.each
        line.turn = (turn[0], turn[1] + 1)
        return Leave(item.call.id, item.lane, item.tries + 1)

    def _not_made(self, line: Line) -> Item:
        host, item = self.hosts[line.server], line.items[0]
        host.full_at -= host.each if item.owes else 0.0
        return item

    def _end_unmade(self, line: Line, outcome: Failed | ErrorKind, now: float, skipped: tuple[End, ...] = ()) -> Answer:
        item = line.items.pop(0)
        return Answer(item.ended(outcome), skipped, self._follow(line, item, now))

    def _follow(self, line: Line, last: Item, now: float) -> Leave | None:
        assert line.turn is not None
        (began, attempts), line.turn = line.turn, None
        server = last.call.operation.server
        if line.items and line.server == server and line.due <= now:
            host = self.hosts[server]
            in_time = attempts < self.limits.turn_calls and now - began < self.limits.turn_seconds
            served = host.prober == line.token or (host.opened is None and self._serves(line, now))
            slots = self.states()["IN_FLIGHT"] < self.most and self.server_has_slot(server)
            if in_time and served and slots and self.lane_has_room(line.items[0].lane, OVERDRAFT):
                return self._launch(line, now, (began, attempts))
        self._stop_turn(line, now, server)
        return None

    def _stop_turn(self, line: Line, now: float, server: str = "") -> None:
        host = self.hosts[server or line.server]
        host.prober = None if host.prober == line.token else host.prober
        line.turn = None
        if line.items:
            self._stand(line, now, since=now)

    def _delay(self, line: Line, failure: Failed, now: float, jitter: float, *, outage: bool) -> float | None:
        item = line.items[0]
        item.failure = failure
        item.owes = not outage and failure.error.kind not in WAITS
        item.faults += item.owes
        if item.lane in self.closed or line.refusal is not None:
            return None
        if outage:
            left = self.retry.patience + max(self.hosts[line.server].opened or 0.0, item.added) - now
            asked = failure.retry_after or 0.0
            return asked if failure.error.retryable and left > 0 and asked <= left else None
        if failure.error.kind in WAITS:
            item.waits += 1
            item.waiting_since = now if item.waiting_since is None else item.waiting_since
        decision = self.retry.decide(failure, item.trials(now), jitter=jitter)
        return decision.delay if isinstance(decision, Retry) else None

    def _consequences(self, line: Line, first: Item, failure: Failed, *, outage: bool = False) -> tuple[End, ...]:
        kind, others = failure.error.kind, [item for item in line.items if item is not first]
        if kind in CLOSING:
            line.refusal = failure
            skipped = others
            if kind is not ErrorKind.QUOTA:
                self.held.add((line.token, first.lane))
        elif self.holds and kind not in NEVER_HOLD and not outage:
            self.held.add((line.token, first.lane))
            skipped = [item for item in others if item.lane == first.lane]
        else:
            skipped = []
        line.items = [item for item in line.items if item not in skipped]
        return tuple(item.ended(_held(failure)) for item in skipped)

    def _lose_patience(self, line: Line, now: float) -> list[End]:
        assert self.patience_ends(line.token) <= now, "nobody ends before that"
        item, host, since = line.items[0], self.hosts[line.server], min(line.ready_since, now)
        if host.opened is None:
            assert item.failure is not None
            ends = [item.ended(item.failure), *self._consequences(line, item, item.failure)]
            line.items.remove(item)
        else:
            ends, server = [], line.server
            while line.items and line.server == server:
                item = line.items[0]
                if max(host.opened, item.added) + self.retry.patience > now:
                    break
                ends.append(item.ended(item.failure or ErrorKind.SERVER_DOWN))
                line.items.remove(item)
        if line.items:
            self._stand(line, now, since=since)
        return ends

    def _remove(self, line: Line, lane: str | None, now: float) -> list[Item]:
        head = line.items[0] if line.items else None
        flying = line.items[:1] if line.turn is not None else []
        gone = [item for item in line.items if item not in flying and lane in (None, item.lane)]
        since = min(line.ready_since, now)
        line.items = [item for item in line.items if item not in gone]
        if line.items and line.items[0] is not head:
            self._stand(line, now, since=since)
        return gone


def _held(failure: Failed) -> ErrorKind:
    return ErrorKind.QUOTA if failure.error.kind is ErrorKind.QUOTA else ErrorKind.HELD


def verdict_on(outcome: AttemptOutcome) -> str:
    if isinstance(outcome, Failed):
        if outcome.error.kind is ErrorKind.CONNECT or outcome.status in {502, 503, 504}:
            return "down"
        if outcome.status is None and outcome.error.kind in SILENT:
            return "nothing"
    return "up"
