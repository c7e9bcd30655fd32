"""The messages of a store in their order, whatever happens to the broker meanwhile.

There is no consumer: whoever reads asks for what is behind the last message that he has. A
broker that is away is waited for. The last message comes again with what follows, and has to be
the same: a broker that forgot what it had confirmed gives its numbers to others, and to go on
behind them would be to miss some. A large one is looked at only when there was no answer before.

A sequence that is missing was removed from the broker by somebody; that is told, and passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from wolkvox_async.apps.languages import translated
from wolkvox_async.errors import StateError, StoreUnavailableError
from wolkvox_async.ports import Message, Store

from .bookmark import digest_of
from .extent import last_sequence

T = TypeVar("T")

_PAGE: Final = 1_024  # messages
_AGAIN: Final = 0.5  # seconds until a store that does not answer is asked again
_SMALL: Final = 65_536  # bytes of a message that is read again each time
_BEHIND: Final = 10.0  # seconds for which a copy of the stream may be behind another


class Stream:
    """What comes behind a sequence; a silent store is waited for `patience` seconds (None: for ever)."""

    def __init__(self, store: Store, say: Callable[[str], None], patience: float | None) -> None:
        """Begin before the first message."""
        self._store: Final = store
        self._say: Final = say
        self._patience: Final = patience
        self._sequence = 0
        self._digest = ""
        self._is_small = False
        self._is_doubtful = False  # the last message has to be looked at before anything else

    def go_to(self, sequence: int, digest: str) -> None:
        """Go on behind `sequence`, if that is the message with this digest (empty: whichever it is)."""
        self._sequence, self._digest, self._is_doubtful = sequence, digest, True

    async def following(self) -> Sequence[Message]:
        """Return what comes next, as much as a page has; nothing where there is nothing yet.

        Raises `StateError` if the stream is not the one that was read before, and
        `StoreUnavailableError` when patience has ended.
        """
        messages = await self._answered(self._page)
        if messages:
            self._tell_missing(messages)
            self._note(messages[-1])
        return messages

    async def last(self) -> int:
        """Return the sequence of the last message there is; raises as `following` does."""
        return await self._answered(self._last)

    async def _page(self) -> Sequence[Message]:
        await self._recognise()
        again = 1 if self._is_small else 0
        found = await self._store.tail(self._sequence - again, _PAGE)
        if found and found[0].sequence == self._sequence:
            self._compare(found[0])
            return found[1:]
        return found

    async def _last(self) -> int:
        await self._recognise()
        return await last_sequence(self._store, self._sequence)

    async def _recognise(self) -> None:
        """Look at the last message that was read, if there is a doubt; raises `StateError` if it is another by now."""
        if self._is_doubtful and self._digest:
            found = await self._last_read()
            # Where a later one comes first, ours was removed from the broker: there is nothing to compare.
            if not found or found[0].sequence == self._sequence:
                self._compare(found[0] if found else None)
        self._is_doubtful = False

    async def _last_read(self) -> Sequence[Message]:
        loop = asyncio.get_running_loop()
        until = loop.time() + _BEHIND
        while not (found := await self._store.tail(self._sequence - 1, 1)) and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_AGAIN)  # a broker that is to catch up tells nobody
        return found

    def _compare(self, found: Message | None) -> None:
        if found is None or digest_of(found) != self._digest:
            raise StateError(
                f"message {self._sequence} of the stream is not the one that was read: this is another stream, or its "
                "broker forgot what it had confirmed; read it into another file, from the beginning"
            )
        self._note(found)

    def _note(self, message: Message) -> None:
        self._sequence, self._digest = message.sequence, digest_of(message)
        self._is_small = len(message.payload) <= _SMALL

    def _tell_missing(self, messages: Sequence[Message]) -> None:
        before = self._sequence
        for message in messages:
            if message.sequence > before + 1:
                gone = (
                    "messages {first} to {last} are not in the stream any more: somebody removed them from the broker"
                )
                self._say(translated(gone, first=before + 1, last=message.sequence - 1))
            before = message.sequence

    async def _answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer."""
        since: float | None = None
        while True:
            try:
                answer = await ask()
            except StoreUnavailableError as error:
                now = asyncio.get_running_loop().time()
                if since is None:
                    since = now
                    self._say(translated("waiting: {error}", error=error))
                if self._patience is not None and now - since >= self._patience:
                    raise
                self._is_doubtful = True
                await asyncio.sleep(_AGAIN)
            else:
                if since is not None:
                    self._say(translated("the broker answers again"))
                return answer
