"""What is taken from the head of an answer, and heads that are known already.

Servers send the same head again and again, but for the time in it, to the second. One
that was read before, by a parser and completely, means the same when it comes again byte
by byte: an answer that is a known head and exactly as many bytes as that tells is whole,
and no parser has to look at it. Only ordinary heads are remembered: a length, nothing
that closes the connection, nothing but a status and perhaps an encoding to be told, and
not long. Everything else is read by `framing` each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from wolkvox_async.model import Breakdown

from .bodies import is_plain
from .framing import AnswerReader

_MOST: Final = 64
_BODILESS: Final = frozenset({204, 304})


class Head(NamedTuple):
    """Of the headers of an answer, those that matter."""

    status: int
    encoding: str
    retry_after: str | None
    location: str | None
    is_plain: bool  # nothing is told but the status


class RawAnswer(NamedTuple):
    """An answer as it came over the wire, read whole; `sent_at` is when the last request byte left."""

    head: Head
    body: bytes
    kept: bool  # the connection had answered before
    sent_at: float  # monotonic seconds


@dataclass(frozen=True, slots=True)
class Grown:
    """The answer outgrew its room: reading is paused until it gets more; see `Wire.go_on`."""


Met: TypeAlias = RawAnswer | Breakdown | Grown


class KnownHeads:
    """The ordinary heads that came last, at most `_MOST`, for all connections of a transport."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: Final[dict[bytes, tuple[Head, int]]] = {}  # with the size of head and body

    def __len__(self) -> int:
        return len(self._known)

    def find(self, data: bytes) -> tuple[Head, bytes] | None:
        """Return head and body when `data` is nothing but a known head and all of its body."""
        end = data.find(b"\r\n\r\n") + 4
        known = self._known.get(data[:end])
        return (known[0], data[end:]) if known is not None and known[1] == len(data) else None

    def learn(self, reader: AnswerReader, head: Head) -> None:
        """Remember the head of an answer that was read whole, if it is an ordinary one."""
        message, begin = reader.message, reader.begin
        if message is None or reader.is_last or reader.length is None or not begin:
            return
        if message.chunked or message.code in _BODILESS:
            return
        if head.retry_after is None and head.location is None:
            if len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            self._known[begin] = head, len(begin) + reader.length


def head_of(reader: AnswerReader) -> Head:
    """Return what matters of an answer's head; it must be there."""
    message = reader.message
    if message is None:
        raise AssertionError("a complete answer has a head")
    headers = message.headers
    encoding = ", ".join(headers.getall("Content-Encoding", ()))
    pause, location = headers.get("Retry-After"), headers.get("Location")
    return Head(message.code, encoding, pause, location, is_plain(encoding) and pause is None and location is None)
