"""One pass over the operations: its calls go in, its records come out.

The way out is bounded by a lane: what is in flight and what is not yet delivered share
its room, so a slow reader stops the calling of its pass. A batch's room is given back
when the reader asks for the next batch, that is when it is done with the one it has.

A call is delivered when the reader asks for what comes behind its `call` record, or leaves
the block without an exception; only then is it settled, so that a run which is taken up
again repeats what did not arrive, and nothing else.

Whatever ends the block (the end of the records, `break`, an exception, a cancellation),
nothing of the pass is called any more; its calls in flight are finished for their
tokens' sake, and what they bring is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import ClassVar, Final, Generic, Literal, Self, TypeVar, cast

from wolkvox_async.counters import Counters
from wolkvox_async.errors import OutputClosedError, UsageError
from wolkvox_async.lines import line
from wolkvox_async.model import Call
from wolkvox_async.ports import Desk, OpenRun, Sink
from wolkvox_async.records import Record, RunRecord, item_records, run_ended, run_started
from wolkvox_async.settlements import Gap, Item, Settlement

from .backlog import Backlog
from .cuts import Cuts
from .handing import Handing
from .reading import Reading, pieces
from .yard import PassParts, Supply, Yard

UNIT: Final = 65_536  # bytes of answer that take up one more unit of a lane's room
_COUNTED_AT_ONCE: Final = 5_000  # operations


R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a pass came to, in how many `seconds`; `stopped` when it was ended before its time."""

    run: str
    counters: Counters
    stopped: bool
    seconds: float


