"""One connection, one question at a time.

The rules. A question is written once. An answer is believed when it was read whole;
whatever else arrives (bytes before a question, bytes behind an answer, a close that was
not announced) makes the connection unusable, because from then on answers could belong to
other questions.

An answer that comes in one piece behind a head that is known (see `heads`) is read at
once; every other one by `framing`. How much of it may be in memory, and when it is not
read on, is up to `room`. While an answer waits for its part of the pool the attempt's
deadline goes on; while it waits for the lane, which may be long for no fault of its
server's, it stands still.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Final, cast

from wolkvox_async.model import Breakdown, Token

from . import faults
from .deadlines import Deadline
from .flow import delivered, hold_back, keep_short, let_flow, unread
from .framing import AnswerReader, FramingError
from .heads import Grown, Met, RawAnswer, head_of
from .holding import BIG_ROOM, Holding
from .parts import HttpResponseParser, answer_parser
from .requests import Frame
from .room import SMALL
from .shared import Shared

# Seconds by which a deadline rings late only when the process, or its loop, stood still (SIGSTOP,
# a suspended machine): an answer that came meanwhile lies in the kernel, and there is time to read it.
_STOOD_STILL: Final = 0.25
_CATCHING_UP: Final = 1.0

_GROWN: Final = Grown()
_BLANK: Final = Frame(b"", b"", b"")


class Wire(asyncio.BufferedProtocol):
    """A connection; `frame` is what its requests have in common, `release` is called when it is gone."""

    def __init__(self, shared: Shared) -> None:
        """Be ready for a connection."""
        self._loop: Final = asyncio.get_running_loop()
        self._shared: Final = shared
        self.frame = _BLANK
        self.on_lost: Callable[[Wire], None] | None = None  # who keeps it
        self.release: Callable[[BaseException | None], None] | None = None
        self._parser: HttpResponseParser | None = None  # made when a head is not known
        self._reader: AnswerReader | None = None  # there is one once part of such an answer came
        self._waiter: asyncio.Future[Met] | None = None
        self._missed: RawAnswer | Breakdown | None = None  # how the question ended while reading was paused
        self._paused = False
        self._asking = False  # a question is open
        self.asked = 0  # questions
        self.sent_at = 0.0  # when the last request byte has left (monotonic seconds), or was still here
        self._sent = True  # the last request byte has left
        self._due, self._was_late = 0.0, False  # when the attempt is, and whether it was
        self.usable = True
        self.spoke_unasked = False
        self.is_learnt = False  # its TLS session was looked at

    def ask(self, target: bytes, token: Token, deadline: float) -> asyncio.Future[Met]:
        """Write one request; a cancelled question leaves the wire to be aborted."""
        self._asking, self._missed, self._reader = True, None, None
        self.asked += 1
        self._due, self._was_late = deadline, False
        self.holding.received = 0
        transport, loop = self._transport, self._loop
        transport.write(self.frame.request(target, token))
        self.sent_at = loop.time()
        self._sent = not transport.get_write_buffer_size()
        if not self._sent:
            loop.call_soon(self._look_whether_sent)
        self._deadline.set(deadline)
        self._waiter = waiter = loop.create_future()
        return waiter

    def is_silent(self) -> bool:
        """Tell whether a question may be asked at once: usable, and nothing that nobody has looked at."""
        return self.usable and not self._unread()

    async def is_quiet(self) -> bool:
        """Tell whether a question may be asked, once what came was looked at: nothing that nobody asked for."""
        if self.usable and self._unread():
            await delivered()
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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over the connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not say what they are
        self._unread = unread(self._transport)
        self._deadline = Deadline(self._shared.deadlines, self._ring)
        self.opened_at = self._loop.time()
        self.tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if self.tls is not None:
            keep_short(self._transport)
        self.holding = Holding(self._shared.room, tls=self.tls is not None)
        self._shared.wires.add(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - a read is as large as it may be
        """Return where the next bytes go."""
        return self.holding.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take in bytes; those that nobody asked for end the connection."""
        if not self._asking:
            self.refuse_unasked()
            return
        if not self._sent:
            self.sent_at, self._sent = self._loop.time(), True
        data = self.holding.read(nbytes)
        if self._reader is None:
            answer = self._shared.heads.find(data)
            if answer is not None and len(answer[1]) <= self._shared.max_body:
                self._asking = False
                self._settle(answer)
                return
            self._reader = AnswerReader()
        self._read(self._reader, data)

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
        if self._asking:
            self._fail(faults.lost(exc, answered=self.holding.received > 0, sent_at=self._unanswered_since()))
        self._deadline.drop()
        self._shared.wires.discard(self)
        if self.on_lost is not None:
            self.on_lost(self)
        if self.release is not None:
            self.release(exc)
            self.release = None

    def refuse_unasked(self) -> None:
        """Give the connection up: something came that nobody asked for."""
        self.spoke_unasked = True
        self._abort_soon()

    def _abort_soon(self) -> None:
        # asyncio's TLS stumbles when it is aborted from within a call of its own.
        self.usable = False
        self._loop.call_soon(self._transport.abort)

    def _read(self, reader: AnswerReader, data: bytes) -> None:
        if self._parser is None:
            self._parser = answer_parser(self._loop)
        try:
            self.holding.add(reader.feed(self._parser, data))
        except FramingError as fault:
            self._fail(faults.garbled(str(fault), self._unanswered_since()))
            return
        self._weigh(reader)

    def _weigh(self, reader: AnswerReader) -> None:
        """See whether the answer is whole, too large, or needs more room."""
        if max(self.holding.size, reader.length or 0) > self._shared.max_body:
            self._fail(faults.too_large(self._shared.max_body, unanswered_since=self._unanswered_since()))
        elif reader.complete:
            self._settle(self._believed(reader))
        elif not self._paused:
            wanted = self.holding.wants(reader)
            if wanted and not self.holding.reserve(wanted, self._give_up):
                self._pause()
                self._settle(_GROWN)

    def _believed(self, reader: AnswerReader) -> RawAnswer | Breakdown:
        """Return the answer, unless it may as well be one that nobody asked for.

        The first answer of a connection can only be to its first question. On a later one,
        bytes behind the answer may be the true one.
        """
        whole = self._whole(reader)
        if reader.surplus and self.asked > 1:
            return faults.garbled("bytes came that nobody asked for, so its answer may be an older one", self.sent_at)
        return whole

    def _whole(self, reader: AnswerReader) -> RawAnswer:
        head = head_of(reader)
        self._asking, self._reader = False, None
        if reader.head_size > SMALL:  # a parser keeps the last head until the next one begins
            self._parser = None
        if reader.is_last:
            self._abort_soon()
        self._shared.heads.learn(reader, head)
        return head, self.holding.complete()

    def _fail(self, breakdown: Breakdown) -> None:
        if self._asking:
            message = None if self._reader is None else self._reader.message
            self._asking, self._reader = False, None
            self.holding.let_go()
            self._settle(breakdown if message is None else replace(breakdown, status=message.code))
        self._abort_soon()

    def _give_up(self) -> None:
        self._fail(faults.too_slow(sent_at=self._unanswered_since()))

    def _settle(self, met: Met) -> None:
        self._deadline.clear()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(met)
        elif not isinstance(met, Grown):
            self._missed = met

    # --- waiting ----------------------------------------------------------------------

    async def go_on(self) -> RawAnswer | Breakdown:
        """Read on, as often as it is needed, once there is room for it."""
        met: Met = _GROWN
        while isinstance(met, Grown):
            met = await self._go_on()
        return met

    async def _go_on(self) -> Met:
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
        self._deadline.set(self._due)
        self._waiter = self._loop.create_future()
        return await self._waiter

    async def _join_pool(self, wanted: int) -> None:
        try:
            async with asyncio.timeout_at(self._due):
                await self.holding.join_pool(wanted, self._give_up)
        except TimeoutError:
            self._expire()

    async def _take_lane(self) -> None:
        left = self._due - self._loop.time()
        await self.holding.take_lane(self._give_up)
        self._due = self._loop.time() + left

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
        if now - self._due > _STOOD_STILL and not self._was_late:
            self._was_late = True
            self._deadline.set(now + _CATCHING_UP)
        else:
            self._expire()

    def _expire(self) -> None:
        since = self._unanswered_since()
        self._fail(faults.timed_out(self._shared.timeout, answered=self.holding.received > 0, sent_at=since))

    def _look_whether_sent(self) -> None:
        # uvloop writes at the end of a round, so this comes just behind it.
        if not self._sent and not self._transport.get_write_buffer_size():
            self.sent_at, self._sent = self._loop.time(), True

    def _unanswered_since(self) -> float:
        # What is still in the buffer leaves no sooner than now.
        return self.sent_at if self._sent else self._loop.time()
