"""Who may look: where it listens, which hosts it is asked for, who has the bearer token.

On this machine anybody may look, as long as he asks for this machine by name: a page of
another site that has its own name resolved to 127.0.0.1 (DNS rebinding) does not. Beyond it a
bearer token is required, and then the name does not matter. A browser hands the token in
once, in a form, and has a session from then on; it never stands in an address. Neither
the token nor a session is kept: their digests are.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from wolkvox_async.apps.addresses import HostPort
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.model import Token
from wolkvox_async.settings.options import is_loopback

SESSION: Final = 12 * 3600.0  # seconds
MOST_SESSIONS: Final = 256
SHORTEST_BEARER: Final = 16

_ADDRESS: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]@]+)):(?P<port>[0-9]{1,5})")
_HOST: Final = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]@]+))(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Address(HostPort):
    """Where to listen."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST:PORT` (`[::1]:9464` for IPv6); raises `ConfigurationError`."""
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found["port"]) > 65_535:
            raise ConfigurationError(f"--listen {text!r} is no HOST:PORT: write 127.0.0.1:9464 or [::1]:9464")
        return cls(found["six"] or found["host"], int(found["port"]))


class Guard:
    """Decides who may look; `now` tells monotonic seconds."""

    def __init__(self, address: Address, bearer: Token | None, now: Callable[[], float]) -> None:
        """Raise `ConfigurationError` for an address that others can reach without a bearer token worth the name."""
        self._bearer: Final = None if bearer is None else _digest(bearer.reveal())
        self._now: Final = now
        self._sessions: Final[dict[bytes, float]] = {}  # digests, and until when; the oldest first
        if bearer is None and not address.is_local:
            raise ConfigurationError(
                f"--listen {address} can be reached from other machines, so it needs a bearer token: say where one is "
                "(--listen-token env:NAME or file:PATH), or listen on 127.0.0.1 and have a proxy or a tunnel come to it"
            )
        if bearer is not None and len(bearer.reveal()) < SHORTEST_BEARER:
            raise ConfigurationError(f"the bearer token of --listen needs at least {SHORTEST_BEARER} characters")

    @property
    def asks(self) -> bool:
        """Whether a bearer token is asked for."""
        return self._bearer is not None

    def knows_host(self, header: str | None) -> bool:
        """Tell whether the `Host` header names this machine, or need not."""
        if self.asks:
            return True
        found = _HOST.fullmatch((header or "").lower())
        return found is not None and is_loopback(found["six"] or found["host"])

    def admits(self, authorization: str | None, session: str | None) -> bool:
        """Tell whether the `Authorization` header or the session is right, or none is needed."""
        if not self.asks:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() == "bearer" and self._is_bearer(given.strip()):
            return True
        return session is not None and self._sessions.get(_digest(session), 0.0) > self._now()

    def sign_in(self, given: str) -> str | None:
        """Return a new session for whoever gives the bearer token, else None."""
        if not self._is_bearer(given):
            return None
        session = secrets.token_urlsafe(32)
        self._sessions[_digest(session)] = self._now() + SESSION
        for oldest in list(self._sessions)[:-MOST_SESSIONS]:
            del self._sessions[oldest]
        return session

    def sign_out(self, session: str) -> None:
        """End a session."""
        self._sessions.pop(_digest(session), None)

    def _is_bearer(self, given: str) -> bool:
        return self._bearer is not None and hmac.compare_digest(_digest(given), self._bearer)


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
