"""Attempts over HTTP: one attempt, one request on the wire, and the truth about it.

It never retries, sleeps, queues, follows a redirect or reads settings; that is decided
elsewhere. What the network does comes back as a value; only cancellation is raised.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

import aiohttp

from wolkvox_async.model import WITHHELD, Answer, Breakdown, Call, ErrorKind, Operation, Token

from . import bodies, faults
from .deadlines import Deadlines, TimeLimit
from .dialling import Dialler
from .heads import Grown, Met, RawAnswer
from .keeping import Keeper
from .requests import Address, Frame, Targets, address, frame
from .room import BIG, Room
from .settings import HttpSettings
from .shared import Shared
from .tls import tls_context
from .wire import Wire

_CLOSING_ROUNDS: Final = 100


__all__ = ["HttpSettings", "HttpTransport", "HttpTurn"]


class HttpTransport:
    """The real transport; make one inside a running event loop, if `misfit` has nothing to say."""

    def __init__(self, settings: HttpSettings, *, connector: aiohttp.BaseConnector | None = None) -> None:
        """Use `connector` for new connections if given; it stays its owner's to close."""
        self.settings: Final = settings
        self.targets: Final = Targets()
        self.loop: Final = asyncio.get_running_loop()
        self._tls: Final = tls_context(settings.ca_file) if settings.base_url.lower().startswith("https:") else None
        self._dialler: Final = Dialler(connector=connector, tls=self._tls, proxy=settings.proxy)
        self._addresses: Final[dict[str, Address]] = {}  # one per server
        self._frames: Final[dict[Address, Frame]] = {}  # one per server
        self._deadlines: Final = Deadlines()
        self._room: Final = Room()
        self._wires: Final[set[Wire]] = set()  # all that are open
        self._keeper: Final = Keeper(self._deadlines) if settings.connections == "shared" else None
        self._shared: Final = Shared(settings.max_body, settings.timeout, self._deadlines, self._room, self._wires)

    def turn(self, operation: Operation) -> HttpTurn:
        """Open a turn; it takes or opens a connection when its first attempt is made."""
        return HttpTurn(self, self.address(operation.server))

    def address(self, server: str) -> Address:
        """Return where `server` is."""
        found = self._addresses.get(server)
        if found is None:
            found = self._addresses[server] = address(self.settings.base_url, server)
        return found

    async def obtain(self, at: Address, deadline: float) -> Wire | Breakdown:
        """Take a connection that was kept, or open one; `give_back` says that it is not in use any more."""
        keeper = self._keeper
        if keeper is None:
            return await self._connect(at, deadline)
        wire = await keeper.take(at.origin)
        if wire is not None:
            self._frame(wire, at)
            return wire
        met: Wire | Breakdown | None = None
        try:
            met = await self._connect(at, deadline)
        finally:
            if not isinstance(met, Wire):
                keeper.give_back(at.origin, None)
        return met

    def give_back(self, at: Address, wire: Wire, *, is_sound: bool) -> None:
        """End the use of a connection; a sound one may be kept for the next turn, whosever that is."""
        wire.holding.let_go()
        if is_sound and self._tls is not None and wire.tls is not None and not wire.is_learnt:
            wire.is_learnt = True  # reading a session takes half a millisecond
            self._tls.learn(wire.tls)
        keeps = is_sound and self._keeper is not None
        if not keeps:
            wire.abort()
        if self._keeper is not None:
            self._keeper.give_back(at.origin, wire if keeps else None)

    async def _connect(self, at: Address, deadline: float) -> Wire | Breakdown:
        settings, proxied = self.settings, self.settings.proxy is not None
        limit = TimeLimit(self._deadlines, min(deadline, self.loop.time() + settings.connect_timeout))
        try:
            with limit:
                wire = await self._dialler.open(at.origin, self._shared)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return faults.connect_fault(error, proxied=proxied)
        if limit.expired:
            return faults.connect_timeout(min(settings.connect_timeout, settings.timeout), proxied=proxied)
        self._frame(wire, at)
        is_quiet = False
        try:
            is_quiet = wire.is_silent() or await wire.is_quiet()
        finally:
            if not is_quiet:
                wire.abort()
        return wire if is_quiet else wire.why_unusable()

    def _frame(self, wire: Wire, at: Address) -> None:
        found = self._frames.get(at)
        if found is None:
            lines, agent = self._dialler.opener.proxy_lines(at.origin), self.settings.user_agent
            found = frame(at, user_agent=agent, encodings=bodies.ACCEPTED, proxy_lines=lines)
            self._frames[at] = found
        wire.frame = found

    async def close(self) -> None:
        """Close every connection; when this returns no socket is left."""
        for wire in tuple(self._wires):
            wire.abort()
        for _ in range(_CLOSING_ROUNDS):
            if not self._wires:
                break
            await asyncio.sleep(0)
        self._deadlines.rest()
        await self._dialler.opener.close()


