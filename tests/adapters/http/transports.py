"""The transports that keep one contract, and a client for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from tests.adapters.http.clients import Client, TransportFactory
from wolkvox_async.adapters.http import HttpTransport
from wolkvox_async.adapters.http.session import SessionTransport
from wolkvox_async.model import Token

CONTRACTED: Final[dict[str, TransportFactory]] = {"fast": HttpTransport, "session": SessionTransport}


@asynccontextmanager
async def client_of(name: str, token: Token) -> AsyncIterator[Client]:
    """Give a client of one of them, and close its transports afterwards."""
    made = Client(CONTRACTED[name], token)
    try:
        yield made
    finally:
        for transport in made.opened:
            await transport.close()
