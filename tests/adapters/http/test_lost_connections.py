"""RST and close at every stage: one request at most, a named error, and the truth about what left."""

from __future__ import annotations

import asyncio

import pytest

from tests.adapters.http.clients import BODY, CHUNKED, OK, Client, Met, answer, ending
from tests.faultserver import Do, FaultServer, Step
from wolkvox_async.model import Answer, Breakdown

ENDINGS = pytest.mark.parametrize("end", [Do.CLOSE, Do.CUT, Do.RESET], ids=lambda end: end.name.lower())


def since(met: Met) -> float | None:
    assert isinstance(met, Breakdown)
    return met.unanswered_since


@ENDINGS
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param((Do.AWAIT,), id="before the request was read"),
        pytest.param((Do.READ,), id="after the request was read"),
        pytest.param((Do.READ, b"HTTP/1.1 2"), id="in the status line"),
        pytest.param((Do.READ, b"HTTP/1.1 200 OK\r\nContent-Len"), id="in the head"),
        pytest.param((Do.READ, OK[: -len(BODY)]), id="behind the head"),
        pytest.param((Do.READ, OK[:-1]), id="in the body"),
        pytest.param((Do.READ, CHUNKED), id="before a chunk"),
        pytest.param((Do.READ, CHUNKED + b"5\r\n{"), id="in a chunk"),
        pytest.param((Do.READ, CHUNKED + b"2\r\n{}\r\n0\r\n"), id="before the end of the last chunk"),
        pytest.param((Do.READ, b"HTTP/1.1 100 Continue\r\n\r\n"), id="behind an interim answer"),
    ],
)
async def test_a_connection_lost_before_the_answer_was_whole(
    client: Client, server: FaultServer, sent: tuple[Step, ...], end: Do
) -> None:
    server.on_connection(*sent, end)
    start = asyncio.get_running_loop().time()
    met = await client.ask(server)
    assert ending(met) == "disconnected"
    assert since(met) is not None
    assert start <= (since(met) or 0) <= asyncio.get_running_loop().time()
    assert len(server.journal) == 1
    assert len(server.requests) == (Do.READ in sent)


async def test_the_end_of_the_stream_alone_ends_an_unfinished_answer(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK[:-1], Do.SHUT)
    assert ending(await client.ask(server)) == "disconnected"
    assert len(server.requests) == 1


@ENDINGS
async def test_a_connection_lost_before_it_was_asked(client: Client, server: FaultServer, end: Do) -> None:
    server.on_connection(end)
    met = await client.ask(server)
    assert ending(met) in {"disconnected", "connect"}
    assert len(server.journal) == 1


@ENDINGS
@pytest.mark.parametrize("answered", [OK, answer(BODY, "Connection: close")], ids=["kept", "closing"])
async def test_an_answer_is_believed_though_the_connection_goes_right_behind_it(
    client: Client, server: FaultServer, end: Do, answered: bytes
) -> None:
    server.on_connection(Do.READ, answered, end)
    assert await client.ask(server) == Answer(200, BODY)
    assert len(server.requests) == 1


@ENDINGS
async def test_a_connection_lost_between_two_calls_is_replaced(client: Client, server: FaultServer, end: Do) -> None:
    server.on_connection(Do.READ, OK, end)
    server.on_connection(Do.READ, OK)
    async with client.turn(server) as turn:
        assert ending(await turn.attempt(client.question())) == "ok"
        await server.journal[0].gone.wait()
        assert ending(await turn.attempt(client.question())) == "ok"
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_an_end_that_came_just_now_is_seen_though_the_event_loop_has_not_looked(
    client: Client, server: FaultServer
) -> None:
    server.on_connection(Do.READ, OK, Do.READ)
    server.on_connection(Do.READ, OK)
    async with client.turn(server) as turn:
        assert ending(await turn.attempt(client.question())) == "ok"
        server.journal[0].hang_up()
        assert ending(await turn.attempt(client.question())) == "ok"
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_an_announced_close_is_obeyed(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, answer(BODY, "Connection: close"), Do.READ, OK)
    server.on_connection(Do.READ, OK)
    assert [ending(met) for met in await client.ask_often(2, server)] == ["ok", "ok"]
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


@ENDINGS
async def test_a_turn_goes_on_after_a_lost_connection(client: Client, server: FaultServer, end: Do) -> None:
    server.on_connection(Do.READ, OK, Do.READ, OK[:-1], end)
    server.on_connection(Do.READ, OK)
    assert [ending(met) for met in await client.ask_often(3, server)] == ["ok", "disconnected", "ok"]
    assert [len(seen.heads) for seen in server.journal] == [2, 1]


async def test_a_failed_attempt_closes_its_connection(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, b"nonsense\r\n\r\n")
    async with client.turn(server) as turn:
        assert ending(await turn.attempt(client.question())) == "protocol"
        async with asyncio.timeout(30):
            await server.all_gone()
    assert len(server.requests) == 1
