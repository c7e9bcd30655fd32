"""A cluster on this machine: a real broker, the vendor's simulator, and machines as programs."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson

from tests.adapters.stores.brokers import Broker, ended, settings
from tests.apps.commands import command, written
from wolkvox_async.adapters.nats import NatsStore
from wolkvox_async.clustering.leases import Lease, lease_key, worker_of
from wolkvox_async.clustering.messages import lines_of
from wolkvox_async.ports import Stored
from wolkvox_async.testing import Profile, Simulator

PARTITIONS: Final = 16
INTERVAL: Final = 2
LEASE: Final = 6.0
PROFILE: Final = Profile(servers=2, operations=16, apis=("interactions", "vision"), interval=INTERVAL, limit=0.5)
OPTIONS: Final = (
    *("--interval", str(INTERVAL), "--no-progress", "--log-level", "info", "--log-format", "json"),
    *("--timeout", "2", "--connect-timeout", "0.5", "--server-limit", "1.5", "--drain", "5"),
    *("--partitions", str(PARTITIONS), "--lease", str(LEASE)),
)


@dataclass
class Lab:
    """Everything but the machines."""

    simulator: Simulator
    store: NatsStore
    options: list[str]
    read: int = 0
    records: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def watching(self, *more: str) -> AsyncIterator[Process]:
        """Run a machine; what it says is at hand if the block fails."""
        async with command("watch", "--listen", "off", *OPTIONS, *self.options, *more) as process:
            yield process

    async def look(self) -> list[dict[str, Any]]:
        """Read on in the stream; return everything so far."""
        while found := await self.store.tail(self.read, 1_000):
            for message in found:
                self.read = message.sequence
                self.records.extend(orjson.loads(line) for line in lines_of(message.payload).splitlines())
        return self.records

    async def until(self, condition: Callable[[], bool], seconds: float = 50.0) -> None:
        """Wait until something holds of the records."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.05)
                await self.look()

    async def calls(self, more: int) -> None:
        """Wait until so many calls more are stored."""
        await self.look()
        wanted = count(self.records) + more
        await self.until(lambda: count(self.records) >= wanted)

    async def leases(self) -> dict[int, Lease]:
        """Return who has what."""
        keys = await self.store.keys()
        return {n: Lease.decode(keys[lease_key(n)].value) for n in range(PARTITIONS) if lease_key(n) in keys}

    async def holders(self) -> dict[str, int]:
        """Return how many partitions each machine has."""
        found: dict[str, int] = {}
        for lease in (await self.leases()).values():
            if not lease.free:
                found[lease.owner] = found.get(lease.owner, 0) + 1
        return found

    async def until_held(self, condition: Callable[[dict[str, int]], bool], seconds: float = 50.0) -> dict[str, int]:
        """Wait until something holds of who has how many partitions."""
        async with asyncio.timeout(seconds):
            while not condition(found := await self.holders()):
                await asyncio.sleep(0.05)
        return found

    async def open_up(self, machines: int = 1) -> None:
        """Be a machine that had everything, and leaves before the eyes of those that come, so that nobody waits."""
        held = Lease("former", "former", 1, 1)
        revisions = {}
        for partition in range(PARTITIONS):
            stored = await self.store.cas(lease_key(partition), 0, held.encode())
            assert isinstance(stored, Stored)
            revisions[partition] = stored.number
        await self._beats(3, machines)
        freed = Lease("former", "former", 2, 1, free=True)
        for partition, revision in revisions.items():
            await self.store.cas(lease_key(partition), revision, freed.encode())

    async def _beats(self, wanted: int, machines: int) -> None:
        """Wait until so many machines have given so many signs of life."""
        async with asyncio.timeout(30):
            while True:
                keys = await self.store.keys()
                beats = [orjson.loads(held.value)["counter"] for key, held in keys.items() if worker_of(key)]
                if sum(beat >= wanted for beat in beats) >= machines:
                    return
                await asyncio.sleep(0.05)


def count(records: Sequence[dict[str, Any]]) -> int:
    """Return how many calls there are."""
    return sum(record["type"] == "call" for record in records)


def doubled_slots(records: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return slots that ended more than once."""
    seen: set[tuple[str, ...]] = set()
    return [key for key in _slots(records) if key in seen or seen.add(key)]  # type: ignore[func-returns-value]


def unordered(records: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return what has slots that do not stand in their order."""
    by_subject: dict[tuple[str, ...], list[str]] = {}
    for *subject, slot in _slots(records):
        by_subject.setdefault(tuple(subject), []).append(slot)
    return [subject for subject, slots in by_subject.items() if any(a >= b for a, b in pairwise(slots))]


def missing(records: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return what has slots that do not follow one another without a hole."""
    by_subject: dict[tuple[str, ...], list[datetime]] = {}
    for *subject, slot in _slots(records):
        by_subject.setdefault(tuple(subject), []).append(datetime.fromisoformat(slot))
    return [
        subject
        for subject, slots in by_subject.items()
        if any((b - a).total_seconds() != INTERVAL for a, b in pairwise(slots))
    ]


def _slots(records: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    ends = [record for record in records if record["type"] in ("call", "gap")]
    return [(end["tenant"], end["operation"], end["api"], end["slot"]) for end in ends]


@asynccontextmanager
async def lab(folder: Path, secret_store: Path, profile: Profile = PROFILE) -> AsyncIterator[Lab]:
    """Start broker and simulator; the simulator's verdict is asked at the end."""
    broker = Broker(folder)
    with ended(broker):
        await broker.start()
        async with Simulator(profile) as simulator, await NatsStore.open(settings(broker)) as store:
            yield Lab(simulator, store, [*written(simulator, secret_store), "--join", broker.address])
        assert simulator.verdict().ok, f"{simulator.verdict()} {simulator.verdict().details[:3]}"


def children(process: Process) -> list[int]:
    """Return the processes that a machine has forked."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(pid) for pid in found.split()]


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal."""
    os.kill(pid, number)


async def said(process: Process) -> str:
    """Return what a machine that has ended said on standard error."""
    assert process.stderr is not None
    return (await process.stderr.read()).decode()
