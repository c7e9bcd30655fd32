"""One question that a session asks: the token in it, when it left, and what an error of aiohttp's means.

Its `once` is the middleware that makes one request of one question: a session repeats a
request after two errors of aiohttp's, and none of aiohttp's passes here.
"""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from types import SimpleNamespace
from typing import Final

import aiohttp

from wolkvox_async.model import Breakdown, Token

from . import faults
from .session_alarm import Alarm
from .settings import HttpSettings

_TOKEN_HEADER: Final = "wolkvox-token"  # noqa: S105 - the name of a header
_RESET: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


class Unanswered(Exception):  # noqa: N818 - it is an end, not an error of ours
    """The question brought no answer; `breakdown` says why, and nothing of aiohttp's hangs on this."""

    def __init__(self, breakdown: Breakdown) -> None:
        super().__init__(breakdown.message)
        self.breakdown: Final = breakdown


class Question:
    """What is known of one attempt, from its beginning to its end."""

    def __init__(self, token: Token, alarm: Alarm, settings: HttpSettings, *, is_short: bool) -> None:
        """Set the alarm for the time to connect; a short request leaves all at once."""
        self._token: Final = token
        self._alarm: Final = alarm
        self._settings: Final = settings
        self._is_short: Final = is_short
        self._loop: Final = asyncio.get_running_loop()
        self._begun: Final = self._loop.time()
        self._sent_at: float | None = None
        self.is_withheld = False  # nothing was sent, because it may not be any more
        self.status: int | None = None  # of the answer, once its head has come

    def begin(self) -> None:
        """Set the alarm for the time that a connection may take."""
        self._alarm.set(self._begun + self._connect_timeout)

    def sent_at(self) -> float:
        """Return when the last byte of the request left, at the latest (monotonic seconds)."""
        now = self._loop.time()
        return self._sent_at if self._is_short and self._sent_at is not None else now

    async def once(self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Make the request, with the token in it while it is made."""
        request.headers[_TOKEN_HEADER] = self._token.reveal()
        try:
            return await handler(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the session must not see it
            breakdown = self.fault(error)
        finally:
            request.headers.pop(_TOKEN_HEADER, None)
        raise Unanswered(breakdown)

    def leaves(self) -> None:
        """Take in that the request is about to be written; raises, so that it is not, when it may not be any more."""
        if (may_send := self._settings.may_send) is not None and not may_send(self._token.id):
            self.is_withheld = True
            raise aiohttp.ClientConnectionError
        self._alarm.set(self._begun + self._settings.timeout)
        self._stamp()
        self._loop.call_soon(self._stamp)  # uvloop writes at the end of a round

    def late(self) -> Breakdown:
        """Say that it took too long."""
        if not self._was_asked:
            return faults.connect_timeout(self._connect_timeout, proxied=self._proxied)
        answered = self.status is not None
        late = faults.timed_out(self._settings.timeout, answered=answered, sent_at=self.sent_at())
        return replace(late, status=self.status)

    def too_slow(self) -> Breakdown:
        """Say that others waited for its room."""
        return replace(faults.too_slow(sent_at=self.sent_at()), status=self.status)

    def fault(self, error: Exception) -> Breakdown:
        """Say what `error` means; nothing of it is kept."""
        if not self._was_asked:
            known = error if isinstance(error, aiohttp.ClientError | OSError | ValueError) else OSError()
            return faults.connect_fault(known, proxied=self._proxied)
        return replace(self._asked_fault(error), status=self.status)

    def _asked_fault(self, error: Exception) -> Breakdown:
        match error:
            case aiohttp.ClientResponseError():
                return faults.garbled("its answer cannot be read", self.sent_at())
            case OSError(errno=number) if number in _RESET:
                return self._lost(ConnectionResetError())
            case aiohttp.ClientError() | OSError() | RuntimeError():  # the last: it was closed under the reader
                return self._lost(None)
        return faults.garbled(f"its answer cannot be read ({type(error).__name__})", self.sent_at())

    def _lost(self, error: ConnectionResetError | None) -> Breakdown:
        return faults.lost(error, answered=self.status is not None, sent_at=self.sent_at())

    def _stamp(self) -> None:
        self._sent_at = self._loop.time()

    @property
    def _was_asked(self) -> bool:
        return self._sent_at is not None

    @property
    def _proxied(self) -> bool:
        return self._settings.proxy is not None

    @property
    def _connect_timeout(self) -> float:
        return min(self._settings.connect_timeout, self._settings.timeout)


def tracing() -> aiohttp.TraceConfig:
    """Have a session tell each request's question (its `trace_request_ctx`) when it leaves."""
    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(_leaves)
    return config


async def _leaves(_: object, context: SimpleNamespace, __: object) -> None:
    question: Question = context.trace_request_ctx
    question.leaves()
