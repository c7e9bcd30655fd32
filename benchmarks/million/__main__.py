"""A million tokens: what the broker needs for them, how long partitions take to read, a restart, a take-over.

Brokers and stream are real, and so are leases and the appenders of ten machines, each a process. What they lack is the
engine: each writes the records of a tenth of the calls it would make. Leases are those of the defaults
(`--hold` is how long the vendor may be at work on a call). Then the same stream with three copies, and what
ten million would come to.

    python -m benchmarks.million [--tokens N] [--machines N] [--replicated N] [--hold S]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.laboratory import table
from torture.chaos.brokers import Brokers
from wolkvox_async.adapters.nats import NatsLogin, NatsSettings, NatsStore
from wolkvox_async.clustering.terms import PARTITIONS, LeaseTerms
from wolkvox_async.errors import StateError

from .arithmetic import ENDPOINTS, INTERVAL, ON_PAPER, Measured, on_paper
from .crew import Crew
from .filling import Knowing, Pace, fill
from .machine import Order
from .seen import disk_of, memory_of

_ROOM: Final = 16 * 1024**3
_SCALE: Final = 10  # one call in so many is made
_STEADY: Final = 20.0  # seconds
_PATIENCE: Final = 300.0
_AGAIN: Final = 0.05


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens beside one broker, machines, tokens beside three brokers, and seconds that a call may take."""

    tokens: int
    machines: int
    replicated: int
    hold: float


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--machines", type=int, default=10)
    parser.add_argument("--replicated", type=int, default=200_000)
    parser.add_argument("--hold", type=float, default=70.0)
    wanted = parser.parse_args()
    asyncio.run(measure(Sizes(wanted.tokens, wanted.machines, wanted.replicated, wanted.hold)))
    return 0


async def measure(sizes: Sizes) -> None:
    """Measure everything, one after the other."""
    table([("load of the machine at the start", f"{os.getloadavg()[0]:.1f}"), ("cores", os.cpu_count() or 1)])
    with tempfile.TemporaryDirectory() as name:
        alone = await one_broker(Path(name), sizes)
    with tempfile.TemporaryDirectory() as name:
        rewritten = await three_brokers(Path(name), sizes)
    broker_memory, disk, restart, load, machine_memory = alone
    seen = Measured(
        sizes.tokens, broker_memory, disk, restart, load, machine_memory, rewritten.rate, sum(rewritten.brokers)
    )
    for tokens in (sizes.tokens, ON_PAPER):
        print(f"\n{tokens:,} tokens, by this:")
        table(on_paper(seen, tokens))


async def one_broker(folder: Path, sizes: Sizes) -> tuple[float, float, float, float, float]:
    """Fill it, restart it, read it, have machines work beside it."""
    async with running(folder, 1) as brokers:
        node = brokers.nodes[0]
        async with await _open(brokers, 1) as store:
            filled = await fill(store, sizes.tokens, [node.pid])
        memory, disk = memory_of(node.pid), disk_of(node.data)
        print(f"\n{sizes.tokens:,} tokens, one broker")
        table([*_paces("first messages", filled), ("memory", f"{memory:.0f} MiB"), ("files", f"{disk:.0f} MiB")])
        restart = await restarted(brokers)
        load, machine_memory = await read_by_one(brokers, sizes)
        await machines(brokers, sizes)
        return memory, disk, restart, load, machine_memory


async def restarted(brokers: Brokers) -> float:
    """Kill the broker and start it; return the seconds from its start until leases and a partition can be read."""
    node = brokers.nodes[0]
    node.send(signal.SIGKILL)
    began = time.monotonic()
    node.start()
    while True:
        try:
            async with await _open(brokers, 1) as store:
                await store.keys()
                _ = [message async for message in store.load(0)]
                break
        except StateError:
            await asyncio.sleep(_AGAIN)
    seconds = time.monotonic() - began
    table([("killed: until it answers again", f"{seconds:.1f} s"), ("memory then", f"{memory_of(node.pid):.0f} MiB")])
    return seconds


async def read_by_one(brokers: Brokers, sizes: Sizes) -> tuple[float, float]:
    """Read all partitions, one after the other; return the seconds for one, and the memory of 1,000 tokens."""
    async with await _open(brokers, 1) as store:
        knowing, before, cpu = Knowing(store), memory_of(os.getpid()), time.process_time()
        seconds = [await knowing.load(partition) for partition in range(PARTITIONS)]
        cpu = time.process_time() - cpu
        each = (memory_of(os.getpid()) - before) / len(knowing.tokens) * 1000
        if len(knowing.tokens) != sizes.tokens:
            raise AssertionError("every token is read")
        table(
            [
                ("reading a partition, median", f"{statistics.median(seconds):.2f} s"),
                ("the longest", f"{max(seconds):.2f} s"),
                ("all of them, one after the other", f"{sum(seconds):.0f} s, {cpu:.0f} s of CPU"),
                ("what a machine knows of 1,000 tokens", f"{each:.2f} MiB"),
            ]
        )
        await knowing.appender.close()
    return statistics.median(seconds), each


