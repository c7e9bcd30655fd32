"""What is undocumented in aiohttp, all of it: how connections are opened, and the parser of answers.

`TCPConnector.connect` brings DNS, TLS, proxies and happy eyeballs. A session is not
used here: it sends a GET a second time by itself when a connection dies early, pools
connections between tenants and follows redirects. The request that `connect` is given
holds no header of ours, so no exception of aiohttp's can hold a token.

`misfit` tries out whether the installed aiohttp has all of this as it is used here;
where it does not, another transport has to do.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from yarl import URL

__all__ = [
    "ADDRESS_TTL",
    "HttpProcessingError",
    "HttpResponseParser",
    "Opened",
    "Opener",
    "RawResponseMessage",
    "answer_parser",
    "misfit",
]

_MISSING = False
try:
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.http_exceptions import HttpProcessingError
    from aiohttp.http_parser import HttpResponseParser, RawResponseMessage
except ImportError:  # whoever asks `misfit` uses nothing of this then
    _MISSING = True
    ClientRequest = HttpProcessingError = HttpResponseParser = RawResponseMessage = Any  # type: ignore[assignment,misc]

ADDRESS_TTL: Final = 30
"""Seconds for which a server's address, once looked up, is believed."""

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_CANNED: Final = (
    (b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\n{}", b"{}", False, False),
    (b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"{}", False, True),
    (b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"", True, False),
)
_NO_LIMIT: Final = 2**30  # of the parser's own buffer, which is emptied after every piece


@dataclass(frozen=True, slots=True)
class Opened:
    """A fresh connection: its transport, and what aiohttp wants told when it goes."""

    transport: asyncio.Transport
    connection: aiohttp.connector.Connection
    handler: Any

    @property
    def has_spoken(self) -> bool:
        """Whether something came before it was handed over."""
        return bool(self.handler.should_close)

    def release(self, error: BaseException | None) -> None:
        """Say that the connection is gone."""
        self.handler.connection_lost(error)
        self.connection.close()


class Opener:
    """Opens connections, each for one turn; keeps one request object per origin."""

    def __init__(self, *, connector: aiohttp.BaseConnector | None, tls: ssl.SSLContext | None, proxy: str | None):
        """Use `connector` if given (it stays its owner's), else one of our own without limits."""
        self._owned: Final = connector is None
        self._connector: Final = connector or aiohttp.TCPConnector(limit=0, force_close=True, ttl_dns_cache=ADDRESS_TTL)
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
        return Opened(transport, connection, handler)

    def proxy_lines(self, origin: str) -> str | None:
        """Return what a proxy that relays plain HTTP wants to read in each request; None where there is none."""
        if self._proxy is None or origin.startswith("https:"):
            return None
        credentials = self._request(origin).headers.get("Proxy-Authorization")
        return f"Proxy-Authorization: {credentials}\r\n" if credentials else ""

    async def close(self) -> None:
        """Close the connector, unless it is somebody else's."""
        if self._owned:
            await self._connector.close()

    def _request(self, origin: str) -> ClientRequest:
        request = self._requests.get(origin)
        if request is None:
            request = self._requests[origin] = _request(URL(origin), self._tls, self._proxy)
        return request


def _request(url: URL, tls: ssl.SSLContext | None, proxy: URL | None) -> ClientRequest:
    return ClientRequest(
        "GET",
        url,
        loop=asyncio.get_running_loop(),
        ssl=tls if tls is not None else True,
        proxy=proxy.with_user(None) if proxy else None,
        # Made by from_url: the class itself warns that it is deprecated.
        proxy_auth=aiohttp.BasicAuth.from_url(proxy, encoding="utf-8") if proxy else None,
    )


def answer_parser(loop: asyncio.AbstractEventLoop) -> HttpResponseParser:
    """Return aiohttp's parser, set to leave decompression to us."""
    return HttpResponseParser(_NoFlowControl(), loop, _NO_LIMIT, read_until_eof=True, auto_decompress=False)  # type: ignore[arg-type]


class _NoFlowControl:
    """Stands where the parser expects a protocol that can be paused; ours pauses itself."""

    _reading_paused: Final = False

    def pause_reading(self) -> None:
        """Do nothing: the wire pauses when a body is big, and the payload is emptied at once."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Do nothing."""


def misfit() -> str | None:
    """Say what the installed aiohttp lacks of what is used here; None when it has everything. Needs a running loop."""
    if _MISSING:
        return "aiohttp has moved its parser or its requests"
    try:
        return _connecting_misfit() or _parsing_misfit(asyncio.get_running_loop())
    except Exception as error:  # noqa: BLE001 - whatever it is, it does not fit
        return f"aiohttp's parts do not work together as they did ({type(error).__name__})"


def _connecting_misfit() -> str | None:
    wanted = {"self", "req", "traces", "timeout"}
    if set(inspect.signature(aiohttp.TCPConnector.connect).parameters) != wanted:
        return "aiohttp's connector connects in another way"
    if not all(hasattr(aiohttp.connector.Connection, name) for name in ("protocol", "transport", "close")):
        return "aiohttp's connections have other parts"
    handler: Any = aiohttp.client_proto.ResponseHandler
    if not all(hasattr(handler, name) for name in ("should_close", "connection_lost")):
        return "aiohttp's protocols have other parts"
    request = _request(URL("https://127.0.0.1"), None, URL("http://a:b@127.0.0.1"))
    return None if request.is_ssl() and request.proxy is not None else "aiohttp's requests are other ones"


def _parsing_misfit(loop: asyncio.AbstractEventLoop) -> str | None:
    parser = answer_parser(loop)
    for sent, body, is_last, is_chunked in _CANNED:
        ((message, payload),), _, rest = parser.feed_data(sent)
        met = message.code, message.headers.getall("X-A"), message.should_close, message.chunked
        if met != (200, ["b"], is_last, is_chunked) or rest:
            return "aiohttp's parser reads heads in another way"
        if not payload.is_eof() or payload.read_nowait() != body:
            return "aiohttp's parser reads bodies in another way"
    return None
