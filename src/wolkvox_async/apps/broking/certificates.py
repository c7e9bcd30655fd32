"""Whether the files of TLS are what they have to be, before a server meets them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

from .config import Tls


def absolute(tls: Tls) -> Tls:
    """Return `tls` with paths that do not depend on the working folder."""
    return Tls(*(None if path is None else str(Path(path).absolute()) for path in (tls.cert, tls.key, tls.ca)))


def complaints(tls: Tls) -> Iterator[str]:
    """Yield what is wrong with the files, each with its option."""
    unread = [
        f"{option} {path!r}: {wrong}"
        for option, path in (("--tls-cert", tls.cert), ("--tls-key", tls.key), ("--tls-ca", tls.ca))
        if path is not None and (wrong := _unreadable(path)) is not None
    ]
    yield from unread
    if unread:
        return
    if tls.cert is not None and tls.key is not None and not _is_pair(tls.cert, tls.key):
        yield (
            f"--tls-cert {tls.cert!r} and --tls-key {tls.key!r} do not go together: they have to be a certificate "
            "chain and its private key without a password, both in PEM form"
        )
    if tls.ca is not None and not _is_authority(tls.ca):
        yield f"--tls-ca {tls.ca!r}: this file holds no certificates in PEM form"


def _unreadable(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        return f"this file cannot be read: {(error.strerror or 'unknown').lower()}"
    return None


def _is_pair(cert: str, key: str) -> bool:
    try:
        # A key with a password would have OpenSSL ask the terminal for it.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError):
        return False
    return True


def _is_authority(path: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError):
        return False
    return True