async def machines(brokers: Brokers, sizes: Sizes) -> None:
    """Have machines share the tokens; kill one of them, then the broker."""
    calls = sizes.tokens * ENDPOINTS / INTERVAL / _SCALE
    password = _login(brokers).password or ""
    orders = [
        Order(f"m{number}", brokers.nodes[0].port, password, calls / sizes.machines, sizes.hold)
        for number in range(sizes.machines)
    ]
    crew = Crew(orders)
    try:
        began = time.monotonic()
        await crew.until(lambda: crew.held() == PARTITIONS, _PATIENCE)
        ready, standstill = time.monotonic() - began, LeaseTerms.default(sizes.hold).standstill
        print(f"\n{sizes.machines} machines; leases have to stand still for {standstill:.0f} s")
        table([("from their start until all partitions are in use", f"{ready:.1f} s"), _loaded(crew, began)])
        await steady(crew, "beside each other", calls)
        await a_death(crew, standstill, calls)
        await a_crash(brokers, crew)
        crew.end(signal.SIGTERM)
    finally:
        crew.end(signal.SIGKILL)


async def steady(crew: Crew, name: str, calls: float) -> None:
    """Look at them for a while."""
    before, cpu = crew.stored(), _cpu(crew)
    await asyncio.sleep(_STEADY)
    living = [hand for hand in crew.hands if hand.process.poll() is None]
    rate, spent = (crew.stored() - before) / _STEADY, (_cpu(crew) - cpu) / _STEADY
    memory = max(hand.last("memory") for hand in living)
    table(
        [
            (f"{name}: records of calls stored a second", f"{rate:,.0f} of {calls:,.0f}"),
            ("CPU of all machines", f"{spent:.2f} of a core"),
            ("memory of a machine, the largest", f"{memory:.0f} MiB"),
        ]
    )


async def a_death(crew: Crew, standstill: float, calls: float) -> None:
    """Kill the first machine, and wait until the others have what it had."""
    victim = crew.hands[0]
    had = len(victim.told("taken")) - len(victim.told("lost")) - len(victim.told("given"))
    victim.end(signal.SIGKILL)
    killed = time.monotonic()
    await crew.until(lambda: crew.held() == PARTITIONS, standstill + _PATIENCE)
    taken = [one for one in crew.told("taken", killed) if one["unclean"]]  # the others moved between those that live
    table(
        [
            (f"one is killed; its {had} partitions are in use again after", f"{taken[-1]['at'] - killed:.1f} s"),
            ("the first of them after", f"{taken[0]['at'] - killed:.1f} s"),
            _loaded(crew, killed),
        ]
    )
    await steady(crew, "after it", calls * (len(crew.hands) - 1) / len(crew.hands))


async def a_crash(brokers: Brokers, crew: Crew) -> None:
    """Kill the broker under them; see how long nothing is stored, and whether anybody lost a partition."""
    node = brokers.nodes[0]
    node.send(signal.SIGKILL)
    killed, before = time.monotonic(), crew.stored()
    await asyncio.sleep(2.0)  # what they said before it died is in
    before = max(before, crew.stored())
    node.start()
    await crew.until(lambda: crew.stored() > before, _PATIENCE)
    seconds = time.monotonic() - killed
    await asyncio.sleep(5.0)
    table(
        [
            ("the broker is killed, and started 2 s later: records again after", f"{seconds:.1f} s"),
            ("partitions lost by that", len(crew.told("lost", killed))),
            ("unstored 5 s later", sum(int(hand.last("unstored")) for hand in crew.hands[1:])),
        ]
    )


async def three_brokers(folder: Path, sizes: Sizes) -> Pace:
    """Write with three copies."""
    async with running(folder, 3) as brokers:
        pids = [node.pid for node in brokers.nodes]
        async with await _open(brokers, 3) as store:
            filled = await fill(store, sizes.replicated, pids)
            knowing = Knowing(store)
            for partition in range(PARTITIONS):
                await knowing.load(partition)
            rewritten = await knowing.write(sizes.replicated, pids)
            print(f"\n{sizes.replicated:,} tokens, three brokers")
            table(
                [
                    *_paces("first messages", filled),
                    *_paces("further messages, through the appender", rewritten),
                    ("memory of each", ", ".join(f"{memory_of(pid):.0f} MiB" for pid in pids)),
                ]
            )
            await knowing.appender.close()
        return rewritten


@asynccontextmanager
async def running(folder: Path, count: int) -> AsyncIterator[Brokers]:
    """Run brokers for the length of the block."""
    brokers = Brokers(folder, count, _ROOM)
    try:
        await brokers.start()
        yield brokers
    finally:
        brokers.stop()


async def _open(brokers: Brokers, replicas: int) -> NatsStore:
    servers = tuple(f"nats://127.0.0.1:{node.port}" for node in brokers.nodes)
    return await NatsStore.open(NatsSettings(servers, login=_login(brokers), replicas=replicas, deadline=30.0))


def _login(brokers: Brokers) -> NatsLogin:
    user, _, password = brokers.credentials.read_text().strip().partition(":")
    return NatsLogin(user=user, password=password)


def _paces(name: str, pace: Pace) -> Sequence[tuple[str, str]]:
    brokers = ", ".join(f"{one:.0f}" for one in pace.brokers)
    return [
        (f"{name}: a second", f"{pace.rate:,.0f} (two records each)"),
        ("CPU of the client, and of the brokers", f"{pace.client:.0f} and {brokers} us a message"),
    ]


def _loaded(crew: Crew, since: float) -> tuple[str, str]:
    loads = [float(one["seconds"]) for one in crew.told("loaded", since)]
    return "reading one of them, median and longest", f"{statistics.median(loads):.2f} and {max(loads):.2f} s"


def _cpu(crew: Crew) -> float:
    return sum(hand.last("cpu") for hand in crew.hands if hand.process.poll() is None)


if __name__ == "__main__":
    sys.exit(main())
