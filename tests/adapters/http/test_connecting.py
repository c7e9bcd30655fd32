"""Connections that do not come about: a named error, a likely cause, and the certainty that nothing was sent."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

from tests.adapters.http.clients import BODY, OK, Client, ending
from tests.faultserver import HOST, Do, FaultServer
from wolkvox_async.model import Answer, Breakdown


def assert_not_connected(met: object, said: str) -> None:
    assert isinstance(met, Breakdown)
    assert ending(met) == "connect"
    assert met.unanswered_since is None
    assert met.message.startswith(said)


async def test_a_refused_connection_names_the_allow_list(client: Client) -> None:
    async with FaultServer() as gone:
        pass
    met = await client.ask(gone)
    assert_not_connected(met, "connection refused: ")
    assert isinstance(met, Breakdown)
    assert "allow list" in met.message
    assert "--proxy" in met.message


async def test_a_server_that_comes_back_is_reached(client: Client) -> None:
    async with FaultServer() as gone:
        pass
    transport = client.transport(gone)
    async with transport.turn(client.operation()) as turn:
        assert_not_connected(await turn.attempt(client.question()), "connection refused")
        server = await asyncio.start_server(_answer_once, HOST, gone.port)
        async with server:
            assert await turn.attempt(client.question()) == Answer(200, BODY)


async def _answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (socket.EAI_NONAME, "the server's name is not known: check its spelling"),
        (socket.EAI_AGAIN, "the server's name cannot be looked up: check this machine's DNS"),
        (socket.EAI_FAIL, "the server's name cannot be looked up: check this machine's DNS"),
    ],
)
async def test_a_name_that_leads_nowhere_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def lookup(*_args: object, **_options: object) -> None:
        raise socket.gaierror(number, "made up")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert_not_connected(await client.ask(base_url="https://wv{server}.wolkvox.invalid"), said)


@pytest.mark.parametrize("host", ["x" * 70, "a..b"])
async def test_a_name_that_cannot_be_is_not_known(client: Client, host: str) -> None:
    assert_not_connected(await client.ask(base_url=f"http://{host}.invalid"), "the server's name is not known")


@pytest.fixture
def full() -> Iterator[int]:
    """Give the port of a listener whose queue is full, so that nobody gets through any more."""
    with socket.create_server((HOST, 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((HOST, port))
        yield port
        for filler in fillers:
            filler.close()


@pytest.mark.looptime
@pytest.mark.parametrize(("settings", "seconds"), [({}, 10), ({"timeout": 3}, 3), ({"connect_timeout": 0.5}, 0.5)])
async def test_a_connection_that_takes_too_long_is_given_up(
    client: Client, full: int, settings: dict[str, Any], seconds: float
) -> None:
    met = await client.ask(base_url=f"http://{HOST}:{full}", **settings)
    assert_not_connected(met, f"no connection within {seconds:g} s: the server may be down")
    assert asyncio.get_running_loop().time() == pytest.approx(seconds)


OUT_OF_DESCRIPTORS = """
    import asyncio, os, resource, sys
    from tests.adapters.http.clients import Client, ending
    from wolkvox_async.adapters.http import HttpTransport
    from wolkvox_async.model import Token

    async def main():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        client = Client(HttpTransport, Token("a-made-up-token"))
        transport = client.transport(base_url=sys.argv[1])
        held = []
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        async with transport.turn(client.operation()) as turn:
            for _ in range(2):
                met = await turn.attempt(client.question())
                print(ending(met), met.unanswered_since, met.message)
            while held:
                os.close(held.pop())
            print(ending(await turn.attempt(client.question())))
        await transport.close()

    asyncio.run(main())
"""


@pytest.mark.parametrize("host", [HOST, "localhost"])
async def test_without_file_descriptors_it_says_so_and_recovers(server: FaultServer, host: str) -> None:
    server.on_connection(Do.READ, OK)
    script = textwrap.dedent(OUT_OF_DESCRIPTORS)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, f"http://{host}:{server.port}", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    said, complaints = await process.communicate()
    *failures, last = said.decode().splitlines()
    assert complaints == b""
    assert len(failures) == 2
    assert all(line.startswith("connect None this process has no file descriptors left: ") for line in failures)
    assert last == "ok"
