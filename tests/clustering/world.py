"""Machines that want one partition, one store, and everything that may happen between them, in real time.

A machine goes through its cycle in steps, and may stand still between any two: a request is sent,
the store takes it, the answer arrives, the machine acts upon it. Its clock has a rate of its own.
Every call that could begin is taken as begun: right after every step, and all the time in between.
Calls of two holders that are at work at the same real time are an overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final, TypeAlias, TypeVar

from wolkvox_async.clustering.contender import Contender, Identity
from wolkvox_async.clustering.holder import ClockWatch, Holder
from wolkvox_async.clustering.leases import Worker, lease_key, worker_key
from wolkvox_async.clustering.terms import LeaseTerms

# The tightest that are allowed: the margin is 1 % of the length.
TERMS: Final = LeaseTerms(length=20.0, margin=0.2, renewal=3.0, hold=10.0)
RATES: Final = (0.9975, 1.0025, 1.0)
KEY: Final = lease_key(0)
Answer = TypeVar("Answer")
Steps: TypeAlias = Generator[None, None, Answer]
FATES: Final = ("lost", "unanswered", "late")


class OverlapError(Exception):
    """Two used the partition at once."""


@dataclass(frozen=True)
class Rules:
    """What the machines go by; the controls leave one of them out."""

    terms: LeaseTerms = TERMS
    rates: tuple[float, ...] = RATES
    holder: type[Holder] = Holder
    contender: type[Contender] = Contender
    first_seen_when_answered: bool = True
    blind: bool = True
    writes_die_with_connections: bool = True
    looks_at_clocks: bool = True


@dataclass(frozen=True)
class Held:
    revision: int
    value: bytes


@dataclass
class Store:
    """Keys that are changed by comparing, and all states they were in; forgotten ones can still be read as old ones."""

    keys: Mapping[str, Held] = field(default_factory=dict)
    last: int = 0
    past: list[tuple[int, Mapping[str, Held]]] = field(default_factory=list)
    forgotten: list[Mapping[str, Held]] = field(default_factory=list)
    connection: int = 0

    def cas(self, key: str, expected: int, value: bytes) -> int | None:
        held = self.keys.get(key)
        if expected != (0 if held is None else held.revision):
            return None
        self.past.append((self.last, self.keys))
        self.last += 1
        self.keys = {**self.keys, key: Held(self.last, value)}
        return self.last

    def forget(self, writes: int) -> None:
        """Come back with an earlier state; every connection is lost."""
        self.connection += 1
        for _ in range(min(writes, len(self.past))):
            self.forgotten.append(self.keys)
            self.last, self.keys = self.past.pop()

    def lagging(self, by: int) -> Mapping[str, Held]:
        """Return an old state, perhaps one that was forgotten."""
        if by % 2 and self.forgotten:
            return self.forgotten[-min(by, len(self.forgotten))]
        return self.past[-min(by, len(self.past))][1] if by and self.past else self.keys


class Machine:
    """One machine: its clock, what it holds, and its cycle as a generator that stops wherever it may stand still."""

    def __init__(self, world: World, number: int) -> None:
        self.world, self.rules, self.number = world, world.rules, number
        self.rate: Final = world.rules.rates[number]
        self.offset = 1000.0 * number
        self.watch = ClockWatch(self.rules.terms)
        self.identity = Identity(f"m{number}", f"s{number}")
        self.contender = self.rules.contender(self.rules.terms, 1, self.identity)
        self.holder: Holder | None = None
        self.connection = 0
        self.wants, self.leaving = True, False
        self.lag, self.fate = 0, ""
        self.cycle = self.live()

    def clock(self) -> float:
        return self.offset + self.rate * self.world.now

    def when(self, clock: float) -> float:
        """Return the real time at which the clock says so."""
        return (clock - self.offset) / self.rate

    def look(self) -> None:
        """Compare the clocks, as is done before anything is decided."""
        if self.rules.looks_at_clocks and not self.watch.look(self.clock(), self.rate * self.world.now):
            self.holder = None
            self.contender.blind()

    def live(self) -> Steps[None]:
        while True:
            read = yield from self.read()
            if read is not None:
                yield from self.act(*read)
                yield from self.beat()

    def read(self) -> Steps[tuple[Mapping[str, Held], bool] | None]:
        asked = self.clock()
        yield
        store, fate = self.world.store, self.take_fate()
        if self.connection != store.connection or fate:
            self.connection = store.connection
            self.go_blind()
            yield
            return None
        keys = store.lagging(self.lag)
        self.lag = 0
        yield
        self.look()
        seen_at = self.clock() if self.rules.first_seen_when_answered else asked
        return keys, self.contender.observe(keys, seen_at)

    def act(self, keys: Mapping[str, Held], counts: bool) -> Steps[None]:
        if self.holder is not None:
            if counts:
                self.holder.observe(keys.get(KEY))
            if self.holder.is_over(self.clock()):
                self.holder = None
        if self.holder is not None:
            yield from self.renew(self.holder)
        elif self.wants and (claim := self.contender.claimable(0, self.clock(), 0.0)) is not None:
            self.leaving = False
            self.holder = self.rules.holder(self.rules.terms, claim.lease, claim.expected, self.clock())
            yield from self.write(self.holder, claim.expected, claim.lease.encode())
        self.wants = True

    def renew(self, holder: Holder) -> Steps[None]:
        if self.leaving:
            holder.leave()
        gives_back = self.leaving and self.world.busy_until(holder) <= self.world.now
        lease = holder.freed(self.clock()) if gives_back else holder.next(self.clock())
        if lease is not None:
            self.wants = not gives_back
            yield from self.write(holder, holder.expected, lease.encode())

    def write(self, holder: Holder, expected: int, value: bytes) -> Steps[None]:
        outcome = yield from self.send(KEY, expected, value)
        if outcome == 0:
            holder.conflicted()
        elif outcome is not None:
            holder.stored(outcome)

    def beat(self) -> Steps[None]:
        beat = self.contender.beat(Worker("", 0))
        if beat is not None:
            worker, expected = beat
            outcome = yield from self.send(worker_key(self.identity.worker), expected, worker.encode())
            if outcome:
                self.contender.beaten(outcome)

    def send(self, key: str, expected: int, value: bytes) -> Steps[int | None]:
        """Send a write; its revision, 0 for a conflict, None when no answer comes."""
        connection = self.connection
        yield
        fate = self.take_fate()
        if fate == "lost" or not self.world.arrives(connection):
            return None
        if fate == "late":
            self.world.late.append((connection, key, expected, value))
            return None
        revision = self.world.store.cas(key, expected, value)
        yield
        return None if fate == "unanswered" else (revision or 0)

    def take_fate(self) -> str:
        fate, self.fate = self.fate, ""
        return fate

    def go_blind(self) -> None:
        if self.rules.blind:
            self.contender.blind()
            if self.holder is not None:
                self.holder.blind()


@dataclass
class Calls:
    """The calls of a holder: the last of them is over then."""

    machine: Machine
    holder: Holder
    until: float


class World:
    """Real time, the store and three machines, of which the first has the partition."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self.now = rules, 0.0
        self.store = Store()
        self.late: list[tuple[int, str, int, bytes]] = []
        self.calls: list[Calls] = []
        self.machines = [Machine(self, number) for number in range(len(rules.rates))]
        for seconds in (0.0, 1.0, rules.terms.standstill * 1.01, 1.0, 3.0):
            self.wait(seconds)
            self.step(0, 7)
        for number in (1, 2, 1, 2):
            self.step(number, 7)

    def arrives(self, connection: int) -> bool:
        return connection == self.store.connection or not self.rules.writes_die_with_connections

    def busy_until(self, holder: Holder) -> float:
        return max((calls.until for calls in self.calls if calls.holder is holder), default=-inf)

    def step(self, number: int, steps: int) -> None:
        for _ in range(steps):
            next(self.machines[number].cycle)
            self.begin_all(self.now)

    def wait(self, seconds: float) -> None:
        self.begin_all(self.now + seconds)
        self.now += seconds
        self.begin_all(self.now)

    def begin_all(self, until: float) -> None:
        """Have everybody who may begin calls do so from now on, until then."""
        self.calls = [calls for calls in self.calls if calls.until > self.now]
        for machine in self.machines:
            holder = machine.holder
            if holder is not None and holder.may_begin(machine.clock()):
                machine.look()
                if machine.holder is holder:
                    self.begin(machine, holder, until)

    def begin(self, machine: Machine, holder: Holder, until: float) -> None:
        terms = self.rules.terms
        last = max(self.now, min(until, machine.when(holder.valid_until - terms.hold - terms.margin)))
        for calls in self.calls:
            if calls.holder is holder:
                calls.until = max(calls.until, last + terms.hold)
            else:
                raise OverlapError(f"{calls.machine.number} until {calls.until}, {machine.number} at {self.now}")
        if not any(calls.holder is holder for calls in self.calls):
            self.calls.append(Calls(machine, holder, last + terms.hold))

    def next_moment(self) -> float | None:
        """Return when somebody may take the partition next, or may no longer use it."""
        moments = []
        for machine in self.machines:
            at = machine.contender.claimable_at(0)
            if at is not None:
                moments.append(machine.when(at) + 1e-6)
            if machine.holder is not None and machine.holder.valid_until > -inf:
                moments.append(machine.when(machine.holder.valid_until) - 1e-6)
        return min((moment for moment in moments if moment > self.now), default=None)


