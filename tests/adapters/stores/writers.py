"""Writers that go on whatever happens to the broker, and what they have written in the end."""

from __future__ import annotations

import asyncio
import functools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from tests.adapters.stores.houses import told
from wolkvox_async.errors import StoreUnavailableError
from wolkvox_async.ports import Conflict, Store, Stored

_Answer = TypeVar("_Answer")


async def answered(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Ask until there is an answer."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await ask()
            except StoreUnavailableError:
                await asyncio.sleep(0.01)


class Writer:
    """Appends messages to one token as those do who share one: what is unknown is looked up."""

    def __init__(self, store: Store, token: str) -> None:
        self.store, self.token = store, token
        self.expected = 0
        self.unknown = 0

    async def write(self, many: int) -> None:
        for number in range(many):
            while not await self._stored(str(number).encode()):
                await asyncio.sleep(0.01)

    async def _stored(self, payload: bytes) -> bool:
        try:
            (became,) = await self.store.append([told(self.token, payload, expected=self.expected)])
            if isinstance(became, Stored):
                self.expected = became.number
                return True
            last = await self.store.last(5, self.token)
        except StoreUnavailableError:
            self.unknown += 1
            return False
        assert became == Conflict()
        assert last is not None
        self.expected = last.sequence
        return last.payload == payload


async def written(store: Store) -> Mapping[str, list[bytes]]:
    """Return what the stream has of each token, in its order."""
    found: dict[str, list[bytes]] = defaultdict(list)
    after = 0
    while some := await answered(functools.partial(store.tail, after, 1_000)):
        for message in some:
            found[message.token].append(message.payload)
        after = some[-1].sequence
    return found
