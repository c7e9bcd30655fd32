"""Where records go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Sink(Protocol):
    """Where records go as bytes."""

    async def write(self, lines: bytes) -> int | None:
        """Deliver whole lines; when it returns they are delivered.

        Returns where the output ends now, in bytes, if it can be read back, else None.
        Raises `OutputError` when they cannot be delivered.
        """
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """A file that records go to, known again by its path and by what stands behind the path."""

    path: str
    device: int
    inode: int
