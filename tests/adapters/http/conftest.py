"""A transport and a server that misbehaves; afterwards nothing of either may be left."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import Client, TransportFactory
from tests.faultserver import FaultServer
from wolkvox_async.adapters.http import HttpTransport
from wolkvox_async.model import Token

# Every transport has to pass every test that asks for a `client`.
TRANSPORTS: Final[dict[str, TransportFactory]] = {"token": HttpTransport}


def sockets() -> set[str]:
    """Return the sockets that this process has open, as the kernel names them."""
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return {name for link in links if (name := _target(link)).startswith("socket:")}


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # the descriptor of this very listing
        return ""


@pytest.fixture(autouse=True)
async def leaves_nothing(caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Fail a test after which a socket or a task is left, or an error was logged."""
    before = sockets()
    yield
    for _ in range(4):
        await asyncio.sleep(0)
    gc.collect(1)  # all that a test has made is young
    assert sockets() <= before
    assert asyncio.all_tasks() == {asyncio.current_task()}
    logged = [record for phase in ("setup", "call") for record in caplog.get_records(phase)]
    assert [record.getMessage() for record in logged if record.levelno >= logging.WARNING] == []


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as opened:
        yield opened


@pytest.fixture(params=sorted(TRANSPORTS))
async def client(request: pytest.FixtureRequest, canary: Token) -> AsyncIterator[Client]:
    made = Client(TRANSPORTS[request.param], canary)
    yield made
    for transport in made.opened:
        await transport.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def good(authority: Authority) -> ssl.SSLContext:
    """Return the context of a server whose certificate is good."""
    return authority.server()
