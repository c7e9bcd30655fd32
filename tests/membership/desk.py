"""An appender over a faulty store in memory, and what it did."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from wolkvox_async.adapters.stores.memory import MemoryStore
from wolkvox_async.clustering.messages import Entry, TokenState, lines_of
from wolkvox_async.errors import StateError
from wolkvox_async.membership.appender import Appender
from wolkvox_async.membership.launching import Pace
from wolkvox_async.membership.strands import Part, Writer

from .faults import FaultyStore

PARTITIONS: Final = 4


def partition_of(token: str) -> int:
    return crc32(token.encode()) % PARTITIONS


def unpruned(state: TokenState) -> TokenState:
    return state


@dataclass
class Heard:
    """A listener that keeps what it hears."""

    stuck_tokens: list[str] = field(default_factory=list)
    moving_tokens: list[str] = field(default_factory=list)
    news: list[tuple[str, TokenState]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def stuck(self, partition: int, token: str) -> None:  # noqa: ARG002
        self.stuck_tokens.append(token)

    def moving(self, partition: int, token: str) -> None:  # noqa: ARG002
        self.moving_tokens.append(token)

    def learned(self, partition: int, token: str, state: TokenState) -> None:  # noqa: ARG002
        self.news.append((token, state))

    def broken(self, error: Exception) -> None:
        self.errors.append(error)


class Desk:
    """One writer; several share what is `stored`."""

    def __init__(
        self, session: str = "s1", *, beside: Desk | None = None, pace: Pace | None = None, delay: float = 0.01
    ) -> None:
        self.memory: Final[MemoryStore] = MemoryStore() if beside is None else beside.memory.beside()
        self.store: Final = FaultyStore(self.memory, delay=delay)
        self.heard: Final = Heard()
        self.appender: Final = Appender(self.store, Writer(session, unpruned), self.heard, pace)
        self.told: Final[list[tuple[str, str, StateError | None]]] = []

    def write(self, token: str, *names: str, state: TokenState | None = None) -> None:
        """Append a part of one line for each name."""
        for name in names:
            self.appender.append(partition_of(token), token, self.part(token, name, state))

    def part(self, token: str, name: str, state: TokenState | None = None) -> Part:
        def done(error: StateError | None) -> None:
            self.told.append((token, name, error))

        return Part(1, state or TokenState(), f"{name}\n".encode(), done)

    def told_of(self, token: str) -> list[str]:
        return [name for told, name, error in self.told if told == token and error is None]

    async def entries(self, token: str) -> list[Entry]:
        return [Entry.decode(one.payload) for one in await self.memory.tail(0, 100_000) if one.token == token]

    async def lines(self, token: str) -> list[str]:
        messages = [one for one in await self.memory.tail(0, 100_000) if one.token == token]
        return b"".join([lines_of(one.payload) for one in messages]).decode().split()


def seconds() -> float:
    return asyncio.get_running_loop().time()
