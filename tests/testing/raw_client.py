"""A client of bytes: it does exactly what a test tells it, right or wrong."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from types import TracebackType
from typing import Self

from wolkvox_async.testing import SimulatedOperation


def request(
    operation: SimulatedOperation | None,
    api: str = "interactions",
    *,
    method: str = "GET",
    target: str | None = None,
    headers: str = "",
) -> bytes:
    """Write a request head with the operation's token (None: without one) and further header lines."""
    token = "" if operation is None else f"wolkvox-token: {operation.token.reveal()}\r\n"
    path = f"/api/v2/billing.php?api={api}" if target is None else target
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}{headers}\r\n".encode()


class RawClient:
    """One connection to one server, from `async with`."""

    def __init__(self, server: str, *, tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._tls = tls

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", int(self._server), ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def ask(self, operation: SimulatedOperation | None, api: str = "interactions") -> tuple[int, bytes]:
        """Make one call as one should and return its status and body."""
        self.send(request(operation, api))
        status, _, body = await self.answer()
        return status, body

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one well-formed answer: status, headers by lower-case name, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        if headers.get("transfer-encoding") == "chunked":
            return int(head[0].split()[1]), headers, await self._chunks()
        return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def _chunks(self) -> bytes:
        parts = []
        while size := int(await self.reader.readline(), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readline()
        await self.reader.readline()
        return b"".join(parts)

    async def everything(self, *, within: float = 5.0, most: int = 1_000_000) -> bytes:
        """Read until the connection ends, nothing came for `within` seconds, or `most` bytes are there."""
        parts: list[bytes] = []
        try:
            while sum(map(len, parts)) < most and (data := await asyncio.wait_for(self.reader.read(65_536), within)):
                parts.append(data)
        except TimeoutError:
            pass
        return b"".join(parts)


async def call(operation: SimulatedOperation, api: str = "interactions") -> tuple[int, bytes]:
    """Make one call as one should, on a connection of its own."""
    async with RawClient(operation.server) as client:
        return await client.ask(operation, api)