Happening = tuple[str, int, int]
WAITS: Final = (0.01, 0.3, 1.0, 3.0, 10.0, 20.0)


def happen(world: World, happening: Happening) -> None:
    """Have one thing happen; the numbers say to whom, and how much."""
    kind, number, amount = happening
    machine = world.machines[number]
    does: dict[str, Callable[[], object]] = {
        "step": lambda: world.step(number, 1 + amount),
        "cycle": lambda: world.step(number, 7),
        "wait": lambda: world.wait(WAITS[amount]),
        "moment": lambda: world.wait(max(0.0, (world.next_moment() or world.now) - world.now)),
        "fate": lambda: setattr(machine, "fate", FATES[amount % len(FATES)]),
        "lag": lambda: setattr(machine, "lag", 1 + amount),
        "leave": lambda: setattr(machine, "leaving", True),
        "forget": lambda: world.store.forget(amount),
        "freeze": lambda: setattr(machine, "offset", machine.offset - WAITS[amount] * machine.rate),
        "deliver": lambda: deliver(world),
    }
    does[kind]()
    world.begin_all(world.now)


def deliver(world: World) -> None:
    """Have a write arrive that was long on its way."""
    if world.late:
        connection, key, expected, value = world.late.pop(0)
        if world.arrives(connection):
            world.store.cas(key, expected, value)
