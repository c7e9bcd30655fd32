"""A store whose answers get lost, come late, or say that it is full; behind it any other store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from enum import Enum
from random import Random
from typing import Any, Final, TypeVar

from wolkvox_async.errors import StoreUnavailableError
from wolkvox_async.ports import Append, Appended, Conflict, Full, Held, Message, Store, Stored

T = TypeVar("T")


class Fault(Enum):
    """What becomes of one request."""

    NONE = "it is done and answered"
    UNDONE = "it gets lost"
    UNTOLD = "it is done, and the answer gets lost"
    HANGS = "it gets lost, and nobody ever says so"


class FaultyStore:
    """Does what is planned for each request, in turn; then what chance says; `delay` is that of every answer."""

    def __init__(self, store: Store, *, delay: float = 0.0, chance: Random | None = None, share: float = 0.0) -> None:
        self._store: Final = store
        self._chance: Final = chance
        self.share = share  # of requests that get lost, half of them only after they were done
        self.delay = delay
        self.timeout = 1.0
        self.is_cut = False
        self.is_full = False
        self.error: Exception | None = None
        self.plan: Final[dict[str, deque[Fault]]] = {}
        self.asked: Final[list[str]] = []
        self.batches: Final[list[int]] = []
        self.at_once = self.most_at_once = 0
        self._was_cut = False

    def will(self, method: str, *faults: Fault) -> None:
        self.plan.setdefault(method, deque()).extend(faults)

    def count(self, method: str) -> int:
        return self.asked.count(method)

    async def keys(self) -> Mapping[str, Held]:
        was_cut, self._was_cut = self._was_cut, self.is_cut
        if was_cut and not self.is_cut:
            raise StoreUnavailableError("there is a new connection")
        return await self._do("keys", self._store.keys)

    async def cas(self, key: str, expected: int, value: bytes) -> Stored | Conflict:
        return await self._do("cas", lambda: self._store.cas(key, expected, value))

    async def load(self, partition: int) -> AsyncIterator[Message]:
        await self._do("load", lambda: asyncio.sleep(0))
        async for message in self._store.load(partition):
            yield message

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        self.batches.append(len(appends))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.is_full:
                await asyncio.sleep(self.delay)
                return [Full() for _ in appends]
            return await self._do("append", lambda: self._store.append(appends))
        finally:
            self.at_once -= 1

    async def last(self, partition: int, token: str) -> Message | None:
        return await self._do("last", lambda: self._store.last(partition, token))

    async def tail(self, after: int, most: int) -> Sequence[Message]:
        return await self._do("tail", lambda: self._store.tail(after, most))

    async def close(self) -> None:
        await self._store.close()

    async def _do(self, method: str, doing: Callable[[], Coroutine[Any, Any, T]]) -> T:
        self.asked.append(method)
        fault = self._fault(method)
        if self.error is not None or fault in (Fault.UNDONE, Fault.HANGS):
            if self.error is not None:
                raise self.error
            await asyncio.sleep(1e9 if fault is Fault.HANGS else self.timeout)
            raise StoreUnavailableError("no answer")
        await asyncio.sleep(self.delay / 2)
        done = await doing()
        if fault is Fault.UNTOLD:
            await asyncio.sleep(self.timeout)
            raise StoreUnavailableError("no answer")
        await asyncio.sleep(self.delay / 2)
        return done

    def _fault(self, method: str) -> Fault:
        if self.is_cut:
            self._was_cut = True
            return Fault.UNDONE
        if self.plan.get(method):
            return self.plan[method].popleft()
        if self._chance is None or self._chance.random() >= self.share:
            return Fault.NONE
        return self._chance.choice([Fault.UNDONE, Fault.UNTOLD])
