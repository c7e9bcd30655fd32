"""Attempts over HTTP with nothing but what aiohttp documents: the transport that any aiohttp fits.

It keeps every promise of the port, and is slower: a connection is made for one attempt
and closed behind it. Why: between two questions the documented interface shows neither
what has come on an idle connection nor what lies unread in the kernel, so there is no
telling whether the next answer would be the old one's. A connection that is asked once
cannot mix anything up, whatever comes behind its answer.

A `ClientSession` sends a GET a second time by itself when the connection dies before the
head of the answer. It does so for errors of aiohttp's own; a client middleware puts one
of ours in the place of each, so there is nothing left that it repeats. It follows no
redirects, keeps no cookies, decodes nothing, and reads neither `.netrc` nor the
environment.

What it cannot tell, or do, and what follows:

- Bytes that came before the question are read as the beginning of its answer. The
  connection is fresh, so they are no answer to anybody else's question.
- When the last byte of a request left. A short one fits into what the kernel takes from
  a fresh connection at once: it left when it was handed over. A long one is held to have
  left as late as it may have.
- Whether a body broke off or was garbled: both are `disconnected`. One without a length
  that ends with a reset is taken for whole; whether it is, its JSON says.
- Interim answers and blank lines before an answer are passed over; an answer with bytes
  behind it that are no HTTP may be refused, because aiohttp reads both at once.
- What one read of the event loop brings lies in memory before anybody is asked, and a
  head takes no room; the rest of a body waits for its room, as `room` has it. Over TLS on
  uvloop, an end that comes without a word while a body waits is only seen by its deadline.

aiohttp's errors, requests and frames hold the headers, and so the token. The token is
put in when the request is made and taken out behind it; no error of aiohttp's leaves
here, and no traceback with its frames, that of a cancellation included.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from wolkvox_async.model import WITHHELD, Answer, Breakdown, Call, Operation

from . import bodies
from .requests import API_PATH, Address, address
from .room import SMALL, Room
from .session_alarm import Alarm
from .session_answer import Packed, decoded, taken
from .session_intake import Intake
from .session_question import Question, Unanswered, tracing
from .session_sockets import Sockets, open_socket
from .settings import HttpSettings

_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)

# A kernel takes this much from a fresh connection in one go.
_SHORT_REQUEST: Final = 8_192

_CLOSING_ROUNDS: Final = 200


class SessionTransport:
    """The transport of last resort; make one inside a running event loop."""

    def __init__(self, settings: HttpSettings, *, connector: aiohttp.BaseConnector | None = None) -> None:
        """Use `connector` for new connections if given; it stays its owner's to close.

        Raises ValueError for one without `force_close`: it would hand connections from token to token.
        """
        if connector is not None and not connector.force_close:
            raise ValueError("this connector keeps connections, for whatever token comes next: set its force_close")
        self.settings: Final = settings
        self.room: Final = Room()
        self._tls: Final = _tls_context(settings.ca_file) if settings.base_url.lower().startswith("https:") else None
        self._proxy: Final = None if settings.proxy is None else _Proxy.of(settings.proxy)
        self._headers: Final = {
            "Accept": "application/json",
            "Accept-Encoding": bodies.ACCEPTED,
            "User-Agent": settings.user_agent,
        }
        self._addresses: Final[dict[str, Address]] = {}  # one per server
        self.under_way: Final[set[Alarm]] = set()  # one for each attempt
        self._session: Final = _session(connector)
        self.is_closed = False

    def turn(self, operation: Operation) -> SessionTurn:
        """Open a turn; each of its attempts connects anew."""
        found = self._addresses.get(operation.server)
        if found is None:
            found = self._addresses[operation.server] = address(self.settings.base_url, operation.server)
        return SessionTurn(self, found)

    async def ask(self, question: Question, url: URL, intake: Intake) -> Packed | Breakdown:
        """Make one request on a connection of its own; raises what aiohttp raises, and `Unanswered`."""
        headers = {"Host": url.raw_authority, **self._headers}
        if self._proxy is not None and url.scheme == "http":
            headers |= self._proxy.credentials
        asking = self._session.get(
            url,
            headers=headers,
            middlewares=(question.once,),
            trace_request_ctx=question,
            allow_redirects=False,
            ssl=True if self._tls is None else self._tls,
            proxy=None if self._proxy is None else self._proxy.url,
            proxy_headers=None if self._proxy is None else self._proxy.credentials,
        )
        async with Sockets(), asking as response:
            return await taken(response, question, intake, most=self.settings.max_body)

    async def close(self) -> None:
        """Close every connection; when this returns no socket is left."""
        self.is_closed = True
        for alarm in self.under_way:
            alarm.ring()
        for _ in range(_CLOSING_ROUNDS):
            if not self.under_way:
                break
            await asyncio.sleep(0)
        await self._session.close()


class SessionTurn:
    """One token's turn: its calls back to back, each over a connection of its own."""

    def __init__(self, transport: SessionTransport, at: Address) -> None:
        self._transport: Final = transport
        self._at: Final = at
        self._intake: Intake | None = None  # of the last answer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.distrust()

    def distrust(self) -> None:
        """Let go of the last answer; its connection was closed with it."""
        if self._intake is not None:
            self._intake.let_go()
            self._intake = None

    async def attempt(self, call: Call) -> Answer | Breakdown:
        """Make one attempt at `call`."""
        self.distrust()
        try:
            met = await self._attempt(call)
        except BaseException as error:
            self.distrust()
            if not isinstance(error, asyncio.CancelledError):
                raise
            said = error.args
        else:
            if isinstance(met, Breakdown):
                self.distrust()
            elif self._intake is not None:
                self._intake.leave_pool()  # whoever gets the answer parses it before anything else is read
            return met
        raise asyncio.CancelledError(*said)  # without the frames that the other has gone through

    async def _attempt(self, call: Call) -> Answer | Breakdown:
        settings, token = self._transport.settings, call.operation.token
        text = f"{self._at.origin}{self._at.path}{API_PATH}{call.file}.php?{urlencode(call.query)}"
        alarm = Alarm()
        intake = self._intake = Intake(self._transport.room, alarm)
        question = Question(token, alarm, settings, is_short=len(text) < _SHORT_REQUEST)
        self._transport.under_way.add(alarm)
        try:
            async with alarm:
                question.begin()
                met = await self._transport.ask(question, URL(text, encoded=True), intake)
                alarm.stop()
                return met if isinstance(met, Breakdown) else await decoded(met, intake, token, most=settings.max_body)
        except Unanswered as end:
            return WITHHELD if question.is_withheld else end.breakdown
        except Exception as error:  # noqa: BLE001 - what the network does is never raised
            return self._why(error, question, intake, alarm)
        finally:
            self._transport.under_way.discard(alarm)

    def _why(self, error: Exception, question: Question, intake: Intake, alarm: Alarm) -> Breakdown:
        if not alarm.rang:
            return question.fault(error)
        if self._transport.is_closed:
            return question.fault(aiohttp.ClientConnectionError())
        return question.too_slow() if intake.was_too_slow else question.late()


@dataclass(frozen=True, slots=True, repr=False)
class _Proxy:
    """Where a proxy is, and the header that it wants, which may hold a password."""

    url: URL
    credentials: dict[str, str]

    @classmethod
    def of(cls, text: str) -> Self:
        """Take the credentials out of an address."""
        url = URL(text)
        if url.user is None and url.password is None:
            return cls(url, {})
        pair = b64encode(f"{url.user or ''}:{url.password or ''}".encode())
        return cls(url.with_user(None), {"Proxy-Authorization": f"Basic {pair.decode('ascii')}"})


def _session(connector: aiohttp.BaseConnector | None) -> aiohttp.ClientSession:  # noqa: TID251 - see above
    return aiohttp.ClientSession(  # noqa: TID251 - what it would do unasked is prevented here
        connector=connector or aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=open_socket),
        connector_owner=connector is None,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=_NO_TIMEOUT,
        trace_configs=[tracing()],
        auto_decompress=False,
        trust_env=False,
        read_bufsize=SMALL,
    )


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    # The default context verifies, and honours SSL_CERT_FILE.
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
