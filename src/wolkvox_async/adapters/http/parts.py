"""aiohttp's own parts, and everything we rely on that it does not document.

`TCPConnector.connect` brings DNS, TLS, proxies and happy eyeballs; `HttpResponseParser`
is llhttp. A session is not used at all: it sends a GET a second time by itself when a
connection dies early, pools connections between tenants and follows redirects. The
request that `connect` is given holds no header of ours, so no exception of aiohttp's
can hold a token.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpResponseParser, RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD
from yarl import URL

_NO_LIMIT: Final = 2**30  # of the parser's own buffer, which is emptied after every piece
_HEAD_END: Final = b"\r\n\r\n"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


class FramingError(Exception):
    """The peer does not speak HTTP as agreed; the text is ours and holds nothing of the answer."""


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
                proxy_auth=_credentials(self._proxy),
            )
        return request


def _credentials(proxy: URL | None) -> aiohttp.BasicAuth | None:
    return aiohttp.BasicAuth(proxy.user, proxy.password or "") if proxy is not None and proxy.user else None


class _NoFlowControl:
    """Stands where the parser expects a protocol that can be paused; ours pauses itself."""

    _reading_paused: Final = False

    def pause_reading(self) -> None:
        """Do nothing: the wire pauses when a body is big, and the payload is emptied at once."""

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Do nothing."""


class AnswerReader:
    """Reads exactly one answer, and knows whether bytes came that do not belong to it.

    `surplus` errs on the side of caution: where the end of an answer cannot be told
    from what follows, the connection must not be used again.
    """

    __slots__ = ("_fed", "_head", "_payload", "_tail", "complete", "message", "surplus")

    def __init__(self) -> None:
        self.message: RawResponseMessage | None = None
        self.complete = False
        self.surplus = False
        self._payload: Any = None
        self._head = b""  # what came before the head was complete
        self._fed = 0  # bytes of the body's wire form
        self._tail = b""  # the last four bytes that came

    def feed(self, parser: HttpResponseParser, data: bytes) -> bytes:
        """Take in `data` and return what it holds of the body; raises `FramingError`."""
        messages = _parse(parser, data)
        self._tail = (self._tail + data[-4:])[-4:]
        if self.message is None:
            self._head += data
            self._begin(messages)
        else:
            self._fed += len(data)
            self.surplus |= bool(messages)
        return self._take()

    def feed_eof(self, parser: HttpResponseParser) -> bytes:
        """Take in the end of the stream, which completes an answer without a length."""
        try:
            parser.feed_eof()
        except HttpProcessingError:
            return b""
        return self._take()

    def _begin(self, messages: Any) -> None:
        end = 0
        for at, (message, payload) in enumerate(messages):
            end = self._head.find(_HEAD_END, end) + len(_HEAD_END)
            if message.code == 101:
                raise FramingError("it switches to another protocol")
            if message.code >= 200:
                self.message, self._payload = message, payload
                self._fed = len(self._head) - end
                self.surplus = len(messages) > at + 1 or end < len(_HEAD_END)
                self._head = b""
                return

    def _take(self) -> bytes:
        payload = self._payload
        if payload is None:
            return b""
        if payload.exception() is not None:
            raise FramingError("the body's framing is wrong")
        body: bytes = payload.read_nowait() if payload is not EMPTY_PAYLOAD else b""
        if payload.is_eof() and not self.complete:
            self.complete = True
            self.surplus |= self._has_surplus()
        return body

    def _has_surplus(self) -> bool:
        message = self.message
        if message is None or message.chunked:
            return self._tail != _HEAD_END
        length = message.headers.get("Content-Length")
        if length is None:
            return self._payload is EMPTY_PAYLOAD and self._fed > 0
        return not length.isdigit() or self._fed != int(length)


def answer_parser(loop: asyncio.AbstractEventLoop) -> HttpResponseParser:
    """Return aiohttp's parser, set to leave decompression to us."""
    return HttpResponseParser(_NoFlowControl(), loop, _NO_LIMIT, read_until_eof=True, auto_decompress=False)  # type: ignore[arg-type]


def _parse(parser: HttpResponseParser, data: bytes) -> Any:
    try:
        messages, _, _ = parser.feed_data(data)
    except HttpProcessingError as error:
        kind = type(error).__name__
    else:
        return messages
    raise FramingError(f"its answer cannot be read ({kind})")
