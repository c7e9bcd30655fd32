"""Where lines go, and how it is known from where to go on.

- A file has a bookmark beside it, and goes on by itself. It is locked while it is written.
- A pipe keeps nothing, so the person is told: a line `next: --from N` on standard error, every ten
  seconds in which something was written, and at the end. What is before N was taken by the pipe.
  Standard output that a shell redirected to a file is as a pipe.

Messages go out whole. In a pipe, one that was being written when its reader went away, or was given
up, comes again; its `call` record, which commits it, comes once.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from wolkvox_async.adapters.jsonlines import JsonLines
from wolkvox_async.clustering.messages import lines_of
from wolkvox_async.errors import ConfigurationError, Mistake, OutputClosedError
from wolkvox_async.ports import Message

from .bookmark import Bookmark, path_of, read_bookmark, write_bookmark
from .remainder import Remainder

_PORTION: Final = 65_536  # bytes that go into a pipe at once
_TOLD_EVERY: Final = 10.0  # seconds
_STDOUT: Final = 1


class Target(Protocol):
    """Takes messages in their order."""

    @property
    def place(self) -> Bookmark:
        """Up to where everything was taken."""
        ...

    async def take(self, messages: Sequence[Message]) -> None:
        """Take messages; raises `OutputError`, and `ConfigurationError` where a file is not what it should be."""
        ...

    def rest(self) -> None:
        """Look, when there is nothing to take, whether anybody is still there; raises `OutputError`."""
        ...


class File:
    """A file with its bookmark."""

    def __init__(self, sink: JsonLines, path: Path, place: Bookmark, *, durable: bool) -> None:
        """Use `open`."""
        self._sink: Final = sink
        self._path: Final = path
        self._durable: Final = durable
        self._remainder: Final = Remainder(path, place.size, sink.position or 0)
        self.place = place

    @classmethod
    async def open(cls, sink: JsonLines, path: Path, first: int | None, *, durable: bool) -> File:
        """Find the place; raises `ConfigurationError` where there is none, or `first` is another, and `OutputError`."""
        place = _place(path, sink.position or 0, first)
        target = cls(sink, path, place, durable=durable)
        await target._mark(place)
        return target

    async def take(self, messages: Sequence[Message]) -> None:
        """Append what is not in the file yet, then move the bookmark."""
        if not messages:
            return
        lines = b"".join(lines_of(message.payload) for message in messages)
        if self._remainder:
            lines = self._remainder.behind(lines)
        if lines:
            await self._sink.write(lines)
        size = self._remainder.start if self._remainder else self._sink.position or 0
        await self._mark(Bookmark.behind(messages[-1], size))

    async def _mark(self, place: Bookmark) -> None:
        await asyncio.to_thread(write_bookmark, self._path, place, durable=self._durable)
        self.place = place

    def rest(self) -> None:
        """Do nothing: a file has no reader."""


class Pipe:
    """A pipe, terminal or whatever standard output is."""

    def __init__(self, sink: JsonLines, first: int | None, tell: Callable[[int], None], *, is_standard: bool) -> None:
        """`tell` is told the next sequence once in a while."""
        self._sink: Final = sink
        self._tell: Final = tell
        self._told_at = asyncio.get_running_loop().time()
        self._reader: Final = select.poll()
        if is_standard:
            self._reader.register(_STDOUT, 0)  # errors alone: of a pipe, that nobody reads it any more
        self.place = Bookmark((first or 1) - 1, 0)

    async def take(self, messages: Sequence[Message]) -> None:
        """Write them in portions, each of whole messages."""
        for portion in _portions(messages):
            await self._sink.write(b"".join(lines_of(message.payload) for message in portion))
            self.place = Bookmark.behind(portion[-1], 0)
            self._tell_sometimes()

    def _tell_sometimes(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= _TOLD_EVERY:
            self._told_at = now
            self._tell(self.place.sequence + 1)

    def rest(self) -> None:
        """Look whether the reader of standard output is still there."""
        if any(event & select.POLLERR for _, event in self._reader.poll(0)):
            raise OutputClosedError("standard output: its reader went away")


def _portions(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    start = size = 0
    for position, message in enumerate(messages, 1):
        size += len(message.payload)
        if size >= _PORTION or position == len(messages):
            yield messages[start:position]
            start, size = position, 0


def _place(path: Path, size: int, first: int | None) -> Bookmark:
    """Return from where on a file of `size` bytes goes on; raises `ConfigurationError`."""
    found = read_bookmark(path)
    if found is None:
        if size and first is None:
            raise _refusal(path, "it has records, and nothing tells up to where: name another file, or say --from")
        return Bookmark((first or 1) - 1, size)
    if first not in (None, found.sequence + 1):
        raise _refusal(path, f"it goes on from {found.sequence + 1} by itself: leave --from out, or name another file")
    if size == 0:
        return Bookmark(found.sequence, 0, found.digest)  # it was moved away when it was large, say
    if size < found.size:
        lacks = f"it has {size} bytes, and had {found.size} when {path_of(path).name} was written"
        raise _refusal(path, f"{lacks}: it was cut; read into another file, from the beginning or with --from")
    return found


def _refusal(path: Path, complaint: str) -> ConfigurationError:
    return ConfigurationError([Mistake(complaint, str(path))])
