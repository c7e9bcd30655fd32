"""Attempts over HTTP: one attempt, one request on the wire, and the truth about it.

It never retries, sleeps, queues, follows a redirect or reads settings; that is decided
elsewhere. What the network does comes back as a value; only cancellation is raised.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Final, Self

import aiohttp

from wolkvox_async.model import Answer, Breakdown, Call, ErrorKind, Operation, Token

from . import bodies, faults
from .parts import Opener
from .requests import Address, address, request_head
from .room import BIG, Room
from .wire import RawAnswer, Wire

_CLOSING_ROUNDS: Final = 100


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where requests go and how much they may take; times in seconds, sizes in bytes."""

    base_url: str = "https://wv{server}.wolkvox.com"
    timeout: float = 65.0
    connect_timeout: float = 10.0
    max_body: int = 16_777_216
    ca_file: str | None = None
    proxy: str | None = field(default=None, repr=False)  # may hold a password
    user_agent: str = "wolkvox-async"


class HttpTransport:
    """The real transport; make one inside a running event loop."""

    def __init__(self, settings: HttpSettings, *, connector: aiohttp.BaseConnector | None = None) -> None:
        """Use `connector` for new connections if given; it stays its owner's to close."""
        self.settings: Final = settings
        tls = _tls_context(settings.ca_file) if settings.base_url.lower().startswith("https:") else None
        self._opener: Final = Opener(connector=connector, tls=tls, proxy=settings.proxy)
        self._addresses: Final[dict[str, Address]] = {}  # one per server
        self._room: Final = Room()
        self._wires: Final[set[Wire]] = set()

    def turn(self, operation: Operation) -> HttpTurn:
        """Open a turn; it connects when its first attempt is made."""
        return HttpTurn(self, self.address(operation.server))

    def address(self, server: str) -> Address:
        """Return where `server` is."""
        found = self._addresses.get(server)
        if found is None:
            found = self._addresses[server] = address(self.settings.base_url, server)
        return found

    async def connect(self, at: Address, deadline: float) -> tuple[Wire, str | None] | Breakdown:
        """Open a connection of its own, and say what a proxy wants to read in each request."""
        settings, proxied = self.settings, self.settings.proxy is not None
        limit = min(deadline, asyncio.get_running_loop().time() + settings.connect_timeout)
        try:
            async with asyncio.timeout_at(limit):
                opened = await self._opener.open(at.origin)
        except TimeoutError:
            return faults.connect_timeout(min(settings.connect_timeout, settings.timeout), proxied=proxied)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return faults.connect_fault(error, proxied=proxied)
        wire = Wire(opened, room=self._room, max_body=settings.max_body, timeout=settings.timeout)
        self._wires.add(wire)
        wire.gone.add_done_callback(lambda _: self._wires.discard(wire))
        return wire, opened.proxy_lines

    async def close(self) -> None:
        """Close every connection; when this returns no socket is left."""
        for wire in tuple(self._wires):
            wire.abort()
        for _ in range(_CLOSING_ROUNDS):
            if not self._wires:
                break
            await asyncio.sleep(0)
        await self._opener.close()


class HttpTurn:
    """One token's turn: its calls back to back, over one connection while that stays sound."""

    def __init__(self, transport: HttpTransport, at: Address) -> None:
        self._transport: Final = transport
        self._at: Final = at
        self._wire: Wire | None = None
        self._proxy_lines: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.distrust()

    def distrust(self) -> None:
        """Close the connection, if there is one."""
        if self._wire is not None:
            self._wire.holding.let_go()
            self._wire.abort()
            self._wire = None

    async def attempt(self, call: Call) -> Answer | Breakdown:
        """Make one attempt at `call`."""
        try:
            met = await self._attempt(call)
        except BaseException:  # cancelled, nearly always
            self.distrust()
            raise
        if self._wire is not None and isinstance(met, Breakdown):
            self._wire.holding.let_go()
        elif self._wire is not None:
            self._wire.holding.leave_pool()  # whoever gets the answer parses it before anything else is read
        return met

    async def _attempt(self, call: Call) -> Answer | Breakdown:
        settings = self._transport.settings
        deadline = asyncio.get_running_loop().time() + settings.timeout
        wire = await self._wire_for(deadline)
        if isinstance(wire, Breakdown):
            return wire
        head = request_head(
            call,
            self._at,
            user_agent=settings.user_agent,
            encodings=bodies.ACCEPTED,
            proxy_lines=self._proxy_lines,
        )
        met = await wire.ask(head, deadline=deadline)
        return met if isinstance(met, Breakdown) else await self._decoded(met, wire, call.operation.token)

    async def _wire_for(self, deadline: float) -> Wire | Breakdown:
        if self._wire is not None:
            self._wire.holding.let_go()
            if await self._wire.is_quiet():
                return self._wire
            self._wire = None
        met = await self._transport.connect(self._at, deadline)
        if isinstance(met, Breakdown):
            return met
        self._wire, self._proxy_lines = met
        if await self._wire.is_quiet():
            return self._wire
        wire, self._wire = self._wire, None
        wire.abort()
        return wire.why_unusable()

    async def _decoded(self, raw: RawAnswer, wire: Wire, token: Token) -> Answer | Breakdown:
        encoding, most = _shown(raw.encoding, token), self._transport.settings.max_body
        try:
            body = None if wire.holding.is_big else bodies.decoded(raw.body, encoding, most=min(most, BIG))
            if body is None and bodies.fits(raw.body, encoding, most=most):
                await wire.holding.hold_big()
                body = bodies.decoded(raw.body, encoding, most=most)
        except bodies.BodyError as error:
            return Breakdown(ErrorKind.MALFORMED, str(error), None, raw.status)
        if body is None:
            return replace(faults.too_large(most, unanswered_since=None), status=raw.status)
        body = token.redact(body)
        pause = None if raw.retry_after is None else _shown(raw.retry_after, token)
        location = None if raw.location is None else _shown(raw.location, token)
        return Answer(raw.status, body, pause, location, raw.kept, raw.sent_at)


def _shown(header: str, token: Token) -> str:
    """Return a header of an answer as it may be shown: text throughout, and without the token."""
    return token.redact(header.encode("utf-8", "surrogateescape")).decode("utf-8", "replace") if header else ""


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    # The default context verifies, and honours SSL_CERT_FILE.
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
