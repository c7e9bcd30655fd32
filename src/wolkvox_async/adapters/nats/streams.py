"""What is in the broker: a bucket for keys, which `nats kv` can read, and a stream for messages.

    KV_<prefix>   $KV.<prefix>.<key>              the last value of each key
    <prefix>      <prefix>.<partition>.<token>    every message; a full one refuses (discard: new)

Both are made at first use. What is found there is used if it keeps what is promised: a stream
that drops old messages, or lets them age, would forget what is known of tokens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wolkvox_async.errors import StateError, StoreUnavailableError

from .dialling import ATOMIC_SINCE, Connection
from .requests import NO_STREAM, Refused, ask
from .settings import NatsSettings

_AGAIN: Final = 0.05
"""Seconds until a broker that has just been started is asked again."""

_RACED: Final = 10058  # somebody else has just made it, and it will be looked at
_ALONE: Final = 10074  # several copies are asked of a broker that is no cluster
_UNLIMITED: Final = -1
_FOR_RECORDS: Final = 0.9  # of the room that there is
_BATCH_ON_DISK: Final = 32
_BATCH_IN_MEMORY: Final = 8

_PATIENCE: Final = 1.0
"""Seconds for one answer: a cluster that has no leader yet gives none, and forgets the question."""

_LEADERLESS: Final = Refused(0, 503, "its cluster has no leader yet")

# What has to be as it is made, whoever made it.
_KEPT: Final = {"retention": "limits", "discard": "new", "max_msgs": _UNLIMITED, "max_age": 0, "allow_direct": True}


@dataclass(frozen=True, slots=True)
class Places:
    """Where things stand, and what the broker can do with them."""

    prefix: str
    batch_from: int | None  # so many messages make one write cheaper than one for each; None: it knows no batches
    notices: tuple[str, ...]

    @property
    def bucket(self) -> str:
        """Return the stream of the bucket."""
        return f"KV_{self.prefix}"

    def key(self, spelled: str) -> str:
        """Return the subject of a key."""
        return f"$KV.{self.prefix}.{spelled}"


async def find_or_make(connection: Connection, settings: NatsSettings) -> Places:
    """Return the bucket and the stream, which are made if need be.

    To be called under a deadline: a broker that has just been started is waited for.
    Raises `StateError` where waiting does not help.
    """
    atomic = connection.version >= ATOMIC_SINCE
    makes = settings.makes
    bucket = await _stream(connection, f"KV_{settings.prefix}", _bucket(settings), makes=makes)
    most = (settings.most_bytes or await _room(connection, settings)) if makes else None
    records = await _stream(connection, settings.prefix, _records(settings, most, atomic=atomic), makes=makes)
    if not makes:
        return Places(settings.prefix, _batch_from(records), ())
    told = [*_notices("bucket", bucket, settings), *_notices("stream", records, settings)]
    return Places(settings.prefix, _batch_from(records), tuple(told))


async def _room(connection: Connection, settings: NatsSettings) -> int | None:
    """Return how many bytes records may take: where they took all that there is, no lease could be kept."""
    answer = await _asked(connection, "INFO", {})
    limits = {} if isinstance(answer, Refused) else answer.get("limits", {})
    most = limits.get("max_storage", _UNLIMITED)
    return int(most * _FOR_RECORDS) // settings.replicas if most > 0 else None


def _batch_from(records: Mapping[str, object]) -> int | None:
    if not records.get("allow_atomic"):
        return None
    # Of one copy a broker collects a batch on disk, which takes it 2 ms.
    return _BATCH_ON_DISK if records.get("num_replicas") == 1 else _BATCH_IN_MEMORY


def _bucket(settings: NatsSettings) -> dict[str, object]:
    return _KEPT | {
        "subjects": [f"$KV.{settings.prefix}.>"],
        "max_msgs_per_subject": 1,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "num_replicas": settings.replicas,
        "storage": "file",
    }


def _records(settings: NatsSettings, most: int | None, *, atomic: bool) -> dict[str, object]:
    return _KEPT | {
        "subjects": [f"{settings.prefix}.*.*"],
        "max_msgs_per_subject": _UNLIMITED,
        "max_bytes": most or _UNLIMITED,
        "deny_delete": True,
        "duplicate_window": 100_000_000,  # 0.1 s, the least: nothing here has a message id
        "num_replicas": settings.replicas,
        "storage": "file",
        **({"allow_atomic": True} if atomic else {}),
    }


async def _stream(connection: Connection, name: str, wanted: Mapping[str, object], *, makes: bool) -> dict[str, Any]:
    """Return the configuration of a stream, which is made if there is none, or waited for."""
    while True:
        answer = await _asked(connection, f"STREAM.INFO.{name}", {})
        if isinstance(answer, Refused) and answer.number == NO_STREAM:
            if not makes:
                raise StoreUnavailableError("no machine has joined this broker yet: there is nothing in it")
            answer = await _asked(connection, f"STREAM.CREATE.{name}", {"name": name, **wanted})
        if not isinstance(answer, Refused):
            found: dict[str, Any] = answer["config"]
            _check(name, found, wanted)
            return found
        if answer.number != _RACED and (answer.number == _ALONE or not answer.is_passing):
            raise StateError(f"the broker does not make the stream {name}: {answer.text} ({answer.number})")
        connection.heard = answer.text
        await asyncio.sleep(_AGAIN)


async def _asked(connection: Connection, request: str, body: Mapping[str, object]) -> dict[str, Any] | Refused:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await ask(connection, request, body)
    except TimeoutError:
        return _LEADERLESS


def _check(name: str, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    for option in (*_KEPT, "subjects", "max_msgs_per_subject"):
        if found.get(option, False) != wanted[option] and not (option == "max_age" and not found.get(option)):
            raise StateError(
                f"the stream {name} in the broker was made otherwise ({option} is {found.get(option)!r}): "
                "choose another prefix, or remove it if nothing in it is needed"
            )


def _notices(what: str, found: Mapping[str, object], settings: NatsSettings) -> Iterator[str]:
    if (replicas := found.get("num_replicas")) != settings.replicas:
        yield f"the {what} {settings.prefix} in the broker has {replicas} copies, not {settings.replicas}"
