"""Reading a pass, one item at a time.

A class and not an async generator: a generator that is left in the middle is closed by
a task that nobody waits for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Final, Generic, Protocol, TypeVar

from wolkvox_async.lines import item_lines
from wolkvox_async.records import RunRecord
from wolkvox_async.settlements import Item

T = TypeVar("T")

_PIECE: Final = 262_144  # bytes from which on lines are handed out, whatever else is ready


class Source(Protocol):
    """What is read: an opening record, batches of items, an ending record."""

    def opening(self) -> RunRecord:
        """Return the record that opens the run."""
        ...

    async def next_batch(self) -> list[Item] | None:
        """Wait for settled calls; None when all have been given out."""
        ...

    def ending(self) -> RunRecord:
        """Return the record that closes the run."""
        ...


class Reading(AsyncIterator[T], Generic[T]):
    """Iterates over a source; `render` makes items of a batch, `frame` of a run record."""

    def __init__(
        self, source: Source, render: Callable[[list[Item]], Iterable[T]], frame: Callable[[RunRecord], T]
    ) -> None:
        self._source: Final = source
        self._render: Final = render
        self._frame: Final = frame
        self._ready: Iterator[T] = iter(())
        self._is_open = self._is_over = False

    async def __anext__(self) -> T:
        while True:
            for item in self._ready:
                return item
            self._ready = iter(await self._more())

    async def _more(self) -> Iterable[T]:
        if not self._is_open:
            self._is_open = True
            return [self._frame(self._source.opening())]
        if self._is_over:
            raise StopAsyncIteration
        batch = await self._source.next_batch()
        if batch is not None:
            return self._render(batch)
        self._is_over = True
        return [self._frame(self._source.ending())]


def pieces(run: str, batch: list[Item]) -> Iterator[tuple[bytes, Sequence[Item]]]:
    """Yield a batch's lines, with the items that they are of, so that a big batch does not stand in memory twice."""
    lines: list[bytes] = []
    size = start = 0
    for end, item in enumerate(batch, 1):
        text = item_lines(run, item)
        lines.append(text)
        size += len(text)
        if size >= _PIECE:
            yield b"".join(lines), batch[start:end]
            lines, size, start = [], 0, end
    if lines:
        yield b"".join(lines), batch[start:]
