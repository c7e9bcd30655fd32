"""Heads of answers that are known by heart, and what an answer read whole is.

A server answers with the same head over and over, but for what `shapes` tells. One that
was read before, by a parser and completely, means the same when it comes again: an answer
that is a known head and exactly as many bytes as that tells is whole, and no parser has to
look at it, which costs ten times as much. Only ordinary heads are remembered: a length,
nothing that closes the connection, nothing but a status and perhaps an encoding to be told,
and not long. Everything else is read by `framing` each time.

The pattern of a shape is made when the shape comes for the second time: making one costs
what the parser costs for a dozen answers. There is room for `_MOST` and no more, so that a
server with ever new heads costs little more than it would without any of this.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from wolkvox_async.model import Breakdown

from .bodies import is_plain
from .framing import AnswerReader
from .shapes import shape

_MOST: Final = 16
_BODILESS: Final = frozenset({204, 304})


class Head(NamedTuple):
    """Of the headers of an answer, those that matter."""

    status: int
    encoding: str
    retry_after: str | None
    location: str | None
    is_plain: bool  # nothing is told but the status


_NONE: Final = b"\r\n\r\n"  # no answer begins like this
_NO_HEAD: Final = Head(0, "", None, None, is_plain=False)

RawAnswer: TypeAlias = tuple[Head, bytes]
"""An answer as it came over the wire, read whole; made so often that it is no class."""


@dataclass(frozen=True, slots=True)
class Grown:
    """The answer outgrew its room: reading is paused until it gets more; see `Wire.go_on`."""


Met: TypeAlias = RawAnswer | Breakdown | Grown


class KnownHeads:
    """The shapes of ordinary heads that came first, and the head that came last, for a transport's connections."""

    __slots__ = ("_known", "_last", "_noted")

    def __init__(self) -> None:
        self._last = _NONE, 0, _NO_HEAD  # with the size of head and body
        self._known: Final[dict[bytes, tuple[re.Pattern[bytes], Head]]] = {}  # by shape
        self._noted: Final[deque[bytes]] = deque(maxlen=_MOST)  # shapes that came once

    def __len__(self) -> int:
        return len(self._known)

    def find(self, data: bytes) -> RawAnswer | None:
        """Return head and body when `data` is nothing but a known head and all of its body."""
        begin, size, head = self._last
        if data.startswith(begin):
            return (head, data[len(begin) :]) if len(data) == size else None
        for pattern, head in self._known.values():
            met = pattern.match(data)
            if met is not None:
                end = met.end()
                if end + int(met[1]) != len(data):
                    return None
                self._last = data[:end], len(data), head
                return head, data[end:]
        return None

    def learn(self, reader: AnswerReader, head: Head) -> None:
        """Remember the head of an answer that was read whole, if it is an ordinary one."""
        message, begin = reader.message, reader.begin
        if message is None or reader.is_last or reader.length is None or not begin:
            return
        if message.chunked or message.code in _BODILESS:
            return
        if head.retry_after is None and head.location is None:
            self._last = begin, len(begin) + reader.length, head
            if len(self._known) < _MOST and not any(known.match(begin) for known, _ in self._known.values()):
                self._learn_shape(begin, head)

    def _learn_shape(self, begin: bytes, head: Head) -> None:
        found = shape(begin)
        if found is None:
            return
        if found not in self._noted:
            self._noted.append(found)
        elif found not in self._known:  # where it is, a value was longer than a shape lets it be
            self._known[found] = re.compile(found), head


def head_of(reader: AnswerReader) -> Head:
    """Return what matters of an answer's head; it must be there."""
    message = reader.message
    if message is None:
        raise AssertionError("a complete answer has a head")
    headers = message.headers
    encoding = ", ".join(headers.getall("Content-Encoding", ()))
    pause, location = headers.get("Retry-After"), headers.get("Location")
    return Head(message.code, encoding, pause, location, is_plain(encoding) and pause is None and location is None)
