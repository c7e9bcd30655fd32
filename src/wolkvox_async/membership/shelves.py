"""What is known of tokens, by partition.

A partition that is held is known whole. Of any other only those tokens are known of which
something is unstored, and only until it is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wolkvox_async.clustering.messages import TokenState
from wolkvox_async.ports import Message

from .strands import Shelf, Strand, Writer


class Shelves:
    """All of them, as `writer` knows them."""

    def __init__(self, writer: Writer) -> None:
        self._writer: Final = writer
        self._shelves: Final[dict[int, Shelf]] = {}

    def __iter__(self) -> Iterator[Strand]:
        for shelf in self._shelves.values():
            yield from shelf.strands.values()

    def strand(self, partition: int, token: str) -> Strand:
        """Return a token's strand, a new one if nothing is known of it."""
        shelf = self._shelves.get(partition)
        if shelf is None:
            shelf = self._shelves[partition] = Shelf(partition)
        strand = shelf.strands.get(token)
        if strand is None:
            strand = shelf.strands[token] = Strand(shelf, token)
        return strand

    def learn(self, message: Message) -> TokenState:
        """Take in the last message of a token; return what is known of it."""
        strand = self.strand(message.partition, message.token)
        strand.learn(message, self._writer)
        return strand.known()

    def hold(self, partition: int) -> None:
        """Keep what is known of a partition from now on."""
        shelf = self._shelves.setdefault(partition, Shelf(partition))
        shelf.is_held = True

    def forget(self, partition: int) -> None:
        """Keep no more of a partition than what is unstored."""
        shelf = self._shelves.get(partition)
        if shelf is not None:
            shelf.is_held = False
            for strand in [strand for strand in shelf.strands.values() if not strand.is_queued]:
                del shelf.strands[strand.token]
            self._tidy(shelf)

    def rest(self, strand: Strand) -> None:
        """Take in that nothing of a token is unstored now."""
        shelf = strand.shelf
        if not shelf.is_held:
            del shelf.strands[strand.token]
            self._tidy(shelf)

    def unstored(self, partition: int | None = None) -> int:
        """Return how many parts are unstored, of a partition or of all."""
        if partition is None:
            return sum(shelf.unstored for shelf in self._shelves.values())
        shelf = self._shelves.get(partition)
        return 0 if shelf is None else shelf.unstored

    def _tidy(self, shelf: Shelf) -> None:
        if not shelf.strands:
            del self._shelves[shelf.partition]
