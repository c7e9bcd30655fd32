"""Answers that nobody asked for, on a connection that is kept: none may be taken for an answer to a later question.

What arrives after a question was written cannot be told from its answer: HTTP has no
names for questions. What arrived before, can.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.adapters.http.clients import BODY, CHUNKED, OK, Client, answer, chunked, ending, headed
from tests.faultserver import Do, FaultServer
from wolkvox_async.model import Answer

FOREIGN = answer(b'{"code":200,"error":null,"msg":"","data":[{"operation":"SOMEBODY ELSE","items":"666"}]}')
UNASKED = pytest.mark.parametrize(
    "unasked",
    [
        pytest.param(FOREIGN, id="an answer"),
        pytest.param(FOREIGN * 3, id="three answers"),
        pytest.param(CHUNKED + chunked(b"{}"), id="an answer in chunks"),
        pytest.param(FOREIGN[:-3], id="most of an answer"),
        pytest.param(FOREIGN[:20], id="the beginning of an answer"),
        pytest.param(b"H", id="a byte"),
        pytest.param(b"\r\n", id="a blank line"),
        pytest.param(headed(status="100 Continue"), id="an interim answer"),
        pytest.param(headed(status="204 No Content"), id="an answer without a body"),
        pytest.param(b"\0" * 300_000, id="more than is read at once"),
    ],
)
ANSWERED = pytest.mark.parametrize(
    "answered", [OK, CHUNKED + chunked(BODY), answer(BODY + b"\r\n\r\n")], ids=["length", "chunks", "blank lines"]
)


async def test_the_rest_of_an_unasked_answer_finds_nobody(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK + FOREIGN[:30], Do.READ, FOREIGN[30:], Do.READ, OK)
    server.on_connection(Do.READ, OK, Do.READ, OK)
    assert await client.ask_often(3, server) == [Answer(200, BODY)] * 3
    assert [len(seen.heads) for seen in server.journal] == [1, 2]


@ANSWERED
@UNASKED
async def test_what_comes_with_an_answer_is_not_the_next_one(
    client: Client, server: FaultServer, answered: bytes, unasked: bytes
) -> None:
    server.on_connection(Do.READ, answered + unasked, Do.READ, OK)
    server.on_connection(Do.READ, OK)
    mets = await client.ask_often(2, server)
    assert [ending(met) for met in mets] == ["ok", "ok"]
    assert mets[1] == Answer(200, BODY)
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_of_two_answers_to_a_later_question_neither_is_believed(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK, Do.READ, FOREIGN + OK)
    server.on_connection(Do.READ, OK)
    mets = await client.ask_often(3, server)
    assert [ending(met) for met in mets] == ["ok", "protocol", "ok"]
    assert mets[2] == Answer(200, BODY)
    assert [len(seen.heads) for seen in server.journal] == [2, 1]


@UNASKED
async def test_what_comes_between_two_questions_is_no_answer(
    client: Client, server: FaultServer, unasked: bytes
) -> None:
    server.on_connection(Do.READ, OK, 0.002, unasked, Do.READ, OK)
    server.on_connection(Do.READ, OK)
    async with client.turn(server) as turn:
        assert ending(await turn.attempt(client.question())) == "ok"
        await asyncio.sleep(0.02)
        assert await turn.attempt(client.question()) == Answer(200, BODY)
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


@UNASKED
async def test_what_came_just_now_is_seen_though_the_event_loop_has_not_looked(
    client: Client, server: FaultServer, unasked: bytes
) -> None:
    server.on_connection(Do.READ, OK, Do.READ, OK)
    server.on_connection(Do.READ, OK)
    async with client.turn(server) as turn:
        assert ending(await turn.attempt(client.question())) == "ok"
        server.journal[0].say(unasked)
        assert await turn.attempt(client.question()) == Answer(200, BODY)
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_an_unasked_answer_costs_only_its_own_turn_a_connection(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK + FOREIGN)
    server.on_connection(Do.READ, OK, Do.READ, OK)
    transport = client.transport(server)
    async with transport.turn(client.operation()) as hit, transport.turn(client.operation()) as spared:
        assert await hit.attempt(client.question()) == Answer(200, BODY)
        assert await spared.attempt(client.question()) == Answer(200, BODY)
        assert await spared.attempt(client.question()) == Answer(200, BODY)
    assert [len(seen.heads) for seen in server.journal] == [1, 2]


@pytest.mark.looptime
async def test_an_answer_that_comes_too_late_is_nobodys(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, 66.0, FOREIGN)
    server.on_connection(Do.READ, 10.0, OK)
    mets = await client.ask_often(2, server)
    assert [ending(met) for met in mets] == ["timeout", "ok"]
    assert mets[1] == Answer(200, BODY)
