"""Where an answer begins and ends, and whether anything came that is no part of it.

`HttpResponseParser` of aiohttp (llhttp) reads heads and chunks; it does not say where in
the bytes an answer ended. So the ends are found here: a head ends at its first blank
line, a body with a length is handed to the parser up to that length and no further, a
chunked one is only trusted to have ended exactly when the plain last chunk is the last
thing that came.

`surplus` errs on the side of caution: where the end of an answer cannot be told from
what follows, the connection must not be used again.
"""

from __future__ import annotations

import re
from typing import Any, Final

from .parts import HttpProcessingError, HttpResponseParser, RawResponseMessage

MAX_HEAD: Final = 65_536
"""Bytes that may come before the body: interim answers and the head."""

_BLANK_LINE: Final = re.compile(rb"\n\r?\n")
_LAST_CHUNK: Final = b"\r\n0\r\n\r\n"
_LONGEST_LENGTH: Final = 20
_SHORT_HEAD: Final = 1_024  # bytes


class FramingError(Exception):
    """The peer does not speak HTTP as agreed; the text is ours and holds nothing of the answer."""


class AnswerReader:
    """Reads exactly one answer, and knows whether bytes came that do not belong to it."""

    __slots__ = (
        "_before",
        "_head",
        "_left",
        "_payload",
        "_tail",
        "begin",
        "complete",
        "head_size",
        "length",
        "message",
        "surplus",
    )

    def __init__(self) -> None:
        self.message: RawResponseMessage | None = None
        self.complete = False
        self.surplus = False
        self.begin = b""  # the head as it came, once it is whole, unless it is long
        self.head_size = 0  # bytes of it
        self.length: int | None = None  # of the body, where the head tells it
        self._before = 0  # bytes of what came before the head
        self._head = b""  # what there is of the head
        self._left: int | None = None  # bytes of the body still to come, where that is known
        self._payload: Any = None
        self._tail = _LAST_CHUNK[:2]  # the last bytes that came of a chunked body, or of the head

    @property
    def is_last(self) -> bool:
        """Whether nothing can follow on this connection."""
        return self.surplus or self.message is None or self.message.should_close

    def feed(self, parser: HttpResponseParser, data: bytes) -> bytes:
        """Take in `data` and return what it holds of the body; raises `FramingError`."""
        if self.message is None:
            data = self._behind_the_head(parser, data)
        return b"" if self.message is None else self._of_the_body(parser, data)

    def feed_eof(self) -> None:
        """Take in the end of the stream, which completes an answer that tells no length."""
        message = self.message
        if message is not None and not message.chunked and self._left is None:
            self.complete = True

    def _behind_the_head(self, parser: HttpResponseParser, data: bytes) -> bytes:
        begin = max(0, len(self._head) - 2)  # a blank line may come in two pieces
        rest = self._head + data
        while self.message is None:
            end = self._end_of_head(rest, begin)
            if end is None:
                self._head = rest
                return b""
            self._take_head(parser, rest[:end])
            rest, begin = rest[end:], 0
        self._head = b""
        return rest

    def _end_of_head(self, rest: bytes, begin: int) -> int | None:
        if rest[:1] in (b"\r", b"\n"):
            raise FramingError("its answer begins with a blank line")
        blank = _BLANK_LINE.search(rest, begin)
        if self._before + (len(rest) if blank is None else blank.end()) > MAX_HEAD:
            raise FramingError(f"its answer's head is longer than {MAX_HEAD} bytes")
        return None if blank is None else blank.end()

    def _take_head(self, parser: HttpResponseParser, head: bytes) -> None:
        messages = _parse(parser, head)
        if len(messages) != 1:
            raise FramingError("a body follows its interim answer")
        message, payload = messages[0]
        if message.code == 101:
            raise FramingError("it switches to another protocol")
        if message.code < 200:
            self._before += len(head)
            self.surplus = True  # nobody asked for an interim answer
            return
        self.message, self._payload, self.head_size = message, payload, len(head)
        self.begin = head if len(head) <= _SHORT_HEAD else b""
        self.length = self._left = _told_length(message)

    def _of_the_body(self, parser: HttpResponseParser, data: bytes) -> bytes:
        payload = self._payload
        if not payload.is_eof():
            data = self._hand_over(parser, data)
        if payload.is_eof():
            self.complete = True
            self.surplus |= bool(data) or not self._ended_exactly()
        body: bytes = payload.read_nowait()
        return body

    def _hand_over(self, parser: HttpResponseParser, data: bytes) -> bytes:
        """Let the parser have what may belong to the body, and return what does not."""
        mine = data if self._left is None else data[: self._left]
        if self._left is not None:
            self._left -= len(mine)
        self._tail = mine[-7:] if len(mine) >= 7 else (self._tail + mine)[-7:]
        try:
            follows: Any = _parse(parser, mine)
        except FramingError:
            if not self._payload.is_eof():
                raise
            follows = True
        self.surplus |= bool(follows)
        return data[len(mine) :]

    def _ended_exactly(self) -> bool:
        if self._left is not None:
            return self._left == 0
        return self.message is None or not self.message.chunked or self._tail == _LAST_CHUNK


def _parse(parser: HttpResponseParser, data: bytes) -> Any:
    try:
        messages, _, _ = parser.feed_data(data)
    except (HttpProcessingError, ValueError) as error:
        kind = type(error).__name__
    else:
        return messages
    raise FramingError(f"its answer cannot be read ({kind})")


def _told_length(message: RawResponseMessage) -> int | None:
    told = message.headers.getall("Content-Length", ())
    if not told:
        return None
    if len(told) > 1 or len(told[0]) > _LONGEST_LENGTH:  # the parser lets any number of zeros stand in front
        raise FramingError("its length is no sensible number")
    return int(told[0])
