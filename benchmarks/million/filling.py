"""Messages into the stream, as fast as it takes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wolkvox_async.clustering.messages import TokenState
from wolkvox_async.errors import StateError
from wolkvox_async.membership.appender import Appender
from wolkvox_async.membership.strands import Part, Writer
from wolkvox_async.ports import Store, Stored

from .seen import cpu_of
from .tokens import first_message, lines_of_call, state_at

_BATCH: Final = 100
_FLIGHTS: Final = 8
_AHEAD: Final = 1_600  # messages that are unstored, at the most


@dataclass(frozen=True, slots=True)
class Pace:
    """Messages a second, and microseconds of CPU for each: in this process, and in each broker."""

    rate: float
    client: float
    brokers: tuple[float, ...]


class Stopwatch:
    """Counts time and CPU from its making on."""

    def __init__(self, brokers: Sequence[int]) -> None:
        self._brokers: Final = brokers
        self._began: Final = time.monotonic()
        self._cpu: Final = time.process_time()
        self._theirs: Final = [cpu_of(pid) for pid in brokers]

    def pace(self, messages: int) -> Pace:
        """Return what so many messages came to."""
        theirs = [cpu_of(pid) - before for pid, before in zip(self._brokers, self._theirs, strict=True)]
        each = 1e6 / messages
        own = time.process_time() - self._cpu
        return Pace(messages / (time.monotonic() - self._began), own * each, tuple(one * each for one in theirs))


async def fill(store: Store, tokens: int, brokers: Sequence[int]) -> Pace:
    """Write the first message of each token."""
    watch, at = Stopwatch(brokers), time.time()
    batches = iter(range(0, tokens, _BATCH))

    async def fly() -> None:
        for first in batches:
            some = [first_message(number, at) for number in range(first, min(first + _BATCH, tokens))]
            became = await store.append(some)
            if not all(isinstance(one, Stored) for one in became):
                raise AssertionError("a fresh token's first message is taken")

    await asyncio.gather(*(fly() for _ in range(_FLIGHTS)))
    return watch.pace(tokens)


class _Nobody:
    """A listener that hears nothing but what must not be."""

    def stuck(self, partition: int, token: str) -> None:  # noqa: ARG002 - the port's signature
        raise AssertionError("there is room")

    def moving(self, partition: int, token: str) -> None:
        """Take no notice."""

    def learned(self, partition: int, token: str, state: TokenState) -> None:
        """Take no notice."""

    def broken(self, error: Exception) -> None:
        raise error


class Knowing:
    """What knows all tokens of some partitions, as a machine does, and writes the records of their next calls."""

    def __init__(self, store: Store) -> None:
        self.appender: Final = Appender(store, Writer("knowing", lambda state: state), _Nobody())
        self.tokens: Final[list[tuple[int, str]]] = []
        self._unstored = 0
        self._failures = 0

    async def load(self, partition: int) -> float:
        """Read a partition; returns the seconds."""
        began = time.perf_counter()
        known = await self.appender.load(partition)
        self.tokens.extend((partition, one.token) for one in known)
        return time.perf_counter() - began

    async def write(self, messages: int, brokers: Sequence[int]) -> Pace:
        """Write one message for each of so many tokens, in turn."""
        watch, at = Stopwatch(brokers), time.time()
        for number in range(messages):
            partition, token = self.tokens[number % len(self.tokens)]
            self._unstored += 1
            self.appender.append(partition, token, Part(1, state_at(token, at), lines_of_call(token), self._done))
            while self._unstored > _AHEAD:  # noqa: ASYNC110 - a look a millisecond costs less than an event a message
                await asyncio.sleep(0.001)
        await self.appender.flush()
        if self._failures:
            raise AssertionError("what is appended is stored")
        return watch.pace(messages)

    def _done(self, error: StateError | None) -> None:
        self._unstored -= 1
        self._failures += error is not None
