"""The keys of the store, each request under a deadline of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final, TypeVar

from wolkvox_async.errors import StoreUnavailableError
from wolkvox_async.ports import Conflict, Held, Store, Stored

T = TypeVar("T")


class Keys:
    """Reads and writes them; no request takes longer than `patience` seconds."""

    def __init__(self, store: Store, patience: float) -> None:
        self._store: Final = store
        self._patience: Final = patience

    async def read(self) -> Mapping[str, Held] | None:
        """Return all of them; None when there was no answer."""
        return await self._within(self._store.keys())

    async def write(self, key: str, expected: int, value: bytes) -> Stored | Conflict | None:
        """Write one whose revision is `expected`; None when there was no answer, and it may have been written."""
        return await self._within(self._store.cas(key, expected, value))

    async def _within(self, asking: Coroutine[Any, Any, T]) -> T | None:
        deadline = asyncio.timeout(self._patience)
        try:
            async with deadline:
                return await asking
        except StoreUnavailableError:
            return None
        except TimeoutError:
            if deadline.expired():
                return None
            raise  # the store's own, which it is not to raise
