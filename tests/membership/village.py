"""Members of one cluster, in virtual time: who uses which partition when, and whether two ever did."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

from wolkvox_async.adapters.stores.memory import MemoryStore
from wolkvox_async.clustering.contender import Identity
from wolkvox_async.clustering.leases import Lease, lease_key
from wolkvox_async.clustering.terms import LeaseTerms
from wolkvox_async.errors import StoreUnavailableError
from wolkvox_async.membership.member import Clocks, Member, Setting
from wolkvox_async.membership.owner import Parties, Taking, TokenKnown

from .faults import FaultyStore

TERMS: Final = LeaseTerms(length=120.0, margin=2.0, renewal=10.0, hold=70.0)
PARTITIONS: Final = 16
STANDSTILL: Final = TERMS.standstill
POLL: Final = TERMS.renewal
INTERVAL: Final = 300.0


def now() -> float:
    return asyncio.get_running_loop().time()


async def run(seconds: float) -> None:
    await asyncio.sleep(seconds)


@dataclass
class Use:
    """A time in which a call of a partition was made by somebody."""

    partition: int
    who: str
    began: float
    ended: float


class FakeRecords:
    """Loads at once, or as slowly as told."""

    def __init__(self, store: FaultyStore) -> None:
        self._store: Final = store
        self.seconds = 0.0
        self.loaded: Final[list[int]] = []
        self.forgotten: Final[list[int]] = []
        self.loading = self.most_loading = 0

    async def load(self, partition: int) -> Collection[TokenKnown]:
        self.loading += 1
        self.most_loading = max(self.most_loading, self.loading)
        try:
            await asyncio.sleep(self.seconds)
            messages = [message async for message in self._store.load(partition)]
        finally:
            self.loading -= 1
        self.loaded.append(partition)
        assert messages == []
        return []

    def forget(self, partition: int) -> None:
        self.forgotten.append(partition)


@dataclass
class House:
    """One machine: an owner that calls whenever it may, a board, and its member."""

    name: str
    memory: MemoryStore
    chance: Random = field(default_factory=lambda: Random(1))
    terms: LeaseTerms = TERMS
    session: str = ""
    partitions: int = PARTITIONS
    call_seconds: float = 5.0
    uses: list[Use] = field(default_factory=list)
    alive: bool = True
    wall_offset: float = 0.0
    boot_offset: float = 0.0

    def __post_init__(self) -> None:
        self.store = FaultyStore(self.memory, delay=0.01)
        self.records = FakeRecords(self.store)
        self.board: dict[int, float] = {}
        self.permits: list[tuple[int, float, float]] = []  # partition, when, valid until
        self.takings: list[Taking] = []
        self.story: list[tuple[str, int]] = []
        self.errors: list[Exception] = []
        self.holding: set[int] = set()
        self.finishing: set[int] = set()
        self.calling: dict[int, asyncio.Task[None]] = {}
        self.on_finish: Callable[[int], None] = self.finish_calls
        identity = Identity(self.name, self.session or f"{self.name}-1")
        self.member = Member(
            self.store,
            Setting(self.terms, self.partitions, identity, self.name.upper(), INTERVAL),
            Clocks(lambda: now() + self.boot_offset, lambda: 1e9 + now() + self.wall_offset, self.chance.random),
            Parties(self, self, self.records),
        )

    # --- the board

    def permit(self, partition: int, valid_until: float) -> None:
        self.permits.append((partition, now(), valid_until))
        self.board[partition] = valid_until

    def revoke(self, partition: int) -> None:
        self.board.pop(partition, None)

    def may_begin(self, partition: int) -> bool:
        return now() + self.terms.hold + self.terms.margin <= self.board.get(partition, 0.0)

    # --- the owner

    def taken(self, taking: Taking) -> None:
        self.takings.append(taking)
        self.story.append(("taken", taking.partition))
        self.holding.add(taking.partition)
        self.calling[taking.partition] = asyncio.create_task(self._call(taking))

    def finish(self, partition: int) -> None:
        self.story.append(("finish", partition))
        self.finishing.add(partition)
        self.on_finish(partition)

    def finish_calls(self, partition: int) -> None:
        self.calling[partition].add_done_callback(lambda _task: self.done_with(partition))

    def done_with(self, partition: int) -> None:
        if partition in self.finishing:
            self.finishing.discard(partition)
            self.holding.discard(partition)
            self.story.append(("released", partition))
            self.member.released(partition)

    def lost(self, partition: int) -> None:
        self.story.append(("lost", partition))
        self.finishing.discard(partition)
        self.holding.discard(partition)

    def may_renew(self, partition: int) -> bool:  # noqa: ARG002
        return self.alive

    def facts(self) -> Mapping[str, str | int | float]:
        return {"calls": len(self.uses)}

    def broken(self, error: Exception) -> None:
        self.errors.append(error)

    async def _call(self, taking: Taking) -> None:
        partition = taking.partition
        while self._uses(taking):
            if self.may_begin(partition):
                seconds = self.call_seconds * (0.5 + self.chance.random() / 2)
                self.uses.append(Use(partition, self.name, now(), now() + seconds))
                await asyncio.sleep(seconds)
            else:
                await asyncio.sleep(self.call_seconds / 2)

    def _uses(self, taking: Taking) -> bool:
        partition = taking.partition
        last = next(one for one in reversed(self.takings) if one.partition == partition)
        return last is taking and partition in self.holding and partition not in self.finishing

    # --- what tests ask

    def told(self, what: str) -> list[int]:
        return [partition for said, partition in self.story if said == what]

    async def leave(self) -> None:
        await self.member.leave()

    async def lease(self, partition: int) -> Lease:
        return Lease.decode((await self.memory.keys())[lease_key(partition)].value)


@asynccontextmanager
async def living(*houses: House) -> AsyncIterator[None]:
    """Have the members of `houses` live for the time of the block."""
    try:
        for house in houses:
            await house.member.__aenter__()
        yield
    finally:
        for house in houses:
            await house.member.__aexit__(None, None, None)
            house.holding.clear()


def overlaps(*houses: House) -> list[tuple[Use, Use]]:
    """Return the calls of one partition that different houses made at one time."""
    found, last = [], dict[int, Use]()
    for use in sorted((use for house in houses for use in house.uses), key=lambda use: use.began):
        before = last.get(use.partition)
        if before is not None and before.who != use.who and use.began < before.ended:
            found.append((before, use))
        if before is None or use.ended > before.ended:
            last[use.partition] = use
    return found


def spread(*houses: House) -> list[int]:
    return sorted(len(house.holding) for house in houses)


unavailable = StoreUnavailableError("no answer")
