"""A machine without its engine: leases, what is known of tokens, and records at a given rate.

    python -m benchmarks.million.machine ORDER     (JSON: see `Order`)

Says a line of JSON for each thing that happens, and ends with SIGTERM after giving everything back.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from wolkvox_async.adapters.nats import NatsLogin, NatsSettings, NatsStore
from wolkvox_async.adapters.state.clocks import machine_clocks
from wolkvox_async.clustering.contender import Identity
from wolkvox_async.clustering.messages import TokenState
from wolkvox_async.clustering.terms import PARTITIONS, LeaseTerms
from wolkvox_async.errors import StateError
from wolkvox_async.membership.appender import Appender
from wolkvox_async.membership.member import Clocks, Member, Setting
from wolkvox_async.membership.owner import Parties, Taking, TokenKnown
from wolkvox_async.membership.strands import Part, Writer

from .seen import cpu_of, memory_of
from .tokens import lines_of_call, state_at

_LONGEST: Final = 300.0
_TICK: Final = 0.02
_SECOND: Final = 1.0


@dataclass(frozen=True, slots=True)
class Order:
    """Who it is, where the broker is, calls a second, and for how long the vendor may be at work (seconds)."""

    name: str
    port: int
    password: str
    rate: float
    hold: float


class Worker:
    """The owner of partitions, their board, and the listener of records: it only counts, and says."""

    member: Member
    appender: Appender

    def __init__(self) -> None:
        self.tokens: Final[dict[int, tuple[str, ...]]] = {}
        self.stored = 0
        self.unstored = 0

    # --- records, timed

    async def load(self, partition: int) -> Collection[TokenKnown]:
        """Read a partition, and say how long that took."""
        began = time.perf_counter()
        known = await self.appender.load(partition)
        say("loaded", partition=partition, tokens=len(known), seconds=time.perf_counter() - began)
        return known

    def forget(self, partition: int) -> None:
        """Let go of it."""
        self.appender.forget(partition)

    # --- the owner

    def taken(self, taking: Taking) -> None:
        """Use it."""
        self.tokens[taking.partition] = tuple(known.token for known in taking.tokens)
        say("taken", partition=taking.partition, unclean=taking.quarantine is not None)

    def finish(self, partition: int) -> None:
        """Give it back when its records are stored."""
        self.tokens.pop(partition, None)
        say("given", partition=partition)
        task = asyncio.ensure_future(self.appender.flush(partition))
        task.add_done_callback(lambda _: self.member.released(partition))

    def lost(self, partition: int) -> None:
        """Use it no more."""
        self.tokens.pop(partition, None)
        say("lost", partition=partition)

    def may_renew(self, partition: int) -> bool:  # noqa: ARG002 - nobody stands still here
        """Say yes."""
        return True

    def facts(self) -> Mapping[str, str | int | float]:
        """Return nothing."""
        return {}

    def broken(self, error: Exception) -> None:
        """End at once."""
        say("broken", why=repr(error))
        os._exit(1)

    # --- the board

    def permit(self, partition: int, valid_until: float) -> None:
        """Take no notice."""

    def revoke(self, partition: int) -> None:
        """Take no notice."""

    # --- the listener

    def stuck(self, partition: int, token: str) -> None:
        """Take no notice: `unstored` grows."""

    def moving(self, partition: int, token: str) -> None:
        """Take no notice."""

    def learned(self, partition: int, token: str, state: TokenState) -> None:
        """Take no notice."""

    # --- its work

    async def work(self, rate: float) -> None:
        """Write the records of `rate` calls a second, token after token."""
        began, written, number = time.monotonic(), 0, 0
        while True:
            await asyncio.sleep(_TICK)
            wanted = int((time.monotonic() - began) * rate) - written
            written += wanted
            held = list(self.tokens.items())
            for _ in range(wanted if held else 0):
                number += 1
                partition, some = held[number % len(held)]
                if some:
                    self._write(partition, some[number // len(held) % len(some)])

    def _write(self, partition: int, token: str) -> None:
        self.unstored += 1
        part = Part(1, state_at(token, time.time()), lines_of_call(token), self._done)
        self.appender.append(partition, token, part)

    def _done(self, error: StateError | None) -> None:
        self.unstored -= 1
        self.stored += error is None

    async def tell(self) -> None:
        """Say how things are, each second."""
        while True:
            await asyncio.sleep(_SECOND)
            say(
                "seen",
                held=len(self.tokens),
                tokens=sum(map(len, self.tokens.values())),
                stored=self.stored,
                unstored=self.unstored,
                memory=memory_of(os.getpid()),
                cpu=cpu_of(os.getpid()),
            )


def say(event: str, **facts: Any) -> None:
    """Say what happened, and when (monotonic seconds, the same for all processes)."""
    sys.stdout.buffer.write(orjson.dumps({"event": event, "at": time.monotonic(), **facts}) + b"\n")
    sys.stdout.buffer.flush()


async def live(order: Order) -> None:
    """Be a machine until SIGTERM."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    login = NatsLogin(user="wolkvox", password=order.password)
    worker, clocks = Worker(), machine_clocks()
    terms, identity = LeaseTerms.default(order.hold), Identity(order.name, order.name)
    setting = Setting(terms, PARTITIONS, identity, order.name, _LONGEST)
    async with await NatsStore.open(NatsSettings((f"nats://127.0.0.1:{order.port}",), login=login)) as store:
        worker.appender = Appender(store, Writer(order.name, lambda state: state), worker)
        parties = Parties(worker, worker, worker)
        times = Clocks(clocks.boottime, clocks.wall, random.random)
        async with Member(store, setting, times, parties) as worker.member:
            tasks = [asyncio.ensure_future(worker.work(order.rate)), asyncio.ensure_future(worker.tell())]
            await stopped.wait()
            await worker.member.leave()
            for task in tasks:
                task.cancel()
        await worker.appender.close()


if __name__ == "__main__":
    asyncio.run(live(Order(**orjson.loads(sys.stdin.buffer.readline()))))
