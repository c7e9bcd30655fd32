"""Lets in only so many connections: descriptors that the watch needs are not for visitors."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

MOST_CONNECTIONS: Final = 256


class _Refusal(asyncio.Protocol):
    """Hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it at once."""
        transport.close()


class Door:
    """Makes a protocol for each connection, as `loop.create_server` asks for."""

    def __init__(self, server: web.Server, most: int = MOST_CONNECTIONS) -> None:
        self._server: Final = server
        self._most: Final = most

    def __call__(self) -> asyncio.BaseProtocol:
        """Return what serves the connection, or hangs up when there are too many."""
        return _Refusal() if len(self._server.connections) >= self._most else self._server()
