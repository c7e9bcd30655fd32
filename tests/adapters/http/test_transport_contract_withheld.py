"""What may not be sent any more is not sent: the look is the last thing before the write."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.adapters.http.clients import OK, Client
from tests.adapters.http.transports import CONTRACTED, client_of
from tests.faultserver import Do, FaultServer
from wolkvox_async.model import WITHHELD, Token


@pytest.fixture(params=sorted(CONTRACTED))
async def client(request: pytest.FixtureRequest, canary: Token) -> AsyncIterator[Client]:
    async with client_of(request.param, canary) as made:
        yield made


async def test_what_may_not_be_sent_is_not_sent(client: Client, canary: Token) -> None:
    asked: list[str] = []

    def may_send(token: str) -> bool:
        asked.append(token)
        return False

    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        met = await client.ask(server, may_send=may_send)
        assert met == WITHHELD
        assert server.requests == []
    assert asked == [canary.id]


async def test_it_is_asked_before_every_request_and_after_the_connection_was_made(client: Client) -> None:
    seen: list[int] = []
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:

        def may_send(_token: str) -> bool:
            seen.append(len(server.requests))
            return len(seen) != 2

        mets = await client.ask_often(3, server, may_send=may_send)
        assert [met == WITHHELD for met in mets] == [False, True, False]
        assert len(server.requests) == 2
    assert seen == [0, 1, 1]
