"""When the last byte of a request left, as an answer tells it. Time is virtual."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.adapters.http.clients import OK, Client
from tests.faultserver import Do, FaultServer
from wolkvox_async.model import Answer

pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_an_answer_tells_when_it_was_asked_for(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, 40.0, OK, Do.REPEAT)
    start = now()
    mets = await client.ask_often(2, server)
    assert [met.sent_at for met in mets if isinstance(met, Answer)] == pytest.approx([start, start + 40])


async def test_a_request_that_is_still_leaving_was_sent_no_sooner_than_its_answer_began(
    client: Client, server: FaultServer
) -> None:
    server.on_connection(Do.AWAIT, 5.0, OK[:9], 5.0, OK[9:])
    start = now()
    long = replace(client.question(), query=(("api", "interactions"), ("more", "m" * 30_000_000)))
    async with client.turn(server) as turn:
        met = await turn.attempt(long)
    assert isinstance(met, Answer)
    assert met.sent_at == pytest.approx(start + 5)
