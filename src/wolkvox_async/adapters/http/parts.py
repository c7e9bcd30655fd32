"""Connections, opened by aiohttp's own parts in a way that it does not document.

`TCPConnector.connect` brings DNS, TLS, proxies and happy eyeballs. A session is not
used at all: it sends a GET a second time by itself when a connection dies early, pools
connections between tenants and follows redirects. The request that `connect` is given
holds no header of ours, so no exception of aiohttp's can hold a token.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from yarl import URL

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


@dataclass(frozen=True, slots=True)
class Opened:
    """A fresh connection: its transport, and what aiohttp wants told when it goes."""

    transport: asyncio.Transport
    connection: aiohttp.connector.Connection
    handler: Any
    proxy_lines: str | None


class Opener:
    """Opens connections, each for one turn; keeps one request object per origin."""

    def __init__(self, *, connector: aiohttp.BaseConnector | None, tls: ssl.SSLContext | None, proxy: str | None):
        """Use `connector` if given (it stays its owner's), else one of our own without limits."""
        self._owned: Final = connector is None
        self._connector: Final = connector or aiohttp.TCPConnector(limit=0, force_close=True)
        self._tls: Final = tls
        self._proxy: Final = URL(proxy) if proxy else None
        self._requests: dict[str, ClientRequest] = {}

    async def open(self, origin: str) -> Opened:
        """Connect to `origin`; raises what aiohttp raises."""
        request = self._request(origin)
        connection = await self._connector.connect(request, traces=[], timeout=_TIMEOUT)
        handler, transport = connection.protocol, connection.transport
        if handler is None or transport is None:
            connection.close()
            raise OSError("the connection was gone at once")
        lines = None
        if self._proxy is not None and not request.is_ssl():
            credentials = request.headers.get("Proxy-Authorization")
            lines = f"Proxy-Authorization: {credentials}\r\n" if credentials else ""
        return Opened(transport, connection, handler, lines)

    async def close(self) -> None:
        """Close the connector, unless it is somebody else's."""
        if self._owned:
            await self._connector.close()

    def _request(self, origin: str) -> ClientRequest:
        request = self._requests.get(origin)
        if request is None:
            request = self._requests[origin] = ClientRequest(
                "GET",
                URL(origin),
                loop=asyncio.get_running_loop(),
                ssl=self._tls if self._tls is not None else True,
                proxy=self._proxy.with_user(None) if self._proxy else None,
                # Made by from_url: the class itself warns that it is deprecated.
                proxy_auth=aiohttp.BasicAuth.from_url(self._proxy, encoding="utf-8") if self._proxy else None,
            )
        return request


def hold_back(transport: asyncio.Transport) -> None:
    """Stop reading a transport that was paused, its socket too; call it when nothing is being read.

    A TLS transport that is paused goes on reading its socket until it has half a MiB, and
    uvloop's forgets all of that when the end of the stream is among it.
    """
    if not transport.is_closing():
        _limit_tls_buffer(transport, 0)


def let_flow(transport: asyncio.Transport) -> None:
    """Read again; what TLS has not decrypted yet comes before the socket is read any further."""
    _limit_tls_buffer(transport, 1)
    transport.resume_reading()


def _limit_tls_buffer(transport: asyncio.Transport, size: int) -> None:
    # Only transports over TLS have this; what it says is obeyed at once.
    limit: Any = getattr(transport, "set_read_buffer_limits", None)
    if limit is not None:
        limit(size)
