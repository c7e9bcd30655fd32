"""TLS to a broker that is to be spoken to encrypted or not at all.

A broker says in clear text whether it wants TLS, and nats-py believes it: somebody in
between could say no, and be told the password. So the password is handed over by a function,
which nats-py calls right before it signs in, and which looks first: since it was last
called, a handshake has to have succeeded with our context.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from nats.errors import Error

from wolkvox_async.errors import StateError


class UnencryptedError(Error):
    """A broker wants no TLS; of nats-py's tree, so that it closes the connection."""


class WatchedContext(ssl.SSLContext):
    """A context that verifies, and knows the last connection that was made with it."""

    made: ssl.SSLObject | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Wrap a connection."""
        self.made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        return self.made

    def is_in_use(self) -> bool:
        """Tell whether a handshake has succeeded."""
        return self.made is not None and self.made.version() is not None and bool(self.made.getpeercert())

    def guarded(self, secret: str) -> Callable[[], str]:
        """Return a function that returns `secret`, or raises where nothing is encrypted."""

        def tell() -> str:
            if not self.is_in_use():
                raise UnencryptedError
            return secret

        return tell


def watched_context(ca_file: str | None) -> WatchedContext:
    """Return a context for one client; None believes the system's authorities. Raises `StateError`."""
    context: Final = WatchedContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if ca_file is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        failure = StateError(f"{ca_file}: the authorities of the broker cannot be read ({type(error).__name__})")
    else:
        return context
    raise failure
