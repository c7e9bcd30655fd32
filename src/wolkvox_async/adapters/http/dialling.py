"""How connections come about: by aiohttp, or, where it has just been, more cheaply.

aiohttp looks the name up, tries the addresses that it finds, and says exactly what went
wrong. The address that it reached is remembered for `ADDRESS_TTL`, and until then dialled
directly, which costs a third. When that brings no connection the address is forgotten and
aiohttp is asked after all: no request has left, and what it says is what counts. A proxy,
or somebody else's connector, has ways of its own and is never passed by.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from .flow import connected
from .parts import ADDRESS_TTL, Opener
from .shared import Shared
from .wire import Wire

_MOST_ADDRESSES: Final = 1_000


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a connection came about, until when that is believed, and the name that its certificate must have."""

    host: str
    port: int
    until: float
    name: str | None


class Dialler:
    """Opens connections; remembers at most `_MOST_ADDRESSES` addresses."""

    def __init__(self, *, connector: aiohttp.BaseConnector | None, tls: ssl.SSLContext | None, proxy: str | None):
        self.opener: Final = Opener(connector=connector, tls=tls, proxy=proxy)
        self._tls: Final = tls
        self._remembers: Final = connector is None and proxy is None
        self._reached: Final[dict[str, Reached]] = {}
        self._loop: Final = asyncio.get_running_loop()

    async def open(self, origin: str, shared: Shared) -> Wire:
        """Connect to `origin`; raises what aiohttp raises."""
        reached = self._reached.get(origin)
        if reached is not None and reached.until > self._loop.time():
            wire = await self._dialled(origin, reached, Wire(shared))
            if wire is not None:
                return wire
        return await self._asked_for(origin, Wire(shared))

    async def _dialled(self, origin: str, reached: Reached, wire: Wire) -> Wire | None:
        stands = False
        try:
            await self._dial(reached, wire)
            stands = True
        except OSError:
            return None
        finally:
            if not stands and self._reached.get(origin) is reached:
                del self._reached[origin]
        return wire

    async def _dial(self, reached: Reached, wire: Wire) -> None:
        tls, name = (None if reached.name is None else self._tls), reached.name
        if isinstance(self._loop, asyncio.SelectorEventLoop):  # its own way costs a quarter more
            sock = await connected(self._loop, reached.host, reached.port)
            await self._loop.create_connection(lambda: wire, sock=sock, ssl=tls, server_hostname=name)
        else:
            await self._loop.create_connection(lambda: wire, reached.host, reached.port, ssl=tls, server_hostname=name)

    async def _asked_for(self, origin: str, wire: Wire) -> Wire:
        opened = await self.opener.open(origin)
        transport = opened.transport
        transport.set_protocol(wire)
        wire.release = opened.release
        wire.connection_made(transport)
        if opened.has_spoken:
            wire.refuse_unasked()
        elif self._remembers:
            self._remember(origin, transport.get_extra_info("peername"))
        return wire

    def _remember(self, origin: str, peer: object) -> None:
        match peer:
            case (str(host), int(port), *_):
                parts = urlsplit(origin)
                name = (parts.hostname or "").rstrip(".") if parts.scheme == "https" else None
                if origin not in self._reached and len(self._reached) >= _MOST_ADDRESSES:
                    del self._reached[next(iter(self._reached))]
                self._reached[origin] = Reached(host, port, self._loop.time() + ADDRESS_TTL, name)
