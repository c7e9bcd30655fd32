"""A real `nats-server`, started by the command, and asked over a plain socket."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.apps.commands import command
from wolkvox_async.apps.broking.credentials import Credentials, read_credentials
from wolkvox_async.apps.broking.finding import find, places


def need_a_server() -> None:
    """Skip the test where there is no server to run; where everything has to be run, fail."""
    try:
        find(None, os.environ.get("PATH"), places())
    except ValueError as error:
        complaint = f"NOT TESTED, {error}"
    else:
        return
    if os.environ.get("CI"):
        pytest.fail(complaint)
    pytest.skip(complaint)


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that runs: its process, what it said until it was ready, and where it is."""

    process: Process
    said: str
    port: int
    data: Path

    @property
    def credentials(self) -> Credentials:
        found = read_credentials(self.data / "credentials")
        assert found is not None
        return found


@asynccontextmanager
async def broker(data: Path, *options: str) -> AsyncIterator[Broker]:
    """Run a broker in the folder `data` on a port that the system chooses."""
    async with command("broker", "--listen", "127.0.0.1:0", "--data", str(data), *options) as process:
        said = await _said_until_ready(process)
        port = int(said.partition("client connections on 127.0.0.1:")[2].partition("\n")[0])
        yield Broker(process, said, port, data)


async def _said_until_ready(process: Process) -> str:
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(30):
        while b"Server is ready" not in said:
            line = await process.stderr.readline()
            assert line, said
            said += line
    return said.decode(errors="backslashreplace")  # it names its folder, whose name need not be UTF-8


class Client:
    """A connection to a broker, spoken by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, info: dict[str, Any]) -> None:
        self._reader = reader
        self._writer = writer
        self.info = info

    async def line(self) -> str:
        async with asyncio.timeout(15):
            return (await self._reader.readline()).decode().rstrip("\r\n")

    async def secure(self, authority: Path) -> None:
        """Go on under TLS."""
        await self._writer.start_tls(ssl.create_default_context(cafile=authority), server_hostname="127.0.0.1")

    async def admitted(self, credentials: Credentials | None) -> str:
        """Show `credentials`; return the server's answer, `PONG` when it is content."""
        shown = {} if credentials is None else {"user": credentials.user, "pass": credentials.password}
        self._writer.write(
            b"CONNECT %s\r\nPING\r\n" % json.dumps({"verbose": False, "pedantic": False, **shown}).encode()
        )
        await self._writer.drain()
        return await self.line()

    async def ask(self, subject: str, **request: Any) -> dict[str, Any]:
        """Ask JetStream; an answer that does not come within a second is none."""
        body = json.dumps(request).encode()
        self._writer.write(b"SUB back 1\r\nPUB %s back %d\r\n%s\r\n" % (subject.encode(), len(body), body))
        try:
            async with asyncio.timeout(1):
                while not (head := await self._reader.readline()).startswith(b"MSG"):
                    assert head, "the server hung up"
                answer: dict[str, Any] = json.loads(await self._reader.readexactly(int(head.split()[-1])))
        except TimeoutError:
            answer = {"error": {"description": "no answer"}}
        self._writer.write(b"UNSUB 1\r\n")
        return answer


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Client]:
    """Connect and read what the server says of itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        kind, _, info = (await reader.readline()).decode().partition(" ")
        assert kind == "INFO"
        yield Client(reader, writer, json.loads(info))
    finally:
        writer.close()
