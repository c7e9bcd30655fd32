"""The same as Singer messages: to a pipe or a file, or to a file of records and on to a pipe.

A file of messages ends with a STATE, behind which nothing is owed: a call's STATE stands behind
its rows, and its mark can be read from its message in the stream `calls`. What a killed writer
left behind the last STATE is cut.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from wolkvox_async.errors import ConfigurationError, Mistake
from wolkvox_async.marks import Mark
from wolkvox_async.singer import STREAMS, Translator, read_message_mark

from .marks import call_messages
from .opening import named_output, standard_output
from .outlets import Outlet
from .output import STANDARD_OUTPUT, JsonLines
from .remains import behind_line_ends

_BLOCK: Final = 1 << 20
_HEAD: Final = 64  # bytes: enough for how a message of ours begins
_BEGINNINGS: Final = tuple(
    b'{"type":"%b","stream":"%b",' % (kind, name.encode()) for name in STREAMS for kind in (b"SCHEMA", b"RECORD")
)
_STATE: Final = b'{"type":"STATE","value":{"run":'
_STRANGE: Final = "this is no file of Singer messages of this program, so nothing is appended: name another file"


class MessageLines(JsonLines):
    """A `JsonLines` that is told records and writes messages."""

    __slots__ = ("_translator",)

    def __init__(self, target: str | os.PathLike[str], translator: Translator, *, durable: bool = False) -> None:
        super().__init__(target, durable=durable)
        self._translator: Final = translator

    async def write(self, lines: bytes) -> int | None:
        """Deliver whole lines as messages; otherwise as `JsonLines.write`."""
        return await super().write(self._translator.messages(lines))

    def marks_from(self, start: int) -> Iterator[Mark]:
        """Yield the marks of the calls that the named file holds from `start` on."""
        place, end = self.place, self.position
        if place is not None and end is not None:
            found = (read_message_mark(message) for message in call_messages(place, start, end))
            yield from (mark for mark in found if mark is not None)

    def _open(self) -> Outlet:
        if self._target == STANDARD_OUTPUT:
            return standard_output(durable=self._durable)
        return named_output(self._target, durable=self._durable, end_of=_end_of_messages)


@dataclass(frozen=True, slots=True)
class Batch:
    """A file of records, and from where on it is to be handed on."""

    path: Path
    start: int = 0


class Relay(JsonLines):
    """A file of records that hands what it has taken on to `out`, as messages.

    On opening it first hands on what is `owed`, which is empty then: files in their order; its own may be the last.
    What `out` cannot take stands in the file all the same.
    """

    __slots__ = ("_both", "_out", "_owed", "_translator")

    def __init__(self, path: Path, translator: Translator, owed: list[Batch], *, durable: bool) -> None:
        super().__init__(path, durable=durable)
        self._out: Final = JsonLines(STANDARD_OUTPUT)
        self._owed: Final = owed
        self._translator: Final = translator
        self._both = AsyncExitStack()  # what is open

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            await super().__aenter__()
            opened.push_async_exit(super().__aexit__)
            await opened.enter_async_context(self._out)
            while self._owed:
                await self._hand_on(self._owed[0])
                del self._owed[0]
            self._both = opened.pop_all()
        self._translator.batch = Path(self._target).name
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._both.__aexit__(kind, error, trace)

    async def write(self, lines: bytes) -> int | None:
        """Deliver whole lines to the file, and then as messages; otherwise as `JsonLines.write`."""
        start = self.position
        end = await super().write(lines)
        await self._out.write(self._translator.messages(lines, start))
        return end

    def abort(self) -> None:
        """Give up a reader that stands still; later writes fail."""
        super().abort()
        self._out.abort()

    async def _hand_on(self, batch: Batch) -> None:
        self._translator.batch = batch.path.name
        with batch.path.open("rb") as file:
            if opening := file.readline():
                self._translator.hear(opening)
            file.seek(batch.start - 1 if batch.start else 0)
            if batch.start and file.read(1) != b"\n":
                file.seek(0)  # not where a line begins: it is another file than was told of
            position = file.tell()
            while lines := _whole(file.readlines(_BLOCK)):
                await self._out.write(self._translator.messages(lines, position))
                position += len(lines)


def _whole(lines: list[bytes]) -> bytes:
    """Join lines, but for one that a killed writer left without its end."""
    return b"".join(lines if lines[-1:] == [] or lines[-1].endswith(b"\n") else lines[:-1])


def _end_of_messages(descriptor: int, size: int, name: str) -> int:
    """Return where a file of `size` bytes ends without what a killed writer left: behind its last STATE.

    Raises `ConfigurationError` when a line behind that is no message of ours.
    """
    ends = chain(behind_line_ends(descriptor, size), (0,))
    torn = next(ends)
    if torn < size and not _may_be_ours(os.pread(descriptor, _HEAD, torn)):
        raise ConfigurationError([Mistake(_STRANGE, name)])
    for end, start in pairwise(chain((torn,), ends)):
        head = os.pread(descriptor, _HEAD, start)
        if head.startswith(_STATE):
            return end
        if not head.startswith(_BEGINNINGS):
            raise ConfigurationError([Mistake(_STRANGE, name)])
    return 0


def _may_be_ours(head: bytes) -> bool:
    return any(head.startswith(beginning) or beginning.startswith(head) for beginning in (*_BEGINNINGS, _STATE))
