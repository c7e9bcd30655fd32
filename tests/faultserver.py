"""A server that misbehaves to the byte, and keeps a journal.

What a connection does is a script of steps, taken one after the other: read a request
head, write bytes, wait, close in this way or that. It knows nothing of HTTP but the
blank line at which a request head ends, and nothing at all of its clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
import struct
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Final, Self, TypeAlias, assert_never

HOST: Final = "127.0.0.1"
_HEAD_END: Final = b"\r\n\r\n"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Do(Enum):
    """A step without an argument."""

    READ = "read a request head"
    AWAIT = "wait until bytes have arrived, without reading them; only as the first step"
    SHUT = "send the end of the stream, go on reading"
    CLOSE = "close as one should: over TLS with a closing alert"
    CUT = "close without a word once all was sent: over TLS without a closing alert"
    RESET = "send RST"
    REPEAT = "begin again with the first step"


@dataclass(frozen=True, slots=True)
class Flood:
    """Write `piece` `times` times, as fast as the client takes it."""

    piece: bytes
    times: int


@dataclass(frozen=True, slots=True)
class Drip:
    """Write `data` in pieces of `size` bytes, `seconds` apart (0: a round of the event loop)."""

    data: bytes
    size: int = 1
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Relay:
    """Pass bytes on to a port of this machine, both ways, as a proxy's tunnel does."""

    port: int


Step: TypeAlias = bytes | float | Do | Flood | Drip | Relay | asyncio.Event


@dataclass(slots=True, eq=False)
class Seen:
    """What one connection saw: the request heads it read, and what came behind them.

    `is_played` once all steps were taken, `gone` once the client has closed (or the script has).
    """

    transport: asyncio.WriteTransport
    heads: list[bytes] = field(default_factory=list)
    rest: bytes = b""
    is_played: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, data: bytes) -> None:
        """Write at once, whatever the script is about; the kernel has it when this returns."""
        self.transport.write(data)

    def hang_up(self) -> None:
        """Send the end of the stream at once, over TLS without a word."""
        with socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as connection:
            connection.shutdown(socket.SHUT_WR)


class FaultServer:
    """Listens on a port of its own while entered; connection after connection follows its script."""

    def __init__(self, *otherwise: Step, tls: ssl.SSLContext | None = None) -> None:
        """Follow `otherwise` on connections that `on_connection` has no script for."""
        self.journal: list[Seen] = []
        self._otherwise = otherwise
        self._scripts: deque[tuple[Step, ...]] = deque()
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    def on_connection(self, *steps: Step) -> None:
        """Give the next connection that has no script yet this one."""
        self._scripts.append(steps)

    @property
    def requests(self) -> list[bytes]:
        """Every request head that was read, in order of the connections."""
        return [head for seen in self.journal for head in seen.heads]

    async def all_gone(self) -> None:
        """Wait until the client has closed every connection."""
        for seen in self.journal:
            await seen.gone.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, HOST, 0, ssl=self._tls, limit=2**20, backlog=1000)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = Seen(writer.transport)
        self.journal.append(seen)
        steps = self._scripts.popleft() if self._scripts else self._otherwise
        if steps[:1] == (Do.AWAIT,):
            transport = writer.transport
            assert isinstance(transport, asyncio.ReadTransport)
            transport.pause_reading()
        task = asyncio.get_running_loop().create_task(
            _Scripted(reader, writer, seen).follow(steps), name="fault server"
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Scripted:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
        self._reader = reader
        self._writer = writer
        self._seen = seen

    async def follow(self, steps: tuple[Step, ...]) -> None:
        try:
            while await self._once(steps):
                pass
            self._seen.is_played = True
            self._seen.rest += await self._reader.read()
        except asyncio.IncompleteReadError as end:
            self._seen.rest += end.partial
        except OSError:
            pass  # the client went away, or the script did
        finally:
            self._seen.is_played = True
            self._seen.gone.set()
            self._writer.transport.abort()

    async def _once(self, steps: tuple[Step, ...]) -> bool:
        for step in steps:
            if step is Do.REPEAT:
                return True
            await self._take(step)
        return False

    async def _take(self, step: Step) -> None:
        match step:
            case bytes():
                self._writer.write(step)
                await self._writer.drain()
            case float() | int():
                await asyncio.sleep(step)
            case asyncio.Event():
                await step.wait()
            case Flood(piece=piece, times=times):
                for _ in range(times):
                    await self._take(piece)
            case Drip():
                await self._drip(step)
            case Relay(port=port):
                await _relay(port, self._reader, self._writer)
            case Do():
                await self._do(step)
            case _ as never:
                assert_never(never)

    async def _do(self, step: Do) -> None:
        if step is Do.READ:
            self._seen.heads.append(await self._reader.readuntil(_HEAD_END))
        elif step is Do.AWAIT:
            await _arrival(self._writer.get_extra_info("socket"))
        elif step is Do.SHUT:
            self._writer.write_eof()
        elif step is Do.CLOSE:
            self._writer.close()
            await self._writer.wait_closed()
        elif step is Do.CUT:
            while _unsent(self._writer.transport):
                await asyncio.sleep(0)
            self._writer.transport.abort()
        elif step is Do.RESET:
            connection = self._writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._writer.transport.abort()

    async def _drip(self, drip: Drip) -> None:
        for at in range(0, len(drip.data), drip.size):
            await self._take(drip.data[at : at + drip.size])
            await asyncio.sleep(drip.seconds)


def _unsent(transport: asyncio.WriteTransport) -> int:
    # Over TLS what is packed waits in the transport below.
    above, below = transport, getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    return above.get_write_buffer_size() + (0 if below is None else below.get_write_buffer_size())


async def _arrival(connection: socket.socket) -> None:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    while not poll.poll(0):
        await asyncio.sleep(0)


async def _relay(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    inner_reader, inner_writer = await asyncio.open_connection(HOST, port)
    try:
        await asyncio.gather(_pipe(reader, inner_writer), _pipe(inner_reader, writer))
    finally:
        inner_writer.transport.abort()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
