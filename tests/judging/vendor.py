"""A vendor of bytes: it answers, misbehaves as its plan says, and writes down what happened.

It stands on sockets alone, so that nothing between it and the wire mends, repeats or hides
anything. It has many servers, told apart by port, or by the first part of the path on one.

A token is in work from the last byte of a request until the last byte of its answer was
handed over. When that never happens, because the client hung up or because the vendor let
the connection go, it is in work until the vendor's limit is over, counted from the
request: the real one may go on working on what was abandoned. Whoever asks with a token
that is in work is told so, as the real one does.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Final, Self

from . import requests
from .answers import Composed, compose
from .facts import Answered, Asked, Closed, Halted, Journal, Opened, Unanswered, Unasked, token_id
from .manners import AT_ONCE, Director, End, Framing, Manner, Plan, Says

HOST: Final = "127.0.0.1"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a vendor is like.

    `tokens` are texts and the number of the server that each was given out for. With
    `by_path` all `servers` are behind one port. `closed` ports are held, and refuse every
    connection. `limit` is how long, in seconds, an abandoned request is worked on.
    """

    tokens: Sequence[tuple[str, int]]
    servers: int = 1
    by_path: bool = False
    closed: int = 0
    limit: float = 60.0
    plan: Plan = field(default_factory=Plan)


@dataclass(frozen=True, slots=True)
class _Known:
    number: int
    id: str
    home: str


class Vendor:
    """Listens while entered; `servers` are the names of those that listen, `closed` of those that refuse."""

    def __init__(self, setting: Setting, journal: Journal) -> None:
        self.setting: Final = setting
        self.journal: Final = journal
        self.director: Final = Director(setting.plan)
        self.serial: Final = itertools.count(1)
        self.servers: list[str] = []
        self.closed: list[str] = []
        self._tokens: Final[dict[str, _Known]] = {}
        # Until when each token is in work; for ever while nobody knows.
        self._busy: Final[dict[str, tuple[int, float]]] = {}
        self._listeners: Final[list[asyncio.Server]] = []
        self._held: Final[list[socket.socket]] = []
        self._connections: Final[set[Connection]] = set()

    async def __aenter__(self) -> Self:
        for number in range(1 if self.setting.by_path else self.setting.servers):
            self._listeners.append(await self._listener(number))
        ports = [str(listener.sockets[0].getsockname()[1]) for listener in self._listeners]
        self.port = int(ports[0])
        self.servers = [f"{number:04}" for number in range(self.setting.servers)] if self.setting.by_path else ports
        self._held.extend(_refusing() for _ in range(self.setting.closed))
        self.closed = [str(held.getsockname()[1]) for held in self._held]
        for number, (text, server) in enumerate(self.setting.tokens):
            self._tokens[text] = _Known(number, token_id(text), self.servers[server])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.drop()
        while self._connections:
            await asyncio.sleep(0)
        for held in self._held:
            held.close()

    async def _listener(self, number: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Connection(self, number), HOST, 0, backlog=1000)

    # --- what connections ask of it -------------------------------------------------------

    def enter(self, connection: Connection) -> None:
        """Take note of a connection."""
        self._connections.add(connection)

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def knows(self, word: str) -> bool:
        """Tell whether that is the text of a token that was given out."""
        return word in self._tokens

    def take_in(self, raw: bytes, connection: Connection) -> tuple[Asked, Manner]:
        """Read a request, write it down, and return how it is to be met."""
        at, request = time.monotonic(), next(self.serial)
        read = requests.read(raw, self.knows)
        text = read.tokens[0] if read.tokens else ""
        known = self._tokens.get(text)
        number = connection.server
        if self.setting.by_path:
            number = self.servers.index(read.server) if read.server in self.servers else -1
        strays = read.strays + ("a second header",) * (len(read.tokens) > 1)
        asked = Asked(
            at,
            connection.number,
            request,
            connection.began,
            self.servers[number] if number >= 0 else read.server,
            token_id(text) if text else "",
            known.home if known else "",
            read.api,
            read.query,
            strays,
        )
        self.journal.note(asked)
        return asked, self._manner(asked, number, known)

    def _manner(self, asked: Asked, server: int, known: _Known | None) -> Manner:
        if known is None:
            return Manner(says=Says.UNAUTHORIZED)
        _, until = self._busy.get(asked.token, (0, 0.0))
        if asked.at < until:
            return Manner(says=Says.BUSY)
        self._busy[asked.token] = (asked.request, float("inf"))
        return self.director.meet(server, known.number)

    def give_back(self, asked: Asked, *, until: float) -> None:
        """Have the token in work no longer than `until`, unless that is another request's doing."""
        if self._busy.get(asked.token, (0, 0.0))[0] == asked.request:
            self._busy[asked.token] = (asked.request, until)


def _refusing() -> socket.socket:
    """Return a bound socket that does not listen: whoever connects to it is refused."""
    held = socket.socket()
    held.bind((HOST, 0))
    return held


