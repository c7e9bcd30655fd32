"""Reading many messages with one request (batch direct get), without a consumer.

    {"multi_last": [subject, ...]}    the last message of each subject, at most 1,024 of them
    {"seq": 17, "batch": 100}         the messages from a sequence on

What comes is each message with its place in headers, and an end ("204 EOB"). Every message
tells which one stood before it in the answer, so one that is missing is missed.

Any copy of a stream may answer, and be a little behind. Who must not be told old things says
how far a copy has to be (`LastOf.at_least`), and asks again until one is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from wolkvox_async.errors import StoreUnavailableError

from .dialling import Connection
from .outbox import Outgoing
from .replies import Reply, fail, resolve

MOST_SUBJECTS: Final = 1_024
"""How many subjects a server answers for at once."""

MOST_BYTES: Final = 4_194_304
"""How much a page may have, its last message not counted."""

_END, _NONE, _TOO_MANY = "204", "404", "413"
_NO_HEADERS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Found:
    """A message of a stream."""

    sequence: int
    subject: str
    payload: bytes
    operation: str  # of a bucket: "DEL" or "PURGE" where somebody removed the key


@dataclass(frozen=True, slots=True)
class Page:
    """Messages in the order of their sequence, and how far their copy of the stream is (0 if it does not say)."""

    messages: Sequence[Found]
    up_to: int = 0
    complete: bool = True


class TooMany:
    """There are more subjects than are answered for at once."""


class _Reading:
    """Waits for the end of a page."""

    def __init__(self) -> None:
        self.replies: Final[list[Reply]] = []
        self.done: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()

    def take(self, reply: Reply) -> None:
        self.replies.append(reply)
        if reply.status:
            resolve(self.done)

    def lose(self) -> None:
        fail(self.done)


async def read(connection: Connection, stream: str, wanted: Mapping[str, object]) -> Page | TooMany:
    """Return a page; raises `StoreUnavailableError`, and waits for as long as nothing comes."""
    reading = _Reading()
    body = orjson.dumps({**wanted, "max_bytes": MOST_BYTES})
    with connection.replies.to(reading) as subject:
        await connection.outbox.publish([Outgoing(f"$JS.API.DIRECT.GET.{stream}", subject, _NO_HEADERS, body)])
        await reading.done
    return _page(reading.replies)


def _page(replies: Sequence[Reply]) -> Page | TooMany:
    *messages, end = replies
    if end.status == _NONE and not messages:
        return Page(())
    if end.status == _TOO_MANY:
        return TooMany()
    if end.status != _END:
        raise StoreUnavailableError(f"the broker did not finish an answer (status {end.status})")
    found: list[Found] = []
    before = 0
    for reply in messages:
        _check(reply, before)
        found.append(_found(reply))
        before = found[-1].sequence
    _check(end, before)
    return Page(found, _number(end, "Nats-UpTo-Sequence"), _number(end, "Nats-Num-Pending") == 0)


def _check(reply: Reply, before: int) -> None:
    if _number(reply, "Nats-Last-Sequence") != before:
        raise StoreUnavailableError("a part of an answer of the broker was lost")


def _found(reply: Reply) -> Found:
    headers = reply.headers
    subject = headers.get("Nats-Subject", "")
    return Found(_number(reply, "Nats-Sequence"), subject, reply.data, headers.get("KV-Operation", ""))


def _number(reply: Reply, name: str) -> int:
    said = reply.headers.get(name, "0")
    if not said.isdecimal():
        raise StoreUnavailableError("the broker gave an answer that is none of JetStream's")
    return int(said)
