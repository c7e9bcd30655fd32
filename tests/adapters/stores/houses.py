"""Places where stores live, so that one can be opened beside another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from tests.adapters.stores.brokers import Broker, settings
from wolkvox_async.adapters.nats import NatsStore
from wolkvox_async.adapters.stores import MemoryStore, SqliteStore
from wolkvox_async.ports import Append, Message, Store

FULL = 200_000
"""Bytes that a small house has room for, more or less."""


class House(ABC):
    """Opens stores with the same contents; one that is `small` is soon full."""

    @abstractmethod
    async def open(self, *, small: bool = False) -> Store: ...

    @abstractmethod
    async def close(self) -> None:
        """End what the stores live in."""


class MemoryHouse(House):
    def __init__(self) -> None:
        self.first: MemoryStore | None = None

    async def open(self, *, small: bool = False) -> Store:
        self.first = self.first or MemoryStore(most_bytes=FULL if small else None)
        return self.first.beside()

    async def close(self) -> None:
        self.first = None


class FileHouse(House):
    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.sqlite"

    async def open(self, *, small: bool = False) -> Store:
        return await SqliteStore.open(self.path, most_bytes=FULL if small else None)

    async def close(self) -> None:
        self.path.unlink(missing_ok=True)


class BrokerHouse(House):
    def __init__(self, folder: Path) -> None:
        self.broker = Broker(folder)

    async def open(self, *, small: bool = False) -> Store:
        if self.broker.process is None:
            await self.broker.start()
        return await NatsStore.open(settings(self.broker, most_bytes=FULL if small else None))

    async def close(self) -> None:
        self.broker.kill()


def told(token: str, payload: bytes = b"{}", *, expected: int = 0, partition: int = 5) -> Append:
    """Return a message to be appended."""
    return Append(partition, token, expected, payload)


async def loaded(store: Store, partition: int = 5) -> dict[str, Message]:
    """Return the last message of each token of a partition, none of which may come twice."""
    found: dict[str, Message] = {}
    async for message in store.load(partition):
        assert message.token not in found
        found[message.token] = message
    return found