class Connection(asyncio.Protocol):
    """One connection; its requests are answered one after the other."""

    def __init__(self, vendor: Vendor, server: int) -> None:
        self.server: Final = server
        self.number: Final = next(vendor.serial)
        self.began = 0.0
        self._vendor: Final = vendor
        self._received = bytearray()
        self._waiting: Final[asyncio.Queue[tuple[Asked, Manner]]] = asyncio.Queue()
        self._open: tuple[Asked, int] | None = None  # being answered, and the bytes that are out
        self._drained: Final = asyncio.Event()
        self._deaf = self._gone = False
        self._cut_short = False

    # --- what asyncio calls -----------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; a plan may end it here."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(0)
        self._vendor.enter(self)
        self._vendor.journal.note(Opened(time.monotonic(), self.number, transport.get_extra_info("sockname")[1]))
        self._task = asyncio.get_running_loop().create_task(self._answer_all(), name="vendor")
        cut = self._vendor.director.cut(self.server)
        if cut is not None and cut.reads == AT_ONCE:
            self._cut(cut)

    def data_received(self, data: bytes) -> None:
        """Take in bytes; a plan may see only some of them."""
        if self._deaf:
            self._cut_short = True
            return
        if not self._received:
            self.began = time.monotonic()
        self._received += data
        cut = self._vendor.director.cut(self.server)
        if cut is not None and cut.reads is not None and len(self._received) >= cut.reads:
            self._cut_short = True
            self._cut(cut)
        for raw in self._whole():
            self._waiting.put_nowait(self._vendor.take_in(raw, self))

    def connection_lost(self, _: Exception | None) -> None:
        """Write down what was left undone."""
        now = time.monotonic()
        self._gone = True
        self._task.cancel()
        if self._open is not None:
            self._give_up(*self._open, now)
        while not self._waiting.empty():
            self._give_up(self._waiting.get_nowait()[0], 0, now)
        self._vendor.journal.note(Closed(now, self.number, begun=self._cut_short or bool(self._received)))
        self._vendor.leave(self)

    def pause_writing(self) -> None:
        """Take note that bytes are waiting."""
        self._drained.clear()

    def resume_writing(self) -> None:
        """Take note that the kernel has every byte."""
        self._drained.set()

    # --- in ---------------------------------------------------------------------------

    def _whole(self) -> Iterator[bytes]:
        while length := requests.split(self._received):
            raw = bytes(self._received[:length])
            del self._received[:length]
            yield raw
            self.began = time.monotonic()

    def _cut(self, cut: Manner) -> None:
        self._vendor.director.spend(self.server)
        self._received.clear()
        self._end(cut.end)

    def _give_up(self, asked: Asked, sent: int, now: float) -> None:
        self._vendor.journal.note(Unanswered(now, asked.request, sent))
        self._vendor.give_back(asked, until=asked.at + self._vendor.setting.limit)

    # --- out --------------------------------------------------------------------------

    async def _answer_all(self) -> None:
        while True:
            asked, manner = await self._waiting.get()
            self._open = asked, 0
            await self._answer(asked, manner)
            if manner.unasked is not None:
                await asyncio.sleep(manner.unasked)
                await self._blurt_out(asked)

    async def _answer(self, asked: Asked, manner: Manner) -> None:
        await asyncio.sleep(manner.latency)
        serial = next(self._vendor.serial)
        composed = compose(manner, asked.token, serial)
        began, rest = time.monotonic(), composed.data
        place = _place(manner, rest)
        if place is not None:
            first, rest = rest[:place], rest[place:]
            await self._send(asked, first)
            self._vendor.journal.note(Halted(time.monotonic(), asked.request, len(first)))
            await asyncio.sleep(manner.halt_for)
            if manner.end is not End.KEEP:
                self._end(manner.end)
                await asyncio.Event().wait()  # until the connection is lost
        await self._send(asked, rest)
        self._complete(asked, began, composed, serial)
        if manner.end is not End.KEEP or manner.framing is Framing.UNTIL_CLOSE:
            self._end(End.CLOSE)

    async def _send(self, asked: Asked, data: bytes) -> None:
        _, sent = self._open or (asked, 0)
        self._drained.set()
        self._transport.write(data)
        self._open = asked, sent + len(data)
        await self._drained.wait()

    def _complete(self, asked: Asked, began: float, composed: Composed, serial: int) -> None:
        now = time.monotonic()
        self._open = None
        self._vendor.give_back(asked, until=now)
        self._vendor.journal.note(
            Answered(now, asked.request, began, composed.status, composed.effect, serial, composed.rows)
        )

    async def _blurt_out(self, asked: Asked) -> None:
        serial = next(self._vendor.serial)
        composed = compose(replace(_PLAIN, rows=2), asked.token, serial)
        self._transport.write(composed.data)
        self._vendor.journal.note(Unasked(time.monotonic(), self.number, asked.token, serial, composed.rows))

    # --- the end ----------------------------------------------------------------------

    def _end(self, end: End) -> None:
        match end:
            case End.RESET:
                connection = self._transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                self._transport.abort()
            case End.CLOSE:
                # Only our side: whatever the client still sends is to be seen.
                self._deaf = True
                self._transport.write_eof()
            case End.KEEP | End.STALL:
                pass

    def drop(self) -> None:
        """End it without a word."""
        self._transport.abort()


def _place(manner: Manner, data: bytes) -> int | None:
    """Return before which byte the answer is to halt; None: nowhere, it is out by then."""
    if manner.halt is None:
        return None
    place = int(manner.halt if manner.halt >= 1 else manner.halt * len(data))
    return place if place < len(data) else None


_PLAIN: Final = Manner()
