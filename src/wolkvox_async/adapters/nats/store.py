"""The store of many machines, over NATS JetStream (2.11 or newer; batches are cheaper from 2.12 on).

    store = await NatsStore.open(NatsSettings(("nats://broker-1:4222", "nats://broker-2:4222"), replicas=3))
    ...
    await store.close()

Only what cannot go wrong silently is used: publishing with the expected last sequence, and
direct reads. There is no consumer, no watcher, no expiry. Each request has a deadline of its
own; what is under way when the connection is lost fails at once, and is not sent again. A
method that finds no connection waits for one until its deadline.

Nothing is remembered of keys and tokens, so memory does not grow with them. One event loop
uses it; a forked process has to open its own.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

from wolkvox_async.errors import StoreUnavailableError
from wolkvox_async.ports.store import Append, Appended, Conflict, Held, Message, Stored

from .appending import append, check, portions, put
from .dialling import Connection
from .lasts import last_of
from .link import Link
from .names import key_subject, name_of, token_subject
from .pages import Found, Page, read
from .replies import LOST
from .requests import NO_MESSAGE, Refused, ask
from .settings import NatsSettings
from .streams import Places, find_or_make

_LARGEST_TAIL: Final = 1_024


class NatsStore:
    """The `Store` of a broker."""

    def __init__(self, settings: NatsSettings, link: Link, places: Places) -> None:
        """Use `open`."""
        self._settings: Final = settings
        self._link: Final = link
        self._places: Final = places
        self._told = 0  # of so many losses, whoever reads keys was told
        self.notices: Final = places.notices
        """What is otherwise in the broker than it was asked for, and can be lived with."""

    @classmethod
    async def open(cls, settings: NatsSettings) -> NatsStore:
        """Connect, and make the bucket and the stream if there are none.

        Raises `StoreUnavailableError` if there is no answer in time, and `StateError` if it is
        one that will not change by waiting: the broker is too old, refuses the login, or holds
        something else under these names.
        """
        link = Link(settings)
        try:
            connection = await link.open()
            async with asyncio.timeout(settings.deadline):
                places = await find_or_make(connection, settings)
        except TimeoutError:
            failure = link.unavailable()
        except BaseException:
            await link.close()
            raise
        else:
            return cls(settings, link, places)
        await link.close()
        raise failure

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def largest(self) -> int:
        """How many bytes a message may have, as the broker said when it was connected to last."""
        return self._link.largest

    # --- keys

    async def keys(self) -> Mapping[str, Held]:
        """Return all keys; raises `StoreUnavailableError` once after every loss of the connection as well."""
        losses = self._link.losses
        if losses != self._told:
            self._told = losses
            raise StoreUnavailableError(LOST)
        try:
            found = await self._all_keys()
        finally:
            changed = self._link.losses != losses
            self._told = self._link.losses  # either way this read tells of it
        if changed:
            raise StoreUnavailableError(LOST)
        return found

    async def _all_keys(self) -> Mapping[str, Held]:
        bucket, prefix = self._places.bucket, self._places.key("")
        async with self._within() as connection:
            page = await read(connection, bucket, {"multi_last": [f"{prefix}>"]})
        if isinstance(page, Page) and page.complete:
            return _held(page.messages, len(prefix))
        keys: dict[str, Held] = {}
        async for some in last_of(self._within, bucket, f"{prefix}>"):
            keys |= _held(some, len(prefix))
        return keys

    async def cas(self, key: str, expected: int, value: bytes) -> Stored | Conflict:
        """Write a key whose revision is `expected` (0: it does not exist)."""
        subject = self._places.key(key_subject(key))
        async with self._within() as connection:
            if self._told != self._link.losses:
                raise StoreUnavailableError(LOST)  # what it rests on was read over another connection
            became = await put(connection, subject, expected, value)
            if isinstance(became, Conflict) and expected == 0:
                removed = await self._removed(connection, subject)
                became = became if removed is None else await put(connection, subject, removed, value)
        return became

    async def _removed(self, connection: Connection, subject: str) -> int | None:
        """Return the revision of what stands for a key that somebody removed with another tool."""
        page = await read(connection, self._places.bucket, {"multi_last": [subject]})
        removed = [found for found in page.messages if found.operation] if isinstance(page, Page) else []
        return removed[0].sequence if removed else None

    # --- the stream

    async def load(self, partition: int) -> AsyncIterator[Message]:
        """Yield the last message of each token of a partition, no older than they were when this was called."""
        prefix = self._places.prefix
        async for found in last_of(self._within, prefix, f"{prefix}.{partition}.*"):
            for message in found:
                yield _message(message.sequence, message.subject, message.payload)

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        """Append messages; what became of each stands at its place.

        Raises `StateError`, and sends nothing, if one is larger than the broker takes.
        """
        became: list[Appended] = []
        for portion in portions(appends) if appends else ():
            async with self._within() as connection:
                check(appends, connection.largest)
                became += await append(connection, self._places, portion)
        return became

    async def last(self, partition: int, token: str) -> Message | None:
        """Return the last message of a token, from the leader."""
        prefix = self._places.prefix
        subject = f"{prefix}.{partition}.{token_subject(token)}"
        async with self._within() as connection:
            answer = await ask(connection, f"STREAM.MSG.GET.{prefix}", {"last_by_subj": subject})
        if not isinstance(answer, Refused):
            return _told(answer["message"])
        if answer.number == NO_MESSAGE:
            return None
        raise answer.error()

    async def tail(self, after: int, most: int) -> Sequence[Message]:
        """Return the messages behind the sequence `after`, at most so many, and at most 1,024."""
        wanted = {"seq": after + 1, "batch": min(most, _LARGEST_TAIL)}
        async with self._within() as connection:
            page = await read(connection, self._places.prefix, wanted)
        found = page.messages if isinstance(page, Page) else ()
        return [_message(message.sequence, message.subject, message.payload) for message in found]

    async def close(self) -> None:
        """Let go of it."""
        await self._link.close()

    @asynccontextmanager
    async def _within(self) -> AsyncIterator[Connection]:
        """Give the connection, for as long as a deadline lasts."""
        try:
            async with asyncio.timeout(self._settings.deadline):
                yield await self._link.connection()
        except TimeoutError:
            failure = self._link.unavailable()
        else:
            return
        raise failure


def _held(found: Sequence[Found], skipped: int) -> dict[str, Held]:
    kept = (message for message in found if not message.operation)
    return {name_of(message.subject[skipped:]): Held(message.sequence, message.payload) for message in kept}


def _told(message: Mapping[str, Any]) -> Message:
    try:
        payload = base64.b64decode(message.get("data") or "", validate=True)
        return _message(message["seq"], message["subject"], payload)
    except (binascii.Error, KeyError, TypeError):
        failure = StoreUnavailableError("the broker gave an answer that is none of JetStream's")
    raise failure


def _message(sequence: int, subject: str, payload: bytes) -> Message:
    _, partition, token = subject.split(".")
    return Message(sequence, int(partition), name_of(token), payload)
