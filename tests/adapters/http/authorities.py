"""A certificate authority of the tests' own."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path

import trustme

from tests.faultserver import HOST


class Authority:
    """A made-up certificate authority and what it issued."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self._folder = folder
        self.file = str(folder / "authority.pem")
        self._authority.cert_pem.write_to_path(self.file)

    def server(
        self, name: str = HOST, *, since: datetime | None = None, until: datetime | None = None
    ) -> ssl.SSLContext:
        """Return a server's context with a certificate for `name`, valid from `since` until `until`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name, not_before=since, not_after=until).configure_cert(context)
        return context

    def itself(self) -> ssl.SSLContext:
        """Return a server's context with the authority's own certificate, which signs itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.private_key_pem.write_to_path(self._folder / "key.pem")
        context.load_cert_chain(self.file, self._folder / "key.pem")
        return context
