"""What is known of the tokens of a partition: the last message of each, read before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from wolkvox_async.ports import Message, Store

_AT_ONCE: Final = 100  # messages; then others have a turn


async def last_messages(store: Store, partition: int) -> AsyncIterator[Message]:
    """Yield the last message of each token of a partition, letting others run meanwhile."""
    read = 0
    async for message in store.load(partition):
        yield message
        read += 1
        if read % _AT_ONCE == 0:
            await asyncio.sleep(0)
