"""The store in memory, for tests and for engines of one process: gone with the process.

    store = MemoryStore()
    another = store.beside()

Stores that stand beside one another hold the same keys and the same stream; each is closed
for itself. All are used in one event loop. Nothing in here ever fails to answer.

Everything is kept: a message costs its payload and some 200 bytes, so this is no store for
a process that runs for months.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from wolkvox_async.errors import StateError
from wolkvox_async.ports.store import Append, Appended, Conflict, Full, Held, Message, Stored


@dataclass(slots=True)
class _Shared:
    """What stores that stand beside one another have in common."""

    keys: dict[str, Held] = field(default_factory=dict)
    stream: list[Message] = field(default_factory=list)  # the message with sequence n stands at n - 1
    last: dict[int, dict[str, Message]] = field(default_factory=dict)  # by partition and token
    bytes: int = 0


class MemoryStore:
    """The `Store` of one process."""

    def __init__(self, *, most_bytes: int | None = None) -> None:
        """With `most_bytes` it is full when the payloads of its messages would come to more than that."""
        self._most_bytes: Final = most_bytes
        self._shared = _Shared()
        self._closed = False

    def beside(self) -> MemoryStore:
        """Return a store with the same contents, for another member of this process."""
        another = MemoryStore(most_bytes=self._most_bytes)
        another._shared = self._shared
        return another

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def keys(self) -> Mapping[str, Held]:
        """Return all keys, as they are now."""
        self._check()
        return dict(self._shared.keys)

    async def cas(self, key: str, expected: int, value: bytes) -> Stored | Conflict:
        """Write a key whose revision is `expected` (0: it does not exist)."""
        self._check()
        held = self._shared.keys.get(key)
        if (held.revision if held else 0) != expected:
            return Conflict()
        self._shared.keys[key] = Held(expected + 1, value)
        return Stored(expected + 1)

    async def load(self, partition: int) -> AsyncIterator[Message]:
        """Yield the last message of each token of a partition."""
        self._check()
        for message in list(self._shared.last.get(partition, {}).values()):
            yield message

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        """Append messages; what became of each stands at its place."""
        self._check()
        return [self._append(append) for append in appends]

    async def last(self, partition: int, token: str) -> Message | None:
        """Return the last message of a token."""
        self._check()
        return self._shared.last.get(partition, {}).get(token)

    async def tail(self, after: int, most: int) -> Sequence[Message]:
        """Return the messages behind the sequence `after`, at most so many."""
        self._check()
        return self._shared.stream[after : after + most]

    async def close(self) -> None:
        """Let go of it; those beside it go on."""
        self._closed = True

    def _append(self, append: Append) -> Appended:
        shared = self._shared
        tokens = shared.last.setdefault(append.partition, {})
        last = tokens.get(append.token)
        if (last.sequence if last else 0) != append.expected:
            return Conflict()
        size = shared.bytes + len(append.payload)
        if self._most_bytes is not None and size > self._most_bytes:
            return Full()
        message = Message(len(shared.stream) + 1, append.partition, append.token, append.payload)
        shared.stream.append(message)
        shared.bytes = size
        tokens[append.token] = message
        return Stored(message.sequence)

    def _check(self) -> None:
        if self._closed:
            raise StateError("the store was closed")
