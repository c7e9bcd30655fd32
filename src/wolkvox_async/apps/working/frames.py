"""What a parent and a worker say to each other: frames through a pair of sockets.

A frame is a head (JSON, an array that begins with what it is) and a tail of bytes. It is used
whole or not at all: what a killed worker left in the middle is dropped.

    to the parent   lines [share, counts, marks, skipped] + lines     calls that ended
                    ended [share, stopped]                            nothing more of a share will come
                    seen [in flight, held back, {kind: waiting}]      for the progress display
                    broken [message]                                  the state cannot be used
    to a worker     share [number, run, at, limits, size] + places,   call the calls of these operations,
                    and the tails of the calls that have ended        but for those
                    written [share], settled [share]                  what became of a frame of lines
                    stop, abandon, quit, end                          drain, give up, leave, be done

Nothing rich travels, and no token: operations are named by their place in a list that both have.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeAlias

import orjson

from wolkvox_async.marks import Mark, tail

Head: TypeAlias = list[Any]

TAIL: Final = 16
"""Characters of a call's id that tell it from the others of its run."""

_SIZES: Final = struct.Struct("<II")


class Post(Protocol):
    """Sends frames; what cannot be sent any more is dropped."""

    def __call__(self, *head: Any, tail: bytes = b"") -> None:
        """Send a frame."""


def framed(head: Sequence[Any], tail: bytes = b"") -> list[bytes]:
    """Return a frame as buffers."""
    text = orjson.dumps(head)
    return [_SIZES.pack(len(text), len(tail)) + text, tail] if tail else [_SIZES.pack(len(text), 0) + text]


async def read_frame(reader: asyncio.StreamReader) -> tuple[Head, bytes] | None:
    """Return the next frame; None when the other side is gone, be it in the middle of one."""
    try:
        head, tail = _SIZES.unpack(await reader.readexactly(_SIZES.size))
        text = await reader.readexactly(head)
        return orjson.loads(text), await reader.readexactly(tail) if tail else b""
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def packed(mark: Mark) -> tuple[Any, ...]:
    """Return a mark without its run, as what JSON knows."""
    return (
        tail(mark.call),
        mark.tenant,
        mark.operation,
        mark.server,
        mark.token,
        mark.question,
        mark.outcome,
        mark.kind,
        mark.message,
        mark.rows,
        mark.attempts,
        mark.at,
        mark.sent,
        mark.due,
    )


def unpacked(run: str, packs: Sequence[Sequence[Any]]) -> list[Mark]:
    """Return the marks that were packed."""
    time = run[:-TAIL]  # every call's id begins with its run's time
    return [Mark(run, time + end, *rest) for end, *rest in packs]


def split_tails(tails: bytes | bytearray) -> frozenset[str]:
    """Return the tails that stand in `tails`, one behind the other."""
    text = tails.decode("ascii")
    return frozenset(text[start : start + TAIL] for start in range(0, len(text), TAIL))
