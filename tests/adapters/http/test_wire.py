"""What only this transport has: it opens connections with aiohttp, which it is given or makes."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import BODY, OK, Client, answer, ending
from tests.faultserver import HOST, Do, FaultServer, Step
from wolkvox_async.adapters.http import HttpSettings, HttpTransport
from wolkvox_async.model import Answer, Breakdown, Token

FOREIGN = answer(b'{"code":200,"data":[{"items":"666"}]}')


class Watched(aiohttp.TCPConnector):
    """Has something happen between the moment in which a connection stands and that in which it is handed over."""

    def __init__(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    async def connect(self, *args: Any, **options: Any) -> Any:
        connection = await super().connect(*args, **options)
        await self._meanwhile()
        return connection


@asynccontextmanager
async def given(connector: aiohttp.BaseConnector, canary: Token) -> AsyncIterator[Client]:
    client = Client(lambda settings: HttpTransport(settings, connector=connector), canary)
    try:
        yield client
    finally:
        for transport in client.opened:
            await transport.close()
        await connector.close()


@pytest.mark.parametrize(
    ("steps", "kinds"),
    [
        pytest.param((FOREIGN,), {"protocol"}, id="an answer"),
        pytest.param((b"H",), {"protocol"}, id="a byte"),
        pytest.param((FOREIGN, Do.CLOSE), {"protocol", "connect"}, id="an answer and the end"),
        pytest.param((Do.CLOSE,), {"disconnected", "connect"}, id="the end"),
        pytest.param((Do.RESET,), {"disconnected", "connect"}, id="a reset"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_what_comes_before_the_first_question_is_no_answer(
    canary: Token, authority: Authority, good: ssl.SSLContext, steps: tuple[Step, ...], kinds: set[str], scheme: str
) -> None:
    async with FaultServer(*steps, tls=good if scheme == "https" else None) as server:

        async def all_is_played() -> None:
            while not any(seen.is_played for seen in server.journal):
                await asyncio.sleep(0)
            await asyncio.sleep(0.002)

        async with given(Watched(all_is_played), canary) as client:
            met = await client.ask(server, scheme=scheme, ca_file=authority.file)
            assert isinstance(met, Breakdown)
            assert ending(met) in kinds
            assert met.unanswered_since is None
        assert (len(server.journal), server.requests, server.journal[0].rest) == (1, [], b"")


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_what_came_just_before_the_first_question_is_seen_though_the_event_loop_has_not_looked(
    canary: Token, authority: Authority, good: ssl.SSLContext, scheme: str
) -> None:
    async with FaultServer(Do.READ, OK, tls=good if scheme == "https" else None) as server:

        async def it_speaks() -> None:
            while not server.journal:
                await asyncio.sleep(0)
            server.journal[0].say(FOREIGN)

        async with given(Watched(it_speaks), canary) as client:
            met = await client.ask(server, scheme=scheme, ca_file=authority.file)
            assert isinstance(met, Breakdown)
            assert (ending(met), met.unanswered_since) == ("protocol", None)
            assert met.message == "the server broke HTTP: it spoke before it was asked"
        assert server.requests == []


async def test_a_connector_that_was_given_stays_its_owners(canary: Token) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server, given(aiohttp.TCPConnector(), canary) as client:
        assert await client.ask_often(2, server) == [Answer(200, BODY)] * 2
        await client.opened[0].close()
        assert await client.ask(server) == Answer(200, BODY)
        assert [len(seen.heads) for seen in server.journal] == [2, 1]


async def test_any_number_of_turns_connect_at_once(canary: Token) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        transport = HttpTransport(HttpSettings(base_url=f"http://{HOST}:{server.port}"))
        client = Client(HttpTransport, canary)
        async with AsyncExitStack() as stack:
            turns = [await stack.enter_async_context(transport.turn(client.operation())) for _ in range(150)]
            mets = await asyncio.gather(*(turn.attempt(client.question()) for turn in turns))
            assert mets == [Answer(200, BODY)] * 150
            assert len(server.journal) == 150
        await transport.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_small_requests_are_sent_at_once(
    canary: Token, authority: Authority, good: ssl.SSLContext, scheme: str
) -> None:
    async with FaultServer(Do.READ, OK, tls=good if scheme == "https" else None) as server:
        settings = HttpSettings(base_url=f"{scheme}://{HOST}:{server.port}", ca_file=authority.file)
        transport, client = HttpTransport(settings), Client(HttpTransport, canary)
        async with transport.turn(client.operation()) as turn:
            assert await turn.attempt(client.question()) == Answer(200, BODY)
            (wire,) = transport._wires
            connection = wire._transport.get_extra_info("socket")
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        await transport.close()


def test_settings_do_not_show_the_proxys_password() -> None:
    assert "secret" not in repr(HttpSettings(proxy="http://ana:secret@proxy.example:3128"))
