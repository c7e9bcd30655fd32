"""Foreign exceptions enter here and leave as `Breakdown`s that name the likely cause.

Nothing of a foreign exception is shown but operating system error texts and the
verifier's reason: their `repr` and `args` may hold request headers.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final

import aiohttp

from wolkvox_async.model import Breakdown, ErrorKind

NOT_LISTED: Final = (
    "the server may be down, or it does not know this machine's address: "
    "check that the address is on wolkvox's allow list, or use --proxy"
)
PROXY_NOT_LISTED: Final = (
    "the proxy may not reach the server, or the server does not know the proxy's address: "
    "check --proxy, and that its address is on wolkvox's allow list"
)
_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})
_CERTIFICATE_CAUSES: Final = {
    9: "not valid yet: check this machine's clock",
    10: "expired: check this machine's clock, then tell wolkvox",
    18: "self-signed: if that is meant, name its authority with --ca-file",
    19: "signed by an unknown authority: if that is meant, name it with --ca-file",
    20: "signed by an unknown authority: if that is meant, name it with --ca-file",
    62: "for another host: check the server's name and the base URL",
    64: "for another address: check the base URL",
}


def connect_timeout(seconds: float, *, proxied: bool) -> Breakdown:
    """Say that no connection came about within `seconds`."""
    return Breakdown(ErrorKind.CONNECT, f"no connection within {seconds:g} s: {_likely(proxied)}", None)


def connect_fault(error: aiohttp.ClientError | OSError | ValueError, *, proxied: bool) -> Breakdown:
    """Say why no connection came about; the request certainly never left."""
    told = _tls_fault(error) or _proxy_fault(error, proxied) or _socket_fault(error, proxied)
    return Breakdown(*told, None)


def _likely(proxied: bool) -> str:
    return PROXY_NOT_LISTED if proxied else NOT_LISTED


def _tls_fault(error: Exception) -> tuple[ErrorKind, str] | None:
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as cause):
            reason = _CERTIFICATE_CAUSES.get(cause.verify_code, f"not acceptable: {cause.verify_message}")
            return ErrorKind.TLS, f"the server's certificate is {reason}"
        case aiohttp.ClientSSLError():
            return ErrorKind.TLS, "no TLS connection came about: is this really an https address?"
    return None


def _proxy_fault(error: Exception, proxied: bool) -> tuple[ErrorKind, str] | None:
    match error:
        case OSError(errno=number) if number in _OUT_OF_FILES:
            return None
        case aiohttp.ClientConnectorDNSError() | UnicodeError() if proxied:
            return ErrorKind.CONNECT, "the proxy's name is not known: check --proxy, then this machine's DNS"
        case aiohttp.ClientHttpProxyError(status=status):
            return ErrorKind.CONNECT, f"the proxy refused with status {status}: check --proxy and its credentials"
        case aiohttp.ClientProxyConnectionError():
            return ErrorKind.CONNECT, "the proxy cannot be reached: check --proxy"
    return None


def _socket_fault(error: Exception, proxied: bool) -> tuple[ErrorKind, str]:
    match error:
        case OSError(errno=number) if number in _OUT_OF_FILES:
            text = "this process has no file descriptors left: lower --max-in-flight or raise ulimit -n"
        case aiohttp.ClientConnectorDNSError(errno=socket.EAI_AGAIN | socket.EAI_FAIL):
            text = "the server's name cannot be looked up: check this machine's DNS and network"
        case aiohttp.ClientConnectorDNSError() | UnicodeError():
            text = "the server's name is not known: check its spelling, then this machine's DNS"
        case OSError(errno=errno.ECONNREFUSED):
            text = f"connection refused: {_likely(proxied)}"
        case OSError(strerror=str(reason)):
            text = f"no connection ({reason.lower()}): {_likely(proxied)}"
        case _:
            text = f"no connection: {_likely(proxied)}"
    return ErrorKind.CONNECT, text


def lost(error: BaseException | None, *, answered: bool, sent_at: float | None) -> Breakdown:
    """Describe a connection that went away before the answer was whole, or (not sent) before the question."""
    how = "reset" if isinstance(error, ConnectionResetError) else "closed"
    when = "in the middle of its answer" if answered else "before it answered"
    if sent_at is None:
        when = "before anything was asked"
    message = f"the connection was {how} {when}: the server, or something on the way, gave up"
    return Breakdown(ErrorKind.DISCONNECTED, message, sent_at)


def timed_out(seconds: float, *, answered: bool, sent_at: float | None) -> Breakdown:
    """Say that the attempt took longer than it may."""
    what = "the answer was not complete" if answered else "no answer"
    return Breakdown(ErrorKind.TIMEOUT, f"{what} within {seconds:g} s", sent_at)


def garbled(what: str, sent_at: float | None) -> Breakdown:
    """Say that the server does not speak HTTP as agreed."""
    return Breakdown(ErrorKind.PROTOCOL, f"the server broke HTTP: {what}", sent_at)


def too_large(limit: int, *, unanswered_since: float | None) -> Breakdown:
    """Say that the body is larger than may be kept."""
    message = f"the answer is larger than {limit} bytes: raise --max-body if that is expected"
    return Breakdown(ErrorKind.TOO_LARGE, message, unanswered_since)


def too_slow(*, sent_at: float | None) -> Breakdown:
    """Say that the attempt was given up before its time, because others waited for the room it took up."""
    message = "the answer stopped, or came too slowly, while others waited for the room that it took up"
    return Breakdown(ErrorKind.TIMEOUT, message, sent_at)
