r"""What may differ between two heads that mean the same.

Every answer has another length, many have a number of their own (`X-Request-Id`), and all
have another date by the next second: such heads never come again byte by byte. So a head
has a shape: all of it, byte by byte, but for two things. The length is any number in its
one plain spelling. And the values of some headers by which nobody goes, neither a parser
nor we, are any visible ASCII: no line can end, and no other header begin, among that.

A head that has no length, or spells it oddly, or has folded lines has no shape.
"""

from __future__ import annotations

import re
from typing import Final

_IDLE: Final = frozenset(
    {
        b"age",
        b"cf-ray",
        b"date",
        b"etag",
        b"expires",
        b"keep-alive",  # for how long; whether the connection stays is said by `Connection`
        b"last-modified",
        b"request-id",
        b"server-timing",
        b"set-cookie",
        b"traceparent",
        b"x-amz-cf-id",
        b"x-amzn-requestid",
        b"x-amzn-trace-id",
        b"x-correlation-id",
        b"x-ratelimit-remaining",
        b"x-ratelimit-reset",
        b"x-request-id",
        b"x-response-time",
        b"x-runtime",
        b"x-trace-id",
    }
)
"""Headers, in small letters, whose values change nothing."""

_VALUE: Final = rb"[ -~]{1,200}"
_LENGTH: Final = rb"(0|[1-9][0-9]{0,9})"
_END: Final = b"\r\n"


def shape(head: bytes) -> bytes | None:
    """Return a pattern for all heads that mean what `head` does, its only group the length; None if it has none."""
    if not head.endswith(_END + _END):
        return None
    first, *lines = head[: -2 * len(_END)].split(_END)
    pattern = _END.join((re.escape(first), *map(_shape_of_line, lines), _END))
    is_folded = any(line[:1] in (b" ", b"\t") for line in lines)
    return pattern if pattern.count(_LENGTH) == 1 and not is_folded else None


def _shape_of_line(line: bytes) -> bytes:
    name, _, value = line.partition(b": ")
    if name.lower() in _IDLE and re.fullmatch(_VALUE, value):
        return re.escape(name) + b": " + _VALUE
    if name.lower() == b"content-length" and re.fullmatch(_LENGTH, value):
        return re.escape(name) + b": " + _LENGTH
    return re.escape(line)
