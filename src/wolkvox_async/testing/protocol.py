"""One client connection of the simulated vendor: bytes, pauses and endings.

A connection is *reading* or has a request at work; requests on it are answered one after
the other. What is delivered are the steps of `deliveries.steps`: this only carries them
out, with back-pressure, on timers of the event loop and without a task. An error in here
is the simulator's own: it goes into the journal and to the loop's exception handler.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, assert_never, cast

import orjson

from .answers import NO_REQUEST, Reply
from .deliveries import Afterwards, Mark, Step, steps, whole_answer
from .faults import WHOLE
from .reception import Reception, Visit, Work
from .requests import HEAD_END, MAX_HEAD, Aim, Request, read_head

_BURST: Final = 16
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """Serves one client; `open_connections` is where it keeps itself while it lives."""

    def __init__(
        self, reception: Reception, server: str, number: int, open_connections: set[Connection], *, trap: bool = False
    ) -> None:
        self._reception: Final = reception
        self._server: Final = server
        self._number: Final = number
        self._open: Final = open_connections
        self._trap: Final = trap
        self._loop: Final = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._work: Work | None = None
        self._reply: Reply | None = None
        self._steps: Iterator[Step] | None = None
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._paused = False
        self._closing = False

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._open.add(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        self._guarded(self._receive, data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        """Let go of everything; the vendor may go on working."""
        self._guarded(self._leave)

    def pause_writing(self) -> None:
        """Stop delivering: the client reads more slowly than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on delivering."""
        self._paused = False
        if self._steps is not None and self._timer is None:
            self._guarded(self._deliver)

    # Coming in.

    def _receive(self, data: bytes) -> None:
        if self._closing:
            return
        self._unread = self._unread + data if self._unread else data
        if self._work is not None:
            self._reception.overhasty(self._visit())
            if len(self._unread) > MAX_HEAD:
                self._finish()
        elif self._steps is None:
            self._read_next()

    def _read_next(self) -> None:
        end = self._unread.find(HEAD_END)
        if end < 0:
            if len(self._unread) > MAX_HEAD:
                self._refuse_gibberish()
            return
        request = read_head(self._unread[: end + 2])
        self._unread = self._unread[end + 4 :]
        if request is None:
            self._refuse_gibberish()
        else:
            self._take(request)

    def _take(self, request: Request) -> None:
        target = self._reception.target(request.target)
        if target.aim is Aim.VERDICT and not self._trap:
            self._tell_verdict(request)
            return
        work = self._reception.admit(request, target, self._visit())
        self._work = work
        if request.has_body:
            # Where the body ends does not matter: nothing more is read here.
            self._unread = b""
        elif self._unread:
            self._reception.overhasty(self._visit())
        if work.seconds > 0:
            self._timer = self._loop.call_later(work.seconds, self._on_timer, self._answer, work)
        else:
            self._answer(work)

    def _visit(self) -> Visit:
        return Visit(self._number, self._server, self._loop.time(), self._trap)

    def _refuse_gibberish(self) -> None:
        self._reception.gibberish(self._visit())
        self._write(whole_answer(NO_REQUEST, close=True))
        self._finish()

    def _tell_verdict(self, request: Request) -> None:
        verdict = self._reception.judge.verdict().document()
        self._write(whole_answer(Reply(200, orjson.dumps(verdict)), close=request.close))
        if request.close:
            self._finish()

    # Going out.

    def _answer(self, work: Work) -> None:
        self._reply = reply = self._reception.reply(work)
        close = work.request.close or work.request.has_body or work.request.method != "GET"
        if close or reply.wire != WHOLE:
            self._steps = steps(reply, close=close)
            self._deliver()
        else:
            self._free()
            self._write(whole_answer(reply))
            self._go_on()

    def _go_on(self) -> None:
        """Take up what came in meanwhile, in a turn of its own: a client may have sent a thousand requests."""
        if self._unread and self._work is None and not self._closing:
            self._timer = self._loop.call_soon(self._on_timer, self._read_next)

    def _free(self) -> None:
        if self._work is not None and self._reply is not None:
            self._reception.answered(self._work, self._reply, self._loop.time())
        self._work = self._reply = None

    def _deliver(self) -> None:
        """Carry out steps until one needs time, the client falls behind, or they are over."""
        for _ in range(_BURST):
            if self._paused or self._steps is None:
                return
            step = next(self._steps, None)
            if step is None:
                self._steps = None
                self._go_on()
                return
            if isinstance(step, int | float):
                self._timer = self._loop.call_later(step, self._on_timer, self._deliver)
                return
            self._carry_out(step)
        self._timer = self._loop.call_soon(self._on_timer, self._deliver)

    def _carry_out(self, step: bytes | Mark | Afterwards) -> None:
        match step:
            case bytes():
                self._write(step)
            case Afterwards(seconds=seconds, extra=extra):
                self._loop.call_later(seconds, self._write, extra)
            case Mark.FREE:
                self._free()
            case Mark.CLOSE:
                self._finish()
            case Mark.RESET:
                self._reset()
            case _ as never:
                assert_never(never)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._closing:
            self._transport.write(data)

    def _finish(self) -> None:
        """Close once everything is written."""
        self._give_up()
        if self._transport is not None:
            self._transport.close()

    def _reset(self) -> None:
        self._give_up()
        if self._transport is not None:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._transport.abort()

    def _give_up(self) -> None:
        self._closing = True
        self._steps = None
        if self._work is not None:
            self._reception.dropped(self._work, self._loop.time())
            self._work = None

    def _leave(self) -> None:
        self._open.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._closing = True
        self._steps = self._timer = self._transport = None
        if self._work is not None:
            self._reception.left(self._work, self._loop.time())
            self._work = None
        self._reception.disconnected(self._number, self._loop.time())

    # What goes wrong in here.

    def _on_timer(self, act: Callable[..., None], *given: Any) -> None:
        self._timer = None
        self._guarded(act, *given)

    def _guarded(self, act: Callable[..., None], *given: Any) -> None:
        try:
            act(*given)
        except Exception as error:  # noqa: BLE001 - a defect ends a connection, not the simulator
            self._reception.crashed(error, self._visit())
            self._loop.call_exception_handler({"message": "the simulator failed", "exception": error})
            self.abort()
