"""What comes back, for everything that was asked over one connection: one subscription for all of it.

    <inbox>.<number>[.<rest>]      `number` says who is told, `rest` what of theirs it is

Whoever asks leaves a `Receiver` for as long as it waits. When the connection is lost, each
is told at once: the reply may have been on its way, and never comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg

from wolkvox_async.errors import StoreUnavailableError

LOST: Final = "the connection to the broker was lost"

_NOTHING: Final[Mapping[str, str]] = {}


class Reply(NamedTuple):
    """What was said; `rest` is the end of the subject it was said to."""

    rest: str
    headers: Mapping[str, str]
    data: bytes

    @property
    def status(self) -> str:
        """Return the status of a reply that has no content: "204", "404", "503", ...; empty for all others."""
        return self.headers.get("Status", "")


class Receiver(Protocol):
    """Who waits for replies."""

    def take(self, reply: Reply) -> None:
        """Hear one of them."""
        ...

    def lose(self) -> None:
        """Hear that there will be no more."""
        ...


class Replies:
    """The replies that come over one connection."""

    def __init__(self) -> None:
        self._receivers: Final[dict[str, Receiver]] = {}
        self._inbox = ""
        self._made = 0
        self._lost = False

    async def subscribe(self, client: Client) -> None:
        """Listen; to be done once."""
        self._inbox = client.new_inbox() + "."
        # No limits: pages and batches are bounded, and a reply that is dropped is dropped silently.
        await client.subscribe(f"{self._inbox}>", cb=self._hear, pending_msgs_limit=0, pending_bytes_limit=0)

    @contextmanager
    def to(self, receiver: Receiver) -> Iterator[str]:
        """Have `receiver` told of everything that is said to the subject that this gives, or to parts of it."""
        if self._lost:
            raise StoreUnavailableError(LOST)
        self._made += 1
        number = str(self._made)
        self._receivers[number] = receiver
        try:
            yield self._inbox + number
        finally:
            self._receivers.pop(number, None)

    def lose(self) -> None:
        """Tell everybody that nothing more will come."""
        self._lost = True
        for receiver in list(self._receivers.values()):
            receiver.lose()

    async def _hear(self, message: Msg) -> None:
        number, _, rest = message.subject[len(self._inbox) :].partition(".")
        receiver = self._receivers.get(number)
        if receiver is not None:
            receiver.take(Reply(rest, message.headers or _NOTHING, message.data))


class Gathering:
    """Waits for a number of replies."""

    def __init__(self, awaited: int = 1) -> None:
        self._awaited: Final = awaited
        self._replies: Final[list[Reply]] = []
        self._done: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()

    def take(self, reply: Reply) -> None:
        """Hear one of them."""
        self._replies.append(reply)
        if len(self._replies) == self._awaited:
            resolve(self._done)

    def lose(self) -> None:
        """Hear that there will be no more."""
        fail(self._done)

    async def all(self) -> list[Reply]:
        """Return them in the order in which they came; raises `StoreUnavailableError`."""
        await self._done
        return self._replies


def resolve(future: asyncio.Future[None]) -> None:
    """Have whoever waits for it go on."""
    if not future.done():
        future.set_result(None)


def fail(future: asyncio.Future[None]) -> None:
    """Have whoever waits for it know that the connection was lost."""
    if not future.done():
        future.set_exception(StoreUnavailableError(LOST))
        future.exception()  # nobody may be waiting yet, or any more
