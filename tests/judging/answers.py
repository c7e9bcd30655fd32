"""Answers as bytes. Pure.

Every row says which answer it is of: `description` holds the token's id, the answer's
serial number and the row's place in it. So whoever has the outputs and the journal can
prove which rows were lost, doubled or put in the wrong place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .facts import Effect
from .manners import Framing, Manner, Says


@dataclass(frozen=True, slots=True)
class Text:
    """What an answer without rows says, and what that means."""

    status: int
    error: str
    msg: str
    effect: Effect


_TEXTS: Final[Mapping[Says, Text]] = MappingProxyType(
    {
        Says.REFUSED: Text(403, "FORBIDDEN", "PLEASE VALIDATE TOKEN", Effect.REFUSED),
        Says.UNAUTHORIZED: Text(401, "UNAUTHORIZED", "PLEASE ENTER THE WOLKVOX-TOKEN", Effect.REFUSED),
        Says.BUSY: Text(403, "FORBIDDEN", "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN", Effect.BUSY),
        Says.QUOTA: Text(403, "FORBIDDEN", "TOKEN LIMIT EXCEEDED", Effect.QUOTA),
        Says.MAINTENANCE: Text(403, "FORBIDDEN", "BACKUP IN PROGRESS", Effect.MAINTENANCE),
        Says.LIMITED: Text(429, "TOO MANY REQUESTS", "SLOW DOWN", Effect.ERROR),
        Says.BROKEN: Text(500, "INTERNAL SERVER ERROR", "SOMETHING WENT WRONG", Effect.ERROR),
        Says.DOWN: Text(503, "SERVICE UNAVAILABLE", "TRY AGAIN LATER", Effect.ERROR),
    }
)
_SOUND: Final = frozenset({Framing.LENGTH, Framing.CHUNKED, Framing.UNTIL_CLOSE})


@dataclass(frozen=True, slots=True)
class Composed:
    """An answer ready to be sent."""

    data: bytes
    status: int
    effect: Effect
    rows: int


def identity(token: str, answer: int, n: int) -> str:
    """Return what a row says about itself."""
    return f"{token}:{answer}:{n}"


def compose(manner: Manner, token: str, answer: int) -> Composed:
    """Return the answer with the serial number `answer` to a request with `token` (its id)."""
    text = _TEXTS.get(manner.says)
    if text is not None:
        data = framed(text.status, _body(text.status, text.error, text.msg, []), manner)
        return Composed(data, text.status, text.effect, 0)
    count = manner.rows if manner.says is Says.ROWS else 0
    body = _body(200, None, "Information found for the current month", _rows(token, answer, count))
    effect = Effect.OK if count else Effect.EMPTY
    is_sound = manner.framing in _SOUND
    return Composed(framed(200, body, manner), 200, effect if is_sound else Effect.GARBLED, count)


def _rows(token: str, answer: int, count: int) -> list[dict[str, str]]:
    return [
        {"operation": f"OP {token}", "description": identity(token, answer, n), "items": str(n), "date": "2026-11-21"}
        for n in range(1, count + 1)
    ]


def _body(code: int, error: str | None, msg: str, data: list[dict[str, str]]) -> bytes:
    return json.dumps({"code": code, "error": error, "msg": msg, "data": data}).encode()


def framed(status: int, body: bytes, manner: Manner) -> bytes:
    """Put a head before the body, and whatever the manner puts before that."""
    lines, framed_body = _framing(body, manner.framing)
    head = "\r\n".join([f"HTTP/1.1 {status} X", "Content-Type: application/json", *lines, "", ""])
    return manner.ahead.encode("latin-1") + head.encode() + framed_body


def _framing(body: bytes, framing: Framing) -> tuple[list[str], bytes]:
    length, chunked = f"Content-Length: {len(body)}", "Transfer-Encoding: chunked"
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    framings = {
        Framing.LENGTH: ([length], body),
        Framing.CHUNKED: ([chunked], chunks),
        Framing.UNTIL_CLOSE: (["Connection: close"], body),
        Framing.TOO_SHORT: ([f"Content-Length: {len(body) - 7}"], body),
        Framing.TWO_LENGTHS: ([length, f"Content-Length: {len(body) + 1}"], body),
        Framing.LENGTH_AND_CHUNKED: ([length, chunked], chunks),
        Framing.BAD_CHUNK: ([chunked], b"zz\r\n%b\r\n" % body),
    }
    return framings[framing]
