"""Records to the stream: in order per token, each part once, whatever becomes of answers.

- Of each token one message at a time is without an answer; many tokens share a batch (`Launcher`
  says when). What comes meanwhile is the token's next message (`Strand`).
- No answer: the same message is sent again, for ever. It may have been stored; then the second one
  conflicts.
- A conflict: the last message is read. If it is ours, or was written on top of ours, ours was stored;
  else somebody's late record came in between, and ours is written on top of both.
- Full: the token is stuck (`Jam`) until its message fits.
- Any other exception of the store is a fault that waiting does not mend: everything unstored fails,
  and everything that comes later.

What is not stored counts in bytes, and whoever brings more waits for `room`. A token of a
partition that is held costs about 1,600 bytes where three endpoints are watched, and what is unstored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, Protocol, assert_never

from wolkvox_async.clustering.messages import TokenState
from wolkvox_async.errors import StateError, StoreUnavailableError
from wolkvox_async.ports import Appended, Conflict, Full, Store, Stored

from .bell import Bell
from .jam import Jam
from .launching import Launcher, Pace
from .loading import last_messages
from .owner import TokenKnown
from .shelves import Shelves
from .strands import Part, Strand, Writer

ROOM: Final = 67_108_864
"""Bytes of record lines that may be unstored before `room` makes wait."""


class Listener(Protocol):
    """Hears what happens to records; in the event loop, and waits for nothing."""

    def stuck(self, partition: int, token: str) -> None:
        """Take in that the store is full: a message of the token waits, and nothing more is to be called with it."""
        ...

    def moving(self, partition: int, token: str) -> None:
        """Take in that what was stuck is stored."""
        ...

    def learned(self, partition: int, token: str, state: TokenState) -> None:
        """Take in what is known of a token since somebody else's record came in late."""
        ...

    def broken(self, error: Exception) -> None:
        """Take in that nothing is stored any more, and why."""
        ...


class Appender:
    """Writes messages as `writer`; to be made inside the event loop."""

    def __init__(self, store: Store, writer: Writer, listener: Listener, pace: Pace | None = None) -> None:
        pace = pace or Pace()
        self._store: Final = store
        self._writer: Final = writer
        self._listener: Final = listener
        self._shelves: Final = Shelves(writer)
        self._launcher: Final = Launcher(pace, self._fly)
        self._jam: Final = Jam(pace, self._launcher.add_first)
        self._bytes = 0  # of lines that are unstored
        self._bell: Final = Bell()
        self._failure: StateError | None = None  # never taken back

    # --- partitions

    async def load(self, partition: int) -> Collection[TokenKnown]:
        """Read what is known of the tokens of a partition, and keep it; raises `StoreUnavailableError`."""
        self._shelves.hold(partition)
        return [
            TokenKnown(message.token, self._shelves.learn(message))
            async for message in last_messages(self._store, partition)
        ]

    def forget(self, partition: int) -> None:
        """Let go of a partition; what is unstored is stored all the same."""
        self._shelves.forget(partition)

    # --- records

    def append(self, partition: int, token: str, part: Part) -> None:
        """Have `part` stored behind all that came before it of the token, be the partition held or not.

        `part.done` is called in the event loop, in the order of the token's parts.
        """
        if self._failure is not None:
            part.done(self._failure)
            return
        strand = self._shelves.strand(partition, token)
        strand.wait(part)
        strand.shelf.unstored += 1
        self._bytes += len(part.lines)
        if not strand.is_queued:
            strand.is_queued = True
            self._launcher.add(strand)

    async def room(self) -> None:
        """Return when there is room for more; whoever appends is to wait for it now and then."""
        await self._bell.until(lambda: self._bytes <= ROOM or self._failure is not None)

    async def flush(self, partition: int | None = None) -> None:
        """Return when everything appended so far (of a partition) is stored; raises `StateError`.

        That takes as long as it takes the store to answer, and to have room.
        """
        await self._bell.until(lambda: self._failure is not None or not self._shelves.unstored(partition))
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Give up what is unstored, which fails; nobody who called `flush` before has any."""
        self._fail(StateError("the records were given up before they were stored"))
        await self._launcher.stop()

    # --- how it is

    def is_stuck(self, token: str) -> bool:
        """Tell whether nothing is to be called with a token, because its last message does not fit."""
        return token in self._jam.stuck

    @property
    def stuck(self) -> int:
        """How many tokens are stuck."""
        return len(self._jam.stuck)

    @property
    def superseded(self) -> int:
        """How many parts came too late: another machine had told of their slots."""
        return self._writer.superseded

    @property
    def is_reachable(self) -> bool:
        """Whether the store answered when it was asked last."""
        return not self._launcher.is_failing

    def unstored(self, partition: int | None = None) -> int:
        """Return how many parts are unstored, of a partition or of all."""
        return self._shelves.unstored(partition)

    # --- batches

    async def _fly(self, strands: list[Strand]) -> None:
        try:
            outcomes = await self._store.append([strand.append(self._writer) for strand in strands])
            self._launcher.answered()
            if self._failure is None and (conflicts := self._take_in(strands, outcomes)):
                await asyncio.gather(*map(self._reconcile, conflicts))
        except StoreUnavailableError:
            self._launcher.put_off(strands)
        except Exception as error:  # noqa: BLE001 - whoever made us hears of it, and all that is unstored fails
            self._break(error)
        self._bell.ring()

    def _take_in(self, strands: Sequence[Strand], outcomes: Sequence[Appended]) -> list[Strand]:
        """Take in what became of messages; return those that conflicted."""
        conflicts = []
        for strand, outcome in zip(strands, outcomes, strict=True):
            match outcome:
                case Stored(sequence):
                    self._settle(strand, strand.stored(sequence))
                case Conflict():
                    conflicts.append(strand)
                case Full():
                    if self._jam.refused(strand):
                        self._listener.stuck(strand.shelf.partition, strand.token)
                case never:
                    assert_never(never)
        return conflicts

    def _settle(self, strand: Strand, parts: Sequence[Part]) -> None:
        """Tell that parts are stored, and go on with what came after them."""
        shelf = strand.shelf
        shelf.unstored -= len(parts)
        strand.is_queued = strand.waits
        if strand.is_queued:
            self._launcher.add(strand)
        if self._jam.stored(strand.token):
            self._listener.moving(shelf.partition, strand.token)
        for part in parts:
            self._bytes -= len(part.lines)
            part.done(None)
        if not strand.is_queued:  # nor has anything come since
            self._shelves.rest(strand)

    async def _reconcile(self, strand: Strand) -> None:
        """Find out whether the message of a strand was stored; else send it again, on top of the last one."""
        shelf, before = strand.shelf, strand.sequence
        try:
            last = await self._store.last(shelf.partition, strand.token)
        except StoreUnavailableError:
            self._launcher.put_off([strand])
            return
        if self._failure is not None:
            return
        if (parts := strand.compare(last, self._writer)) is not None:
            self._settle(strand, parts)
        elif strand.sequence == before:  # what was read is older than the conflict
            self._launcher.put_off([strand])
        else:
            self._listener.learned(shelf.partition, strand.token, strand.known())
            self._launcher.add_first([strand])

    # --- the end

    def _break(self, error: Exception) -> None:
        if self._failure is None:
            self._fail(StateError(f"records cannot be stored any more: {type(error).__name__}"))
            self._listener.broken(error)

    def _fail(self, failure: StateError) -> None:
        if self._failure is None:
            self._failure = failure
            self._launcher.halt()
            self._jam.stop()
            for part in [part for strand in self._shelves for part in strand.drop()]:
                part.done(failure)
            self._bell.ring()
