"""The TLS context of a transport: it verifies, and takes up sessions where they were left.

A full handshake proves who the server is and costs about 1 ms of CPU; one that resumes a
session costs three quarters of that, and rests on the proof that was given before. So that
proof is believed for `BELIEVED`, for the name that it was given for and no other; then it
is given anew. asyncio has no parameter for a session, but asks the context to wrap every
connection, and a context can hand one over there.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from dataclasses import dataclass
from typing import Final

BELIEVED: Final = 600.0
"""Seconds for which a session may be resumed after the full handshake that it goes back to."""

_MOST_SESSIONS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Proof:
    """A session, and when the handshake was that it goes back to (monotonic seconds)."""

    session: ssl.SSLSession
    at: float


class ResumingContext(ssl.SSLContext):
    """A context for clients that remembers one session per server, `_MOST_SESSIONS` in all."""

    def __init__(self, protocol: int) -> None:  # noqa: ARG002 - `__new__` has made use of it
        self._proofs: dict[str, Proof] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Wrap a connection, with a session to resume if there is one."""
        proof = self._proof(server_hostname) if session is None and isinstance(server_hostname, str) else None
        return super().wrap_bio(
            incoming,
            outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
            session=session if proof is None else proof.session,
        )

    def learn(self, connection: ssl.SSLObject) -> None:
        """Remember the session of a connection on which an answer was read, unless one is known."""
        name, resumed = connection.server_hostname, connection.session_reused
        if name is None or (resumed and self._proof(name) is not None):
            return
        session = connection.session
        if not resumed and session is not None:
            if name not in self._proofs and len(self._proofs) >= _MOST_SESSIONS:
                del self._proofs[next(iter(self._proofs))]
            self._proofs[name] = Proof(session, asyncio.get_running_loop().time())

    def _proof(self, name: str) -> Proof | None:
        proof = self._proofs.get(name)
        if proof is not None and proof.at + BELIEVED <= asyncio.get_running_loop().time():
            del self._proofs[name]
            return None
        return proof


def tls_context(ca_file: str | None) -> ResumingContext:
    """Return a context that verifies names and certificates; it honours SSL_CERT_FILE."""
    # As `ssl.create_default_context` makes them; asked for one, it would read the system's authorities
    # once more (30 ms), and what it returns is of a class of its own.
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