class HttpTurn:
    """One token's turn: its calls back to back, over one connection while that stays sound."""

    __slots__ = ("_at", "_is_sound", "_transport", "_wire")

    def __init__(self, transport: HttpTransport, at: Address) -> None:
        self._transport: Final = transport
        self._at: Final = at
        self._wire: Wire | None = None
        self._is_sound = False  # its last attempt brought an answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go(is_sound=self._is_sound and kind is None)

    def distrust(self) -> None:
        """Close the connection, if there is one."""
        self._let_go(is_sound=False)

    def _let_go(self, *, is_sound: bool) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            self._transport.give_back(self._at, wire, is_sound=is_sound)

    async def attempt(self, call: Call) -> Answer | Breakdown:
        """Make one attempt at `call`."""
        transport, token = self._transport, call.operation.token
        deadline = transport.loop.time() + transport.settings.timeout
        self._is_sound = False
        try:
            wire = self._ready() or await self._replaced(deadline)
            if isinstance(wire, Breakdown):
                return wire
            # Between this and the write nothing is waited for.
            if (may_send := transport.settings.may_send) is not None and not may_send(token.id):
                self.distrust()
                return WITHHELD
            raw = await wire.ask(transport.targets.of(call), token, deadline)
            met = _ordinary(raw, wire, token) or await self._other(raw, wire, token)
        except BaseException:  # cancelled, nearly always
            self.distrust()
            raise
        self._is_sound = isinstance(met, Answer)
        return met

    async def _other(self, raw: Met, wire: Wire, token: Token) -> Answer | Breakdown:
        if isinstance(raw, Grown):
            raw = await wire.go_on()
        met = raw if isinstance(raw, Breakdown) else await self._decoded(raw, wire, token)
        if isinstance(met, Breakdown):
            wire.holding.let_go()
        elif wire.holding.is_wide:
            wire.holding.leave_pool()  # whoever gets the answer parses it before anything else is read
        return met

    def _ready(self) -> Wire | None:
        """Return the connection, if it may be asked at once."""
        wire = self._wire
        if wire is None:
            return None
        if wire.holding.is_wide:
            wire.holding.let_go()
        return wire if wire.is_silent() else None

    async def _replaced(self, deadline: float) -> Wire | Breakdown:
        """Return the connection, if it may be asked once what came was looked at, or another one."""
        if self._wire is not None and await self._wire.is_quiet():
            return self._wire
        self.distrust()
        met = await self._transport.obtain(self._at, deadline)
        if isinstance(met, Wire):
            self._wire = met
        return met

    async def _decoded(self, raw: RawAnswer, wire: Wire, token: Token) -> Answer | Breakdown:
        (head, packed), most = raw, self._transport.settings.max_body
        encoding = bodies.shown(head.encoding, token)
        try:
            body = None if wire.holding.is_big else bodies.decoded(packed, encoding, most=min(most, BIG))
            if body is None and bodies.fits(packed, encoding, most=most):
                await wire.holding.hold_big()
                body = bodies.decoded(packed, encoding, most=most)
        except bodies.BodyError as error:
            return Breakdown(ErrorKind.MALFORMED, str(error), None, head.status)
        if body is None:
            return replace(faults.too_large(most, unanswered_since=None), status=head.status)
        pause = None if head.retry_after is None else bodies.shown(head.retry_after, token)
        location = None if head.location is None else bodies.shown(head.location, token)
        return Answer(head.status, token.redact(body), pause, location, wire.asked > 1, wire.sent_at)


def _ordinary(raw: Met, wire: Wire, token: Token) -> Answer | None:
    """Return the answer, if it is one with which nothing has to be done."""
    if isinstance(raw, tuple) and not wire.holding.is_wide:  # so it is small
        head, body = raw
        if head.is_plain:
            return Answer(head.status, token.redact(body), None, None, wire.asked > 1, wire.sent_at)
    return None