class Run(Generic[R]):
    """The records of one run, as they come: a pass, or one life of a watch.

    Use it as a block and read it once: by iterating (dictionaries), by `lines` (bytes)
    or by `write_to`. Leaving the block early forgets what was not called yet.
    """

    watches: ClassVar = False  # for ever, on a timetable
    cuts: ClassVar = True  # calls whose answers were cut off are replaced by their parts

    def __init__(self, parts: PassParts, yard: Yard) -> None:
        self.lane: Final = parts.lane
        self.spare: Final = parts.spare
        self.counters = Counters()
        """What the whole run has come to so far."""
        self.opened: OpenRun | None = None
        self.stopped = False
        """Whether it was ended before its time."""
        self._parts: Final = parts
        self._yard: Final = yard
        self._total = 0  # calls of the whole run
        self._feed: Supply | None = None
        self._settled = 0
        self.parting: Final = Cuts()
        self.backlog: Final = Backlog(parts.clock)
        self._held = 0  # of room that the reader's batch takes up
        self._handing: Final = Handing(self, yard, parts.clock)
        self._reader: asyncio.Future[None] | None = None
        self._entered = self._left = self._is_read = False
        self._broken: Exception | None = None
        self._started_at = 0.0

    async def __aenter__(self) -> Self:
        """Plan the calls and begin. Raises `SelectionError` for wrong dates, `UsageError` for a second time."""
        if self._entered:
            raise UsageError("a pass is entered once: call engine.fetch() again")
        self._entered = True
        try:
            await self._begin()
        except BaseException:
            self._leave()
            await self._yard.close(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._handing.acknowledge()
        self._handing.arrived()
        self._leave()
        if self._feed is not None:
            await self._feed.ended()
        await self._yard.close(self)

    @property
    def planned(self) -> int:
        """How many calls the pass has, as far as is known: those settled in the run before are not among them."""
        if self._feed is None:
            return self._total
        planned = self._feed.begun if self._feed.is_over else self._total - self._feed.spared
        return planned + self.parting.grown

    @property
    def whole(self) -> int:
        """How many calls the whole run has, as far as is known: with those that it has settled before."""
        if self.opened is None:
            return self._total
        if self._feed is not None and self._feed.is_over:
            return self.opened.done + self.planned
        return self._total + self.opened.cut + self.parting.grown

    @property
    def run(self) -> str:
        """The run's id; a run that is taken up again has its old one, once the block is entered."""
        return self._parts.order.id if self.opened is None else self.opened.id

    async def _begin(self) -> None:
        self.opened = opened = await self._yard.open(self, self._parts.order)
        self.counters = replace(opened.counters)
        for number, calls in enumerate(self._parts.counts(opened), 1):
            self._total += calls
            if number % _COUNTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._started_at = self._parts.clock.now()
        self._feed = self._parts.supply(self, opened)
        await self._feed.begin()

    def _leave(self) -> None:
        self._left = True
        if self._feed is not None:
            self._feed.stop()
        self._yard.end(self)
        self.backlog.take()
        self._wake()

    # --- in: called by the feed and by the engine -------------------------------------------

    async def queue(self, calls: list[Call]) -> None:
        """Queue calls of the pass."""
        await self._yard.queue(self, calls)

    async def appetite(self) -> None:
        """Wait until more calls of the pass are of use."""
        await self._yard.appetite(self)

    def fed(self) -> None:
        """Note that the pass has no more calls: when all have ended, the reader need not wait."""
        self._wake()

    def settle(self, settlement: Settlement, units: int) -> None:
        """Take in a settled call that takes up `units` of room until it is delivered."""
        self._settled += 1
        self.counters.count(settlement)
        if self._left:
            return
        self.backlog.add(settlement, units)
        if self._reader is not None:
            self._wake()

    def cut(self, call: Call) -> list[Call]:
        """Take in that a call is replaced by its parts; return what of them is left to do."""
        settled = frozenset[str]() if self.opened is None else self.opened.settled
        return self.parting.cut(call, self.run, settled)

    def stop(self) -> None:
        """Note that the pass ends before its time; what was not called is settled as skipped."""
        self.stopped = self.stopped or not self.finished

    def break_down(self, why: Exception) -> None:
        """Note that nothing more will come; whoever reads gets `why`."""
        self._broken = self._broken or why
        self._wake()

    @property
    def is_left(self) -> bool:
        """Whether the block was left; what settles now is dropped."""
        return self._left

    @property
    def finished(self) -> bool:
        """Whether every planned call has ended."""
        feed = self._feed
        return feed is not None and feed.is_over and self._settled == feed.begun + self.parting.parts

    # --- out ------------------------------------------------------------------------------

    def __aiter__(self) -> Reading[R]:
        """Iterate over the records as dictionaries."""
        self._read_once()
        return Reading(self, self._as_records, lambda record: cast("R", record))

    def lines(self) -> Reading[bytes]:
        """Iterate over whole lines, several at a time."""
        self._read_once()
        return Reading(self, self._as_lines, line)

    async def write_to(self, sink: Sink, *, progress: Callable[[], Awaitable[None]] | None = None) -> Summary:
        """Write every record to `sink` and return what the pass came to; raises `OutputError`.

        A reader that went away has not read what was written within the last second: the
        calls of that second are taken back (unless the output can be read back itself).
        """
        self._handing.may_go_back = True
        try:
            async for lines in self.lines():
                self._handing.position = await sink.write(lines)
                if progress is not None:
                    await progress()
        except OutputClosedError:
            self._handing.take_back()
            raise
        self._handing.acknowledge()
        return self.summary()

    async def hand_to(self, desk: Desk, *, progress: Callable[[], Awaitable[None]] | None = None) -> Summary:
        """Hand every call and gap to `desk`, and return what the pass came to; raises what the desk does."""
        self._read_once()
        await desk.say(self.run, line(self.opening()))
        while (batch := await self.next_batch()) is not None:
            await desk.take(self.run, batch)
            self._handing.items = batch
            self._handing.acknowledge()
            if progress is not None:
                await progress()
        await desk.say(self.run, line(self.ending()))
        return self.summary()

    def opening(self) -> RunRecord:
        """Return the record that opens the run."""
        resumed = self.opened is not None and self.opened.resumed
        utc, version = self._parts.clock.utc(), self._parts.version
        return run_started(self.run, utc, version=version, calls=self._total, resumed=resumed)

    async def next_batch(self) -> list[Item] | None:
        """Wait for settled calls; the room that the last batch took up is given back."""
        held, self._held = self._held, 0
        self._yard.room(self.lane, held)
        while not self.backlog:
            if self.finished and not self._left:
                return None
            await self._arrival()
        batch, self._held = self.backlog.take()
        return batch

    def ending(self) -> RunRecord:
        """Return the record that closes the run."""
        now, utc = self._parts.clock.now(), self._parts.clock.utc()
        event: Literal["stopped", "finished"] = "stopped" if self.stopped else "finished"
        return run_ended(self.run, utc, event, self.counters, now - self._started_at)

    def summary(self) -> Summary:
        """Return what the pass has come to so far."""
        return Summary(self.run, self.counters, self.stopped, self._parts.clock.now() - self._started_at)

    def _read_once(self) -> None:
        if self._is_read:
            raise UsageError("a pass is read once: keep the iterator, or call engine.fetch() again")
        if not self._entered:
            raise UsageError("a pass is a block: async with engine.fetch(...) as records")
        self._is_read = True

    async def _arrival(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._left:
            raise UsageError("the pass was left: read its records inside the block")
        if self._reader is not None:
            raise UsageError("a pass has one reader: another task is waiting for its records")
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # --- delivered ------------------------------------------------------------------------

    @property
    def complete(self) -> bool:
        """Whether every call of the run ended ok or empty, and was delivered."""
        undone = self.counters.failed + self.counters.skipped
        return self.finished and not (undone or self.backlog or self._handing.items or self.stopped)

    def _as_records(self, batch: list[Item]) -> Iterator[R]:
        for item in batch:
            for record in item_records(self.run, item):
                if record["type"] != "row":
                    self._handing.items = (item,)
                yield cast("R", record)
            if not isinstance(item, Gap) and item.cut_id is not None:
                self._handing.items = (item,)  # of which there are no records
            self._handing.acknowledge()

    def _as_lines(self, batch: list[Item]) -> Iterator[bytes]:
        for lines, items in pieces(self.run, batch):
            self._handing.items = items
            if lines:
                yield lines
            self._handing.acknowledge()


class Records(Run[Record]):
    """The records of one pass, as they come: the `run` record, of each call its rows and `call` record, a `run` record.

    Use it as a block and read it once: by iterating (dictionaries), by `lines` (bytes) or
    by `write_to`. Leaving the block early forgets what was not called yet. One task reads it.
    """
