"""How an answer goes over the wire: a reply in, steps out. Pure.

A step is what the connection does next: write bytes, wait some seconds, or one of
`Mark`. `Mark.FREE` stands just before the last write of a whole answer: from there on
the vendor is done with the call and its token is free. Steps that end without it leave
the client waiting. Pieces are made when they are asked for, so an endless answer costs
no memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final, TypeAlias, assert_never

from .answers import Reply
from .codings import bomb
from .faults import Bomb, Cut, Drip, Ending, Endless, Huge, Raw, Silence, Unasked, Whole


class Mark(Enum):
    """A step that is neither bytes nor a pause."""

    FREE = "free"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Afterwards:
    """Write `extra` in `seconds`, whatever the connection is doing by then."""

    seconds: float
    extra: bytes


Step: TypeAlias = bytes | float | Mark | Afterwards

_REASONS: Final = {status.value: status.phrase.encode() for status in HTTPStatus}
_USUAL: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_PIECE: Final = 65_536
_ENDINGS: Final = {Ending.KEEP: (), Ending.CLOSE: (Mark.CLOSE,), Ending.RESET: (0.01, Mark.RESET)}
"""A reset waits a moment: it would overtake the bytes before it."""


def whole_answer(reply: Reply, *, close: bool = False) -> bytes:
    """Return head and body of a well-formed answer."""
    if reply.status == 200 and not reply.headers and not close:
        return _USUAL % (len(reply.body), reply.body)
    return head(reply, f"Content-Length: {len(reply.body)}", close=close) + reply.body


def head(reply: Reply, framing: str, *, close: bool = False) -> bytes:
    """Return the head of `reply`, whose length the header line `framing` tells."""
    named = {name.lower() for name, _ in reply.headers}
    lines = [f"{name}: {value}" for name, value in reply.headers]
    if "content-type" not in named:
        lines.append(f"Content-Type: {'text/html' if reply.body[:1] == b'<' else 'application/json'}")
    lines.append(framing)
    if close:
        lines.append("Connection: close")
    first = b"HTTP/1.1 %d %b\r\n" % (reply.status, _REASONS.get(reply.status, b"Unknown"))
    return first + "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def steps(reply: Reply, *, close: bool = False) -> Iterator[Step]:
    """Yield what the connection does to deliver `reply`."""
    match reply.wire:
        case Whole(ending=ending):
            yield Mark.FREE
            yield whole_answer(reply, close=close)
            yield from _ENDINGS[Ending.CLOSE if close else ending]
        case Silence():
            return
        case Drip() as drip:
            yield from _drip(reply, drip)
        case Endless() as endless:
            yield from _endless(reply, endless)
        case Cut() as cut:
            yield from _cut(whole_answer(reply), cut)
        case Raw() as raw:
            yield from _raw(raw)
        case Unasked() as unasked:
            yield from _unasked(whole_answer(reply), unasked)
        case Huge(size=size):
            yield from _huge(reply, size)
        case Bomb(coding=coding, size=size):
            yield from _bomb(reply, bomb(coding, size), coding)
        case _ as never:
            assert_never(never)


def _drip(reply: Reply, drip: Drip) -> Iterator[Step]:
    answer = whole_answer(reply)
    at_once = 0 if drip.part == "head" else len(answer) - len(reply.body)
    if at_once:
        yield answer[:at_once]
    pieces = [answer[n : n + drip.size] for n in range(at_once, len(answer), drip.size)]
    for piece in pieces[:-1]:
        yield drip.every
        yield piece
    yield drip.every
    yield Mark.FREE
    yield pieces[-1] if pieces else b""


def _endless(reply: Reply, endless: Endless) -> Iterator[Step]:
    body = endless.part == "body"
    whole = head(reply, "Transfer-Encoding: chunked")
    yield whole if body else whole.removesuffix(b"\r\n")
    many = 1 if endless.every else 500
    line = b"40\r\n" + b" " * 64 + b"\r\n" if body else b"X-More: and more\r\n"
    for _ in itertools.repeat(None):
        if endless.every:
            yield endless.every
        yield line * many


def _cut(answer: bytes, cut: Cut) -> Iterator[Step]:
    kept = cut.after if isinstance(cut.after, int) else int(len(answer) * cut.after)
    if kept:
        yield answer[:kept]
    yield from _ENDINGS[cut.ending]


def _raw(raw: Raw) -> Iterator[Step]:
    if raw.whole:
        yield Mark.FREE
    yield raw.answer
    yield from _ENDINGS[raw.ending]


def _unasked(answer: bytes, unasked: Unasked) -> Iterator[Step]:
    yield Mark.FREE
    if unasked.after:
        yield answer
        yield Afterwards(unasked.after, unasked.extra)
    else:
        yield answer + unasked.extra


def _huge(reply: Reply, size: int) -> Iterator[Step]:
    opening, row, closing = b'{"code":200,"error":null,"msg":"","data":[{}', b',{"items":"1"}', b"]}"
    piece = row * (_PIECE // len(row))
    pieces = -(-size // len(piece))
    yield head(reply, f"Content-Length: {len(opening) + pieces * len(piece) + len(closing)}") + opening
    for _ in range(pieces):
        yield piece
    yield Mark.FREE
    yield closing


def _bomb(reply: Reply, packed: Iterator[bytes], coding: str) -> Iterator[Step]:
    yield head(reply, f"Content-Encoding: {coding}\r\nTransfer-Encoding: chunked")
    for piece in packed:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield Mark.FREE
    yield b"0\r\n\r\n"
