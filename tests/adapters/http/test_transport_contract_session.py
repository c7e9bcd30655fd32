"""What only the session has: a connection for each attempt, and what it makes of a connector that it is given."""

from __future__ import annotations

import aiohttp
import pytest

from tests.adapters.http.clients import BODY, OK, Client, ending
from tests.faultserver import HOST, Do, FaultServer
from wolkvox_async.adapters.http import HttpSettings
from wolkvox_async.adapters.http.session import SessionTransport
from wolkvox_async.model import Answer, Breakdown, Token


async def test_each_attempt_has_a_connection_of_its_own(canary: Token) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        client = Client(SessionTransport, canary)
        mets = await client.ask_often(3, server)
        assert mets == [Answer(200, BODY)] * 3
        assert [met.kept for met in mets if isinstance(met, Answer)] == [False] * 3
        assert [len(seen.heads) for seen in server.journal] == [1, 1, 1]
        await client.opened[0].close()


async def test_a_connector_that_keeps_connections_is_refused() -> None:
    async with aiohttp.TCPConnector() as connector:
        with pytest.raises(ValueError, match="force_close"):
            SessionTransport(HttpSettings(), connector=connector)
        assert not connector.closed


async def test_a_connector_that_was_given_stays_its_owners(canary: Token) -> None:
    connector = aiohttp.TCPConnector(force_close=True)
    client = Client(lambda settings: SessionTransport(settings, connector=connector), canary)
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        assert await client.ask_often(2, server) == [Answer(200, BODY)] * 2
        await client.opened[0].close()
        assert await client.ask(server) == Answer(200, BODY)
        await client.opened[1].close()
        assert [len(seen.heads) for seen in server.journal] == [1, 1, 1]
    await connector.close()


async def test_a_closed_transport_asks_nobody(canary: Token) -> None:
    async with FaultServer(Do.READ, OK) as server:
        transport = SessionTransport(HttpSettings(base_url=f"http://{HOST}:{server.port}"))
        client = Client(SessionTransport, canary)
        async with transport.turn(client.operation()) as turn:
            await transport.close()
            met = await turn.attempt(client.question())
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since) == ("connect", None)
        assert server.journal == []


async def test_it_shows_no_password_of_a_proxys(canary: Token) -> None:
    transport = SessionTransport(HttpSettings(proxy="http://ana:secret@proxy.example:3128"))
    shown = repr((transport, vars(transport), Client(SessionTransport, canary)))
    assert "secret" not in shown
    await transport.close()
