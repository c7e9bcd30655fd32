"""One connection, one question at a time.

The rules. A connection serves one token, for one turn. A question is written once. An
answer is believed when it was read whole; whatever else arrives (bytes before a
question, bytes behind an answer, a close that was not announced) makes the connection
unusable, because from then on answers could belong to other questions.

How much of an answer may be in memory, and when it is not read on, is up to `room`.
While an answer waits for its part of the pool the attempt's deadline goes on; while it
waits for the lane, which may be long for no fault of its server's, it stands still.
"""

from __future__ import annotations

import asyncio
import select
from dataclasses import dataclass, replace
from typing import Final

from wolkvox_async.model import Breakdown

from . import faults
from .framing import AnswerReader, FramingError, answer_parser
from .holding import BIG_ROOM, Holding
from .parts import Opened, hold_back, let_flow
from .requests import RequestHead
from .room import SMALL, Room

# Rounds of the event loop until a protocol knows what the kernel has: one to poll, one to
# deliver, two more until a transport that broke has told the TLS layer and that has told us.
_ROUNDS_TO_DELIVER: Final = 4

# Seconds by which a deadline rings late only when the process, or its loop, stood still (SIGSTOP,
# a suspended machine): an answer that came meanwhile lies in the kernel, and there is time to read it.
_STOOD_STILL: Final = 0.25
_CATCHING_UP: Final = 1.0


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came over the wire, read whole; of its headers, those that matter."""

    status: int
    encoding: str
    retry_after: str | None
    location: str | None
    body: bytes
    kept: bool  # the connection had answered before
    sent_at: float  # when the last request byte left, in monotonic seconds


@dataclass(frozen=True, slots=True)
class _Grown:
    """The answer outgrew the room it has: reading is paused until it gets more."""


class Wire(asyncio.BufferedProtocol):
    """A connection in its token's turn."""

    def __init__(self, opened: Opened, *, room: Room, max_body: int, timeout: float) -> None:
        """Take over a fresh connection; all wires share `room`, messages name `timeout` (s)."""
        self._loop: Final = asyncio.get_running_loop()
        self._opened: Final = opened
        self._transport: Final = opened.transport
        self.holding: Final = Holding(
            room, self._give_up, tls=opened.transport.get_extra_info("sslcontext") is not None
        )
        self._max_body: Final = max_body
        self._timeout: Final = timeout
        self._parser = answer_parser(self._loop)
        self._reader: AnswerReader | None = None  # there is one while a question is open
        self._waiter: asyncio.Future[RawAnswer | Breakdown | _Grown] | None = None
        self._missed: RawAnswer | Breakdown | None = None  # how the question ended while reading was paused
        self._paused = False
        self._sent_at = 0.0
        self._sent = True  # the last request byte has left
        self._deadline = 0.0
        self._was_late = False  # in this attempt
        self._timer: asyncio.TimerHandle | None = None
        self._asked = 0
        self.gone: Final[asyncio.Future[None]] = self._loop.create_future()
        self.usable = True
        self.spoke_unasked = False
        self._transport.set_protocol(self)
        if opened.handler.should_close:  # it holds what came before this was its protocol
            self._refuse_unasked()

    async def ask(self, head: RequestHead, *, deadline: float) -> RawAnswer | Breakdown:
        """Write one request and return its answer; a cancelled question leaves the wire to be aborted."""
        self._reader, self._missed = AnswerReader(), None
        self.holding.begin()
        self._asked += 1
        self._deadline = deadline
        self._was_late = False
        self._transport.write(head.encode())
        self._sent_at = self._loop.time()
        self._sent = not self._transport.get_write_buffer_size()
        if not self._sent:
            self._loop.call_soon(self._look_whether_sent)
        met = await self._wait()
        while isinstance(met, _Grown):
            met = await self._go_on()
        return met

    async def is_quiet(self) -> bool:
        """Tell whether a question may be asked: nothing arrived that nobody asked for."""
        if self.usable and _is_readable(self._transport):
            for _ in range(_ROUNDS_TO_DELIVER):
                await asyncio.sleep(0)
        return self.usable

    def why_unusable(self) -> Breakdown:
        """Say why a connection that was never asked anything cannot be asked."""
        if self.spoke_unasked:
            return faults.garbled("it spoke before it was asked", None)
        return faults.lost(None, answered=False, sent_at=None)

    def abort(self) -> None:
        """Close at once; nothing is sent or believed any more."""
        self.usable = False
        self._transport.abort()

    # --- what asyncio calls -----------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - a read is as large as it may be
        """Return where the next bytes go."""
        return self.holding.buffer()

    def buffer_updated(self, nbytes: int) -> None:
        """Take in bytes; those that nobody asked for end the connection."""
        reader = self._reader
        if reader is None:
            self._refuse_unasked()
            return
        if not self._sent:
            self._sent_at, self._sent = self._loop.time(), True
        try:
            self.holding.add(reader.feed(self._parser, self.holding.read(nbytes)))
        except FramingError as fault:
            self._fail(faults.garbled(str(fault), self._unanswered_since()))
            return
        self._weigh(reader)

    def eof_received(self) -> bool:
        """Take in that the peer closes; an answer without a length ends here."""
        self.usable = False
        if self._reader is not None:
            self._reader.feed_eof()
            self._weigh(self._reader)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take in that the connection is gone."""
        self.usable = False
        self._fail(faults.lost(exc, answered=self.holding.received > 0, sent_at=self._unanswered_since()))
        self._opened.handler.connection_lost(exc)
        self._opened.connection.close()
        self.gone.set_result(None)

    def _refuse_unasked(self) -> None:
        self.spoke_unasked = True
        self._abort_soon()

    def _abort_soon(self) -> None:
        # asyncio's TLS stumbles when it is aborted from within a call of its own.
        self.usable = False
        self._loop.call_soon(self._transport.abort)

    # --- an answer comes together -----------------------------------------------------

    def _weigh(self, reader: AnswerReader) -> None:
        """See whether the answer is whole, too large, or needs more room."""
        if max(self.holding.size, reader.length or 0) > self._max_body:
            self._fail(faults.too_large(self._max_body, unanswered_since=self._unanswered_since()))
        elif reader.complete:
            self._settle(self._believed(reader))
        elif not self._paused and self.holding.wants(reader):
            self._pause()
            self._settle(_Grown())

    def _believed(self, reader: AnswerReader) -> RawAnswer | Breakdown:
        """Return the answer, unless it may as well be one that nobody asked for.

        The first answer of a connection can only be to its first question. On a later one,
        bytes behind the answer may be the true one.
        """
        whole = self._whole(reader)
        if reader.surplus and self._asked > 1:
            return faults.garbled("bytes came that nobody asked for, so its answer may be an older one", self._sent_at)
        return whole

    def _whole(self, reader: AnswerReader) -> RawAnswer:
        message = reader.message
        if message is None:
            raise AssertionError("a complete answer has a head")
        self._reader = None
        if reader.head_size > SMALL:  # a parser keeps the last head until the next one begins
            self._parser = answer_parser(self._loop)
        if reader.surplus or message.should_close:
            self._abort_soon()
        headers = message.headers
        encoding = ", ".join(headers.getall("Content-Encoding", ()))
        retry_after, location = headers.get("Retry-After"), headers.get("Location")
        body = self.holding.complete()
        return RawAnswer(message.code, encoding, retry_after, location, body, self._asked > 1, self._sent_at)

    def _fail(self, breakdown: Breakdown) -> None:
        if self._reader is not None:
            message = self._reader.message
            self._reader = None
            self.holding.let_go()
            self._settle(breakdown if message is None else replace(breakdown, status=message.code))
        self._abort_soon()

    def _give_up(self) -> None:
        self._fail(faults.too_slow(sent_at=self._unanswered_since()))

    def _settle(self, met: RawAnswer | Breakdown | _Grown) -> None:
        waiter, self._waiter = self._waiter, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if waiter is not None and not waiter.done():
            waiter.set_result(met)
        elif not isinstance(met, _Grown):
            self._missed = met

    # --- waiting ----------------------------------------------------------------------

    async def _wait(self) -> RawAnswer | Breakdown | _Grown:
        self._waiter = self._loop.create_future()
        self._timer = self._loop.call_at(self._deadline, self._ring)
        try:
            return await self._waiter
        finally:
            self._waiter = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    async def _go_on(self) -> RawAnswer | Breakdown | _Grown:
        """Wait for the room that the answer wants, then read on."""
        reader = self._reader
        wanted = 0 if reader is None else self.holding.wants(reader)
        if wanted == BIG_ROOM:
            await self._take_lane()
        elif wanted:
            await self._join_pool(wanted)
        if self._missed is not None:
            return self._missed
        if self._transport.is_closing():
            return faults.lost(None, answered=True, sent_at=self._unanswered_since())
        self._paused = False
        let_flow(self._transport)
        return await self._wait()

    async def _join_pool(self, wanted: int) -> None:
        try:
            async with asyncio.timeout_at(self._deadline):
                await self.holding.join_pool(wanted)
        except TimeoutError:
            self._expire()

    async def _take_lane(self) -> None:
        left = self._deadline - self._loop.time()
        await self.holding.take_lane()
        self._deadline = self._loop.time() + left

    def _pause(self) -> None:
        self._paused = True
        self._transport.pause_reading()
        self._loop.call_soon(self._hold_back)

    def _hold_back(self) -> None:
        if self._paused:
            hold_back(self._transport)

    def _ring(self) -> None:
        """Give the attempt up, unless we are late ourselves: its answer may have come while we stood still."""
        now = self._loop.time()
        if now - self._deadline > _STOOD_STILL and not self._was_late:
            self._was_late = True
            self._timer = self._loop.call_at(now + _CATCHING_UP, self._expire)
        else:
            self._expire()

    def _expire(self) -> None:
        since = self._unanswered_since()
        self._fail(faults.timed_out(self._timeout, answered=self.holding.received > 0, sent_at=since))

    def _look_whether_sent(self) -> None:
        # uvloop writes at the end of a round, so this comes just behind it.
        if not self._sent and not self._transport.get_write_buffer_size():
            self._sent_at, self._sent = self._loop.time(), True

    def _unanswered_since(self) -> float:
        # What is still in the buffer leaves no sooner than now.
        return self._sent_at if self._sent else self._loop.time()


def _is_readable(transport: asyncio.Transport) -> bool:
    """Ask the kernel, because the event loop may not have looked since the last answer."""
    sock = transport.get_extra_info("socket")
    if sock is None or not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
