"""The connection that there is at the moment, and the one after it.

    connected --(lost, or silent for the deadline)--> dialling, for as long as it takes --> connected

`losses` counts the first arrow: a broker that comes back may have forgotten what it confirmed
last, and who remembers the count can tell. Nothing outlives a connection: whatever waits for
a reply fails with it, and nothing is sent a second time.

Brokers of a cluster tell where the others are; those are dialled too.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

from wolkvox_async.errors import StateError, StoreUnavailableError

from .dialling import Connection, dial
from .settings import NatsSettings

_BEATS: Final = 3
"""How often the broker is heard from within a deadline."""

_PAUSES: Final = (0.02, 0.1, 0.25, 0.5, 1.0)
"""Seconds between one round of dialling and the next."""

_MOST_SERVERS: Final = 32


class Link:
    """Keeps one connection."""

    def __init__(self, settings: NatsSettings) -> None:
        """Use `open`."""
        self._settings: Final = settings
        self._servers: Final = list(settings.servers)
        self._up: Final = asyncio.Event()
        self._connection: Connection | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._closing: Final[set[asyncio.Task[None]]] = set()
        self._why = "the broker cannot be reached"
        self.losses = 0
        self.largest = 0  # bytes that a message may have

    async def open(self) -> Connection:
        """Connect for the first time, within half a deadline for each server.

        Raises `StoreUnavailableError`, or `StateError` where waiting does not help.
        """
        connection = self._adopt(await self._dial())
        self._keeping = asyncio.create_task(self._keep(), name="wolkvox-broker")
        return connection

    async def connection(self) -> Connection:
        """Return the connection, for which a caller waits under its own deadline."""
        if self._keeping is None:
            raise StateError("the store was closed")
        while self._connection is None:
            await self._up.wait()
        return self._connection

    def unavailable(self) -> StoreUnavailableError:
        """Return the error for whoever has waited in vain."""
        if self._connection is None:
            return StoreUnavailableError(self._why)
        heard = f": {self._connection.heard}" if self._connection.heard else ""
        return StoreUnavailableError(f"no answer from the broker within {self._settings.deadline:g} s{heard}")

    async def close(self) -> None:
        """Let go of everything."""
        keeping, self._keeping = self._keeping, None
        if keeping is None:
            return
        keeping.cancel()
        await asyncio.wait([keeping])
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _keep(self) -> None:
        """Have a connection, and when it is lost, another."""
        while True:
            if self._connection is not None:
                await self._attend(self._connection)
            self._drop()
            self._adopt(await self._redial())

    async def _attend(self, connection: Connection) -> None:
        """Return when the connection is lost, or the broker is silent."""
        pause = self._settings.deadline / _BEATS
        while not connection.lost.is_set():
            try:
                await asyncio.wait_for(connection.lost.wait(), pause)
            except TimeoutError:
                try:
                    await connection.beat(self._settings.deadline)
                except StoreUnavailableError as error:
                    self._why = str(error)
                    return
        self._why = f"the connection to the broker at {connection.address} was lost"

    def _adopt(self, connection: Connection) -> Connection:
        self._connection, self.largest = connection, connection.largest
        if not self._settings.encrypted:  # their names are addresses, which no certificate may know
            found = [f"nats://{url.netloc.rpartition('@')[2]}" for url in connection.client.discovered_servers]
            self._servers.extend(server for server in found if server not in self._servers)
            del self._servers[max(_MOST_SERVERS, len(self._settings.servers)) :]
        self._up.set()
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self.losses += 1
        self._up.clear()
        connection.replies.lose()
        closing = asyncio.create_task(connection.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _redial(self) -> Connection:
        rounds = 0
        while True:
            await asyncio.sleep(_PAUSES[min(rounds, len(_PAUSES) - 1)])
            rounds += 1
            try:
                return await self._dial()
            except StateError as error:
                self._why = str(error)

    async def _dial(self) -> Connection:
        """Try each server once; what will be the same tomorrow is only said if nobody else answers."""
        failure: StateError | None = None
        for server in random.sample(self._servers, len(self._servers)):
            try:
                return await dial(self._settings, server)
            except StateError as error:
                if failure is None or isinstance(failure, StoreUnavailableError):
                    failure = error
        raise failure or StoreUnavailableError(self._why)
