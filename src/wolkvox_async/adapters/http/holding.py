"""What one connection holds of an answer, and the room that it has for it; see `room`."""

from __future__ import annotations

from collections.abc import Callable
from io import SEEK_END, BytesIO
from typing import Final

from .framing import AnswerReader
from .room import BIG, SMALL, Claim, Room

# A head is held as it came, in parts, and as text.
_COPIES_OF_HEAD: Final = 3

BIG_ROOM: Final = 2**40
"""What a big body wants: there is no telling how much."""


class Holding:
    """The body as far as it was read, one answer after the other; the next read goes into `buffer`.

    Whoever asks for room says what to call when it is lost.
    """

    __slots__ = ("_blocks", "_body", "_claim", "_first", "_lane", "_room", "_tls", "buffer", "is_wide", "received")

    def __init__(self, room: Room, *, tls: bool) -> None:
        self._room: Final = room
        self._tls: Final = tls
        self._claim: Claim | None = None  # on the pool
        self._lane: Claim | None = None
        self._first = b""  # the first piece, which mostly is the whole body
        self._body: BytesIO | None = None  # further ones; gives away what it has collected without a copy
        # Full ones: a buffer that grows further is moved, and stands in memory twice meanwhile.
        self._blocks: list[bytes] = []
        self.buffer = room.buffer(large=False, tls=tls)
        self.is_wide = False  # it has more room than everybody has; `let_go` ends that
        self.received = 0  # bytes of the answer, all told

    @property
    def size(self) -> int:
        """Bytes of the body so far."""
        return len(self._blocks) * BIG + (len(self._first) if self._body is None else self._body.tell())

    @property
    def is_big(self) -> bool:
        """Whether a big body may be in memory."""
        return self._lane is not None

    def read(self, size: int) -> bytes:
        """Return the `size` bytes that the last read has brought, and count them."""
        self.received += size
        if self.is_wide:
            self._bring(size)
        return self.buffer[:size].tobytes()

    def add(self, piece: bytes) -> None:
        """Take in the next piece of the body."""
        if not piece:
            return
        if self._body is None:
            if not self._first and len(piece) < BIG:
                self._first = piece
                return
            self._body, self._first = BytesIO(self._first), b""
            self._body.seek(0, SEEK_END)
        space = BIG - self._body.tell()
        self._body.write(piece[:space])
        if len(piece) >= space:
            self._blocks.append(self._body.getvalue())
            self._body = BytesIO(piece[space:])
            self._body.seek(0, SEEK_END)

    def wants(self, reader: AnswerReader) -> int:
        """Return the bytes for which the answer needs room before it is read on; 0 when it has enough.

        `BIG_ROOM` is to be had in the lane.
        """
        if self._lane is not None:
            return 0
        weight, length = self.received + (_COPIES_OF_HEAD - 1) * reader.head_size, reader.length
        if self._claim is not None:
            return 0 if length is not None or weight <= BIG else BIG_ROOM
        if weight <= SMALL:
            return 0
        if length is None:
            return BIG if weight <= BIG else BIG_ROOM
        return weight + length - self.size if length <= BIG else BIG_ROOM

    def reserve(self, wanted: int, give_up: Callable[[], None]) -> bool:
        """Take the room that `wants` tells, if that is possible without waiting."""
        if wanted == BIG_ROOM:
            claim = self._lane = self._room.lane.take_now(1, give_up)
        else:
            claim = self._claim = self._room.pool.take_now(wanted, give_up)
        if self._lane is not None:
            self.leave_pool()
        self._widened()
        return claim is not None

    async def join_pool(self, wanted: int, give_up: Callable[[], None]) -> None:
        """Wait for room in the pool."""
        self._claim = await self._room.pool.take(wanted, give_up)
        self._widened()

    async def take_lane(self, give_up: Callable[[], None]) -> None:
        """Wait for the lane, which whoever reads a big body needs."""
        if self._claim is not None:
            self._claim.rest()
        self._lane = await self._room.lane.take(1, give_up)
        self.leave_pool()
        self._widened()

    async def hold_big(self) -> None:
        """Wait for the right to have a big body in memory, though none is being read."""
        if self._lane is None:
            self._lane = await self._room.lane.take(1, _nothing)  # at rest: it cannot be lost
            self._lane.rest()
            self._widened()

    def complete(self) -> bytes:
        """Return the whole body; its room is no larger than it needs, and cannot be lost any more."""
        if self._claim is not None:
            self._claim.rest()
            self._claim.give_back(keep=self.size)
        if self._lane is not None:
            self._lane.rest()
        body = self._first if self._body is None else self._body.getvalue()
        if self._blocks:
            body = b"".join((*self._blocks, body))
        self._drop()
        return body

    def leave_pool(self) -> None:
        """Say that the body takes up no room in the pool any more."""
        if self._claim is not None:
            self._claim.give_back()
            self._claim = None

    def let_go(self) -> None:
        """Say that the body is not in memory any more."""
        self._drop()
        self.leave_pool()
        if self._lane is not None:
            self._lane.give_back()
            self._lane = None
        self._widened()

    def _bring(self, size: int) -> None:
        if self._claim is not None:
            self._claim.bring(size)
        if self._lane is not None:
            self._lane.bring(size)

    def _widened(self) -> None:
        """Read as much at once as there is room for."""
        self.is_wide = self._claim is not None or self._lane is not None
        self.buffer = self._room.buffer(large=self.is_wide, tls=self._tls)

    def _drop(self) -> None:
        self._first, self._body = b"", None
        if self._blocks:
            self._blocks = []


def _nothing() -> None:
    """Do nothing."""
