"""The parent's side of one worker: what it has, what it is doing, and how it is spoken to."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .forking import Forked
from .frames import framed
from .shares import Part


@dataclass(frozen=True, slots=True)
class Seen:
    """What a worker does: attempts in flight, tokens that wait for a slot, and after which failure."""

    in_flight: int = 0
    held_back: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict)


class Link:
    """A worker that was started; `part` is all that it has of the limits."""

    def __init__(self, forked: Forked, part: Part, places: array[int]) -> None:
        self.number: Final = forked.number
        self.pid: Final = forked.pid
        self.part = part
        self.places: Final = places  # its operations
        self.ended: Final = bytearray()  # the tails of those of its calls that ended here
        self.open_shares: Final[set[int]] = set()
        self.seen = Seen()
        self.is_alive = True
        self.reader: asyncio.StreamReader
        self._channel: Final = forked.channel
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Have the event loop see to the socket."""
        self.reader, self._writer = await asyncio.open_unix_connection(sock=self._channel)

    def post(self, *head: Any, tail: bytes = b"") -> None:
        """Send a frame, unless nobody is there to get it."""
        if self._writer is None or not self.is_alive or self._writer.is_closing():
            return
        for part in framed(head, tail):
            self._writer.write(part)

    def close(self) -> None:
        """Hang up: a worker that still listens is gone at once."""
        if self._writer is not None:
            self._writer.close()
        else:
            self._channel.close()
