"""One connection: made, looked at, and closed for good when anything is wrong with it.

nats-py can mend connections by itself, and is not asked to, for four reasons: what it has in
its buffer it sends again over the next connection, when nobody waits for it any more; some
errors of a broker close it for ever (a slow reader, a refused login while a broker restarts);
while it closes a connection that a firewall swallows, it waits for the kernel to give up,
which takes a quarter of an hour; and whoever is behind the next connection should be looked
at as closely as the first. So a client has one connection, and `link.py` makes another.
"""

from __future__ import annotations

import asyncio
import math
import re
import ssl
from typing import Any, Final

from nats import errors
from nats.aio.client import Client, RawCredentials

from wolkvox_async.errors import ConfigurationError, StateError, StoreUnavailableError

from .encryption import UnencryptedError, watched_context
from .outbox import Outbox, Outgoing, abort
from .replies import Gathering, Replies
from .settings import NatsLogin, NatsSettings, shown

OLDEST: Final = (2, 11)
ATOMIC_SINCE: Final = (2, 12)

_REFUSED: Final = re.compile("authorization|authentication|credentials", re.IGNORECASE)

_CLOSING: Final = 1.0
"""Seconds for saying goodbye."""


class Connection:
    """A client that is connected, with what is sent and what comes back."""

    def __init__(self, client: Client, address: str, lost: asyncio.Event) -> None:
        """Use `dial`."""
        self.client: Final = client
        self.lost: Final = lost  # set when it is
        self.address: Final = address
        self.version: Final = _version(client, address)
        self.heard = ""  # what it said last, instead of an answer
        self.outbox: Final = Outbox(client)
        self.replies: Final = Replies()

    @property
    def largest(self) -> int:
        """Return how many bytes a message may have, headers and all."""
        return self.client.max_payload

    async def beat(self, seconds: float) -> None:
        """Hear an echo from the broker; raises `StoreUnavailableError` if that takes longer than that."""
        echo = Gathering()
        try:
            async with asyncio.timeout(seconds):
                with self.replies.to(echo) as subject:
                    await self.outbox.publish([Outgoing(subject, "", {}, b"")])
                    await echo.all()
        except TimeoutError:
            failure = StoreUnavailableError(f"the broker at {self.address} does not answer")
        else:
            return
        raise failure

    async def close(self) -> None:
        """Close it, within a second and however little the broker helps."""
        self.replies.lose()
        await close(self.client)


async def dial(settings: NatsSettings, server: str) -> Connection:
    """Connect to `server`.

    Raises `StoreUnavailableError` if there is no answer, and `StateError` if it is one that
    will be the same tomorrow.
    """
    client, address, lost = Client(), shown(server), asyncio.Event()
    heard: list[Exception] = []
    options = _options(settings, server, lost, heard)
    try:
        async with asyncio.timeout(settings.deadline / 2):  # there may be others to be tried
            await client.connect(**options)
            connection = Connection(client, address, lost)
            if (context := options.get("tls")) is not None and not context.is_in_use():
                raise UnencryptedError  # noqa: TRY301 - as if nats-py had noticed
            await connection.replies.subscribe(client)
    except (errors.Error, OSError, TimeoutError, ValueError, StateError) as error:
        failure = _failure(address, heard[-1] if isinstance(error, errors.NoServersError) and heard else error)
    except BaseException:
        await close(client)
        raise
    else:
        return connection
    await close(client)
    raise failure


def _options(settings: NatsSettings, server: str, lost: asyncio.Event, heard: list[Exception]) -> dict[str, Any]:
    async def note(error: Exception) -> None:
        heard[:] = [error]

    async def end() -> None:
        lost.set()

    options: dict[str, Any] = {
        "servers": [server],
        "name": "wolkvox-async",
        "allow_reconnect": False,
        "max_reconnect_attempts": 1,
        "reconnect_time_wait": 0,
        "connect_timeout": max(1, math.ceil(settings.deadline)),
        "error_cb": note,
        "disconnected_cb": end,
        "closed_cb": end,
    }
    return options | _login(settings.login, settings)


def _login(login: NatsLogin, settings: NatsSettings) -> dict[str, Any]:
    """Return how to sign in, with the context of TLS that guards it."""
    context = watched_context(settings.ca_file) if settings.encrypted else None
    given = {"user": login.user, "password": login.password, "token": login.token}
    told: dict[str, Any] = {name: text for name, text in given.items() if text is not None}
    if context is not None:
        told = {name: context.guarded(text) for name, text in told.items()} | {"tls": context}
    if login.credentials is not None:
        try:
            import nkeys  # type: ignore[import-not-found] # noqa: F401, PLC0415 - an extra of nats-py
        except ImportError:
            raise ConfigurationError(
                ["to sign in to the broker with a credentials file takes nkeys: pip install nkeys"]
            ) from None
        told["user_credentials"] = RawCredentials(login.credentials)
    return told


def _version(client: Client, address: str) -> tuple[int, int]:
    """Return the server's version; raises `StateError` if it is too old."""
    said = client.connected_server_version
    try:
        version = (said.major, said.minor)
    except ValueError:
        version = (0, 0)
    if version < OLDEST:
        oldest, told = ".".join(map(str, OLDEST)), ".".join(map(str, version))
        raise StateError(
            f"the broker at {address} is nats-server {told}, which lacks what this needs: "
            f"install nats-server {oldest} or newer there (distributions may have older ones; "
            "the project's own releases are a single file)"
        )
    return version


async def close(client: Client) -> None:
    """Close a client; what it leaves open, or does not close in time, is dropped."""
    try:
        async with asyncio.timeout(_CLOSING):
            await client.close()
    except (errors.Error, OSError, TimeoutError, RuntimeError):
        pass
    finally:
        # It does nothing if it is closing already, and if that failed, it never will again.
        abort(client)
    await asyncio.sleep(0)  # the event loop closes the socket next


def _failure(address: str, error: Exception) -> StateError:
    if isinstance(error, StateError):
        return error
    if isinstance(error, UnencryptedError):
        return StateError(f"the broker at {address} wants no TLS: nothing was told to it")
    if isinstance(error, ssl.SSLError):
        return StateError(f"the broker at {address} does not prove who it is ({type(error).__name__})")
    if isinstance(error, errors.Error) and _REFUSED.search(str(error)):
        return StateError(f"the broker at {address} refuses the login")
    return StoreUnavailableError(f"the broker at {address} cannot be reached ({type(error).__name__})")
