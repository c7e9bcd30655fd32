"""What the store is told: where brokers are, how to sign in there, and what is made at first use.

Credentials are values, and shown by nothing: not by a `repr`, and by no error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from wolkvox_async.errors import ConfigurationError

SECURE: Final = "tls://"
_PORT: Final = 4222
_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_REPLICAS: Final = (1, 3, 5)


@dataclass(frozen=True, slots=True)
class NatsLogin:
    """How to sign in: by user and password, by token, by the text of a credentials file, or not at all (all None)."""

    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    credentials: str | None = field(default=None, repr=False)

    def complaints(self) -> Iterator[str]:
        """Yield what is wrong with it."""
        ways = (self.user is not None or self.password is not None, self.token is not None, bool(self.credentials))
        if sum(ways) > 1:
            yield "one way to sign in to the broker is enough: user and password, token, or credentials"
        if (self.user is None) != (self.password is None):
            yield "to sign in to the broker takes a user and a password"


@dataclass(frozen=True, slots=True)
class NatsSettings:
    """Where the store is; times in seconds, sizes in bytes. Raises `ConfigurationError`.

    `servers` are addresses as nats://host:4222. One that begins with tls:// is spoken to
    encrypted or not at all, and all of them are with a `ca_file`, which names the authorities
    to be believed (None: the system's). `prefix` names the bucket and the stream, which are
    made with `replicas` copies at first use; `most_bytes` is how large the stream may grow
    (None: nine tenths of what the broker gives us). Who only reads (`makes` is False) makes nothing, and waits
    until others have. No answer within `deadline` is none at all.
    """

    servers: tuple[str, ...]
    login: NatsLogin = NatsLogin()
    ca_file: str | None = None
    prefix: str = "wolkvox"
    replicas: int = 1
    deadline: float = 5.0
    most_bytes: int | None = None
    makes: bool = True

    def __post_init__(self) -> None:
        if mistakes := list(self._complaints()):
            raise ConfigurationError(mistakes)

    @property
    def encrypted(self) -> bool:
        """Whether nothing is said to a broker in the clear."""
        return self.ca_file is not None or any(server.startswith(SECURE) for server in self.servers)

    def _complaints(self) -> Iterator[str]:
        if not self.servers:
            yield "the address of a broker is missing, such as nats://127.0.0.1:4222"
        for position, server in enumerate(self.servers, 1):
            if (wrong := _wrong(server)) is not None:
                yield f"address {position} of the broker {wrong}"  # it is not shown: it may hold a password
        yield from self.login.complaints()
        if not _PREFIX.fullmatch(self.prefix):
            yield "the prefix in the broker takes 1 to 32 letters, digits, '_' and '-'"
        if self.replicas not in _REPLICAS:
            yield "a broker keeps 1, 3 or 5 copies"
        if not self.deadline > 0:
            yield "the deadline of the broker has to be more than 0 s"
        if self.most_bytes is not None and self.most_bytes < 1:
            yield "the size of the stream has to be more than 0 bytes"


def _wrong(server: str) -> str | None:
    try:
        parts = urlsplit(server)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is none: write it as nats://127.0.0.1:4222"
    if "@" in server:
        return "holds a name or a password, which do not belong there: sign in by reference"
    if parts.scheme not in ("nats", "tls") or not host or parts.path.strip("/") or parts.query or parts.fragment:
        return "is none: write it as nats://127.0.0.1:4222"
    return None


def shown(server: str) -> str:
    """Return host and port of an address."""
    parts = urlsplit(server)
    return f"{parts.hostname}:{parts.port or _PORT}"
