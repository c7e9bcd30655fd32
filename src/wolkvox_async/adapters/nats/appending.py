"""Messages into the stream, each only if the last one of its token is the expected one.

- Where the broker can (2.12 and newer), a large batch is one write: the broker collects what has
  the same batch id, and at the last one writes all or nothing, and answers once. For few messages
  that costs it more than one write for each; `Places.batch_from` says how many are enough.
- If that wrote nothing (a conflict, no room), or the broker cannot, messages go one after the
  other without waiting, and each is answered for.

So what conflicts costs its neighbours a second try, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from wolkvox_async.errors import StateError, StoreUnavailableError
from wolkvox_async.ports.store import Append, Appended, Conflict, Full, Stored

from .dialling import Connection
from .names import token_subject
from .outbox import Outgoing
from .replies import Gathering
from .requests import CONFLICTS, FULL, Refused, exchange, understood
from .streams import Places

MOST: Final = 500
"""Messages of a batch; servers take 1,000."""

MOST_BYTES: Final = 4_194_304
"""Bytes of a batch that has more than one message."""

EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"

_HEAD: Final = 300
"""More bytes than a head ever has."""


def portions(appends: Sequence[Append]) -> list[Sequence[Append]]:
    """Return `appends` in pieces that are sent one after the other."""
    pieces: list[Sequence[Append]] = []
    start = size = 0
    for position, append in enumerate(appends):
        size += len(append.payload)
        if position > start and (position - start >= MOST or size > MOST_BYTES):
            pieces.append(appends[start:position])
            start, size = position, len(append.payload)
    pieces.append(appends[start:])
    return pieces


def check(appends: Sequence[Append], largest: int) -> None:
    """Raise `StateError` if a message is larger than the broker takes."""
    size = max(len(append.payload) for append in appends)
    if size + _HEAD > largest:
        raise StateError(
            f"a message of {size} bytes is more than the broker takes: set its max_payload to {size + _HEAD} or more"
        )


async def append(connection: Connection, places: Places, appends: Sequence[Append]) -> Sequence[Appended]:
    """Append a portion; raises `StoreUnavailableError`."""
    if places.batch_from is not None and len(appends) >= places.batch_from:
        first = await _at_once(connection, places, appends)
        if first is not None:
            return [Stored(first + position) for position in range(len(appends))]
    return await _one_by_one(connection, places, appends)


async def _at_once(connection: Connection, places: Places, appends: Sequence[Append]) -> int | None:
    """Return the sequence of the first message if all were written, None if none was."""
    gathering = Gathering()
    with connection.replies.to(gathering) as subject:
        await connection.outbox.publish(_batch(places.prefix, subject, appends))
        answer = understood((await gathering.all())[0])
    if isinstance(answer, Refused):
        return None
    sequence, count = _counted(answer)
    if count != len(appends):
        raise StoreUnavailableError("the broker gave an answer that is none of a batch's")
    return sequence - count + 1


def _batch(prefix: str, reply: str, appends: Sequence[Append]) -> list[Outgoing]:
    # The subject of the reply occurs once, and is short enough for the name of a batch.
    last = len(appends)
    return [
        Outgoing(
            f"{prefix}.{append.partition}.{token_subject(append.token)}",
            reply if position == last else "",
            {EXPECTED: str(append.expected), "Nats-Batch-Id": reply, "Nats-Batch-Sequence": str(position)}
            | ({"Nats-Batch-Commit": "1"} if position == last else {}),
            append.payload,
        )
        for position, append in enumerate(appends, 1)
    ]


def _counted(answer: dict[str, Any]) -> tuple[int, int]:
    sequence, count = answer.get("seq"), answer.get("count")
    return (sequence, count) if isinstance(sequence, int) and isinstance(count, int) else (0, 0)


async def _one_by_one(connection: Connection, places: Places, appends: Sequence[Append]) -> Sequence[Appended]:
    gathering = Gathering(len(appends))
    with connection.replies.to(gathering) as subject:
        await connection.outbox.publish(
            [
                Outgoing(
                    f"{places.prefix}.{append.partition}.{token_subject(append.token)}",
                    f"{subject}.{position}",
                    {EXPECTED: str(append.expected)},
                    append.payload,
                )
                for position, append in enumerate(appends)
            ]
        )
        replies = await gathering.all()
    came = {reply.rest: reply for reply in replies}
    return [_became(understood(came[str(position)])) for position in range(len(appends))]


async def put(connection: Connection, subject: str, expected: int, value: bytes) -> Stored | Conflict:
    """Write the last message of a subject; raises `StoreUnavailableError`, also when there is no room."""
    reply = await exchange(connection, Outgoing(subject, "", {EXPECTED: str(expected)}, value))
    answer = understood(reply)
    became = _became(answer)
    if isinstance(became, Full) and isinstance(answer, Refused):
        raise answer.error()
    assert not isinstance(became, Full)  # noqa: S101 - only what is refused is
    return became


def _became(answer: dict[str, Any] | Refused) -> Appended:
    match answer:
        case Refused(number=number) if number in CONFLICTS:
            return Conflict()
        case Refused(number=number) if number in FULL:
            return Full()
        case Refused():
            raise answer.error()
        case {"seq": int(sequence)}:
            return Stored(sequence)
        case _:
            raise StoreUnavailableError("the broker gave an answer that is none of a stream's")
