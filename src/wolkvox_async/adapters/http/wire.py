"""One connection, one question at a time.

The rules. A connection serves one token, for one turn. A question is written once. An
answer is believed when it was read whole; whatever else arrives (bytes before a
question, bytes behind an answer, a close that was not announced) makes the connection
unusable, because from then on answers could belong to other questions.

Bodies beyond `BIG` are read one at a time over all connections (the lock `big_bodies`),
and an attempt's deadline stands still while it waits for that.
"""

from __future__ import annotations

import asyncio
import select
from dataclasses import dataclass, replace
from typing import Final

from wolkvox_async.model import Breakdown

from . import faults
from .framing import AnswerReader, FramingError, answer_parser
from .parts import Opened
from .requests import RequestHead

BIG: Final = 1_048_576

# Rounds of the event loop until a protocol knows what the kernel has: one to poll, one to
# deliver, two more until a transport that broke has told the TLS layer and that has told us.
_ROUNDS_TO_DELIVER: Final = 4


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as it came over the wire, read whole; of its headers, those that matter."""

    status: int
    encoding: str
    retry_after: str | None
    location: str | None
    body: bytes
    kept: bool  # the connection had answered before


@dataclass(frozen=True, slots=True)
class _Grown:
    """The body outgrew `BIG`: reading is paused until it is this one's turn."""


class Wire(asyncio.Protocol):
    """A connection in its token's turn."""

    def __init__(self, opened: Opened, *, big_bodies: asyncio.Lock, max_body: int, timeout: float) -> None:
        """Take over a fresh connection; all wires share `big_bodies`, messages name `timeout` (s)."""
        self._loop: Final = asyncio.get_running_loop()
        self._opened: Final = opened
        self._transport: Final = opened.transport
        self._big_bodies: Final = big_bodies
        self._max_body: Final = max_body
        self._timeout: Final = timeout
        self._parser: Final = answer_parser(self._loop)
        self._reader: AnswerReader | None = None  # there is one while a question is open
        self._waiter: asyncio.Future[RawAnswer | Breakdown | _Grown] | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._may_be_big = False  # we hold `big_bodies`
        self._sent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._heard = False
        self._asked = 0
        self.gone: Final[asyncio.Future[None]] = self._loop.create_future()
        self.usable = True
        self.spoke_unasked = False
        self._transport.set_protocol(self)
        if opened.handler.should_close:  # it holds what came before this was its protocol
            self._refuse_unasked()

    async def ask(self, head: RequestHead, *, deadline: float) -> RawAnswer | Breakdown:
        """Write one request and return its answer; a cancelled question leaves the wire to be aborted."""
        self._reader, self._pieces, self._size, self._heard = AnswerReader(), [], 0, False
        self._asked += 1
        self._transport.write(head.encode())
        self._sent_at = self._loop.time()
        met = await self._wait(deadline)
        while isinstance(met, _Grown):
            met = await self._go_on_big(deadline)
        return met

    async def hold_big(self) -> None:
        """Wait for the right to have a big body in memory; `let_go` gives it back."""
        if not self._may_be_big:
            await self._big_bodies.acquire()
            self._may_be_big = True

    def let_go(self) -> None:
        """Say that the last answer's body is not in memory any more."""
        if self._may_be_big:
            self._may_be_big = False
            self._big_bodies.release()

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

    def data_received(self, data: bytes) -> None:
        """Take in bytes; those that nobody asked for end the connection."""
        if self._reader is None or self._waiter is None:
            self._refuse_unasked()
            return
        self._heard = True
        try:
            piece = self._reader.feed(self._parser, data)
        except FramingError as fault:
            self._fail(faults.garbled(str(fault), self._sent_at))
            return
        self._collect(self._reader, piece)

    def eof_received(self) -> bool:
        """Take in that the peer closes; an answer without a length ends here."""
        self.usable = False
        if self._reader is not None:
            self._reader.feed_eof()
            if self._waiter is not None:
                self._collect(self._reader, b"")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take in that the connection is gone."""
        self.usable = False
        self._fail(faults.lost(exc, answered=self._heard, sent_at=self._sent_at))
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

    def _collect(self, reader: AnswerReader, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._size += len(piece)
        if max(self._size, reader.length or 0) > self._max_body:
            self._fail(faults.too_large(self._max_body, unanswered_since=self._sent_at))
        elif reader.complete:
            self._settle(self._believed(reader))
        elif self._size > BIG and not self._may_be_big:
            self._transport.pause_reading()
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
        if reader.surplus or message.should_close:
            self._abort_soon()
        headers = message.headers
        encoding = ", ".join(headers.getall("Content-Encoding", ()))
        retry_after, location = headers.get("Retry-After"), headers.get("Location")
        body, self._pieces = b"".join(self._pieces), []
        return RawAnswer(message.code, encoding, retry_after, location, body, self._asked > 1)

    def _fail(self, breakdown: Breakdown) -> None:
        if self._waiter is not None:
            message = self._reader.message if self._reader is not None else None
            self._settle(breakdown if message is None else replace(breakdown, status=message.code))
            self._reader, self._pieces = None, []
        self._abort_soon()

    def _settle(self, met: RawAnswer | Breakdown | _Grown) -> None:
        waiter, self._waiter = self._waiter, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if waiter is not None and not waiter.done():
            waiter.set_result(met)

    # --- waiting ----------------------------------------------------------------------

    async def _wait(self, deadline: float) -> RawAnswer | Breakdown | _Grown:
        self._waiter = self._loop.create_future()
        self._timer = self._loop.call_at(deadline, self._expire)
        try:
            return await self._waiter
        finally:
            self._waiter = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    async def _go_on_big(self, deadline: float) -> RawAnswer | Breakdown | _Grown:
        left = deadline - self._loop.time()
        await self.hold_big()
        if self._reader is not None and self._reader.complete:  # the stream's end came with the last bytes
            return self._believed(self._reader)
        if self._transport.is_closing():
            return faults.lost(None, answered=True, sent_at=self._sent_at)
        self._transport.resume_reading()
        return await self._wait(self._loop.time() + left)

    def _expire(self) -> None:
        # What is still in the buffer leaves no sooner than now.
        since = self._loop.time() if self._transport.get_write_buffer_size() else self._sent_at
        self._fail(faults.timed_out(self._timeout, answered=self._heard, sent_at=since))


def _is_readable(transport: asyncio.Transport) -> bool:
    """Ask the kernel, because the event loop may not have looked since the last answer."""
    sock = transport.get_extra_info("socket")
    if sock is None or not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
