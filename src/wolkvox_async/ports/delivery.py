"""Where records go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wolkvox_async.settlements import Item


class Sink(Protocol):
    """Where records go as bytes."""

    async def write(self, lines: bytes) -> int | None:
        """Deliver whole lines; when it returns they are delivered.

        Returns where the output ends now, in bytes, if it can be read back, else None.
        Raises `OutputError` when they cannot be delivered.
        """
        ...


class Desk(Protocol):
    """Where records go by the call, for a state that keeps them together with what it knows."""

    async def take(self, run: str, items: Sequence[Item]) -> None:
        """Take over items of a run, in their order; when it returns they are delivered.

        In the same turn of the loop the state is told to settle the calls among them, if there
        are any, and which slots they end.
        """
        ...

    async def say(self, run: str, line: bytes) -> None:
        """Take over a line that is about the run as a whole."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """A file that records go to, known again by its path and by what stands behind the path."""

    path: str
    device: int
    inode: int
