"""Over TLS: connections are kept, replaced and closed as they are without it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from typing import Final

import pytest

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import BODY, OK, Client, answer, ending, headed
from tests.faultserver import Do, Drip, FaultServer, Step
from wolkvox_async.model import Answer, Breakdown

BIG: Final = b'{"code":200,"data":[{"items":"' + b"1" * (2**20 + 350_000) + b'"}]}'


async def test_a_connection_over_tls_is_kept(client: Client, authority: Authority, good: ssl.SSLContext) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        mets = await client.ask_often(3, server, scheme="https", ca_file=authority.file)
        assert mets == [Answer(200, BODY)] * 3
        assert [len(seen.heads) for seen in server.journal] == [3]


async def test_a_certificate_for_another_name_is_named(client: Client, authority: Authority) -> None:
    async with FaultServer(Do.READ, OK, tls=authority.server("wv0010.wolkvox.com")) as server:
        met = await client.ask(base_url=f"https://localhost:{server.port}", ca_file=authority.file)
        assert isinstance(met, Breakdown)
        assert ending(met) == "tls"
        assert "for another host: check the server's name" in met.message
        assert server.requests == []


async def test_plain_http_to_a_tls_port_is_a_named_error(client: Client, good: ssl.SSLContext) -> None:
    async with FaultServer(Do.READ, OK, tls=good) as server:
        met = await client.ask(server, scheme="http")
        assert ending(met) in {"protocol", "disconnected"}
        assert server.requests == []


@pytest.mark.parametrize("end", [Do.CLOSE, Do.CUT, Do.RESET], ids=lambda end: end.name.lower())
async def test_a_tls_connection_lost_between_two_calls_is_replaced(
    client: Client, authority: Authority, good: ssl.SSLContext, end: Do
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        server.on_connection(Do.READ, OK, end)
        async with client.turn(server, scheme="https", ca_file=authority.file) as turn:
            assert ending(await turn.attempt(client.question())) == "ok"
            await server.journal[0].gone.wait()
            assert ending(await turn.attempt(client.question())) == "ok"
        assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_an_end_without_a_word_that_came_just_now_is_seen(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        async with client.turn(server, scheme="https", ca_file=authority.file) as turn:
            assert await turn.attempt(client.question()) == Answer(200, BODY)
            server.journal[0].hang_up()
            assert await turn.attempt(client.question()) == Answer(200, BODY)
        assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_an_answer_dripping_over_tls_is_read(client: Client, authority: Authority, good: ssl.SSLContext) -> None:
    async with FaultServer(Do.READ, Drip(OK), Do.REPEAT, tls=good) as server:
        mets = await client.ask_often(2, server, scheme="https", ca_file=authority.file)
        assert mets == [Answer(200, BODY)] * 2
        assert [len(seen.heads) for seen in server.journal] == [2]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((answer(BIG), Do.READ), id="kept"),
        pytest.param((answer(BIG), 0.02, Do.CLOSE), id="kept, then closed"),
        pytest.param((answer(BIG), 0.02, Do.CUT), id="kept, then cut"),
        pytest.param((answer(BIG, "Connection: close"), Do.READ), id="last"),
        pytest.param((answer(BIG, "Connection: close"), 0.02, Do.CLOSE), id="last, then closed"),
        pytest.param((answer(BIG, "Connection: close"), 0.02, Do.CUT), id="last, then cut"),
        pytest.param((headed() + BIG, Do.CLOSE), id="without a length, closed"),
        pytest.param((headed() + BIG, 0.02, Do.CUT), id="without a length, cut"),
    ],
)
async def test_a_large_body_over_tls_waits_without_harm(
    client: Client, authority: Authority, good: ssl.SSLContext, steps: tuple[Step, ...]
) -> None:
    async with FaultServer(Do.READ, *steps, tls=good) as server:
        transport = client.transport(server, scheme="https", ca_file=authority.file)
        async with AsyncExitStack() as first_turn, AsyncExitStack() as second_turn:
            first = await first_turn.enter_async_context(transport.turn(client.operation()))
            second = await second_turn.enter_async_context(transport.turn(client.operation()))
            assert await first.attempt(client.question()) == Answer(200, BIG)
            waiting = asyncio.create_task(second.attempt(client.question()))
            while Do.CUT in steps and [seen.is_played for seen in server.journal] != [True, True]:
                await asyncio.sleep(0)
            await asyncio.sleep(0.03)
            assert not waiting.done()
            await first_turn.aclose()
            assert await waiting == Answer(200, BIG)


async def test_an_end_that_comes_with_the_byte_that_makes_a_body_large_completes_it(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    body = BIG[: 2**20 + 10]
    async with FaultServer(Do.READ, headed() + body, Do.CLOSE, tls=good) as server:
        mets = await client.ask_often(2, server, scheme="https", ca_file=authority.file)
        assert mets == [Answer(200, body)] * 2


async def test_a_turn_over_tls_leaves_no_half_open_connection(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        await asyncio.gather(*(client.ask(server, scheme="https", ca_file=authority.file) for _ in range(5)))
        async with asyncio.timeout(30):
            await server.all_gone()
        assert len(server.journal) == 5
