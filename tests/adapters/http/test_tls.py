"""Over TLS: the certificate is verified, and everything that holds without TLS holds with it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import BODY, OK, Client, answer, ending, headed
from tests.faultserver import Do, Drip, FaultServer, Step
from wolkvox_async.model import Answer, Breakdown

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
FAR_OFF: Final = datetime(2090, 1, 1, tzinfo=UTC)
BIG: Final = b'{"code":200,"data":[{"items":"' + b"1" * (2**20 + 350_000) + b'"}]}'


async def test_a_certificate_of_the_named_authority_is_good(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        mets = await client.ask_often(3, server, scheme="https", ca_file=authority.file)
        assert mets == [Answer(200, BODY)] * 3
        assert [len(seen.heads) for seen in server.journal] == [3]


async def test_the_scheme_may_be_written_in_capitals(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with FaultServer(Do.READ, OK, tls=good) as server:
        assert await client.ask(server, scheme="HTTPS", ca_file=authority.file) == Answer(200, BODY)


async def test_the_systems_authorities_can_be_replaced_by_the_environment(
    client: Client, authority: Authority, good: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", authority.file)
    async with FaultServer(Do.READ, OK, tls=good) as server:
        assert await client.ask(server, scheme="https") == Answer(200, BODY)


Offered = Callable[[Authority, Path], ssl.SSLContext]


@pytest.mark.parametrize(
    ("offered", "trusted", "said"),
    [
        pytest.param(lambda a, _: a.server(since=LONG_AGO, until=LONG_AGO), True, "expired", id="expired"),
        pytest.param(lambda a, _: a.server(since=FAR_OFF, until=FAR_OFF), True, "not valid yet", id="not valid yet"),
        pytest.param(lambda a, _: a.server("127.0.0.2"), True, "for another address", id="another address"),
        pytest.param(lambda a, _: a.server("wv0010.wolkvox.com"), True, "for another address", id="another host"),
        pytest.param(lambda a, _: a.server(), False, "signed by an unknown authority", id="an unknown authority"),
        pytest.param(lambda a, folder: a.itself(folder), False, "self-signed", id="signed by itself"),
    ],
)
async def test_a_bad_certificate_is_named_and_gets_no_token(
    client: Client, authority: Authority, tmp_path: Path, offered: Offered, trusted: bool, said: str
) -> None:
    async with FaultServer(Do.READ, OK, tls=offered(authority, tmp_path)) as server:
        met = await client.ask(server, scheme="https", ca_file=authority.file if trusted else None)
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since) == ("tls", None)
        assert met.message.startswith(f"the server's certificate is {said}")
        assert server.requests == []


async def test_a_certificate_for_another_name_is_named(client: Client, authority: Authority) -> None:
    async with FaultServer(Do.READ, OK, tls=authority.server("wv0010.wolkvox.com")) as server:
        met = await client.ask(base_url=f"https://localhost:{server.port}", ca_file=authority.file)
        assert isinstance(met, Breakdown)
        assert ending(met) == "tls"
        assert "for another host: check the server's name" in met.message
        assert server.requests == []


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",), id="an answer"),
        pytest.param((b"\x15\x03\x01\x00\x02\x02\x46",), id="an alert"),
        pytest.param((b"\0" * 500,), id="zeros"),
    ],
)
async def test_a_server_that_speaks_no_tls_is_named(client: Client, steps: tuple[Step, ...]) -> None:
    async with FaultServer(*steps) as plain:
        met = await client.ask(plain, scheme="https")
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since) == ("tls", None)
        assert "is this really an https address?" in met.message
        assert len(plain.journal) == 1


@pytest.mark.parametrize("end", [Do.CLOSE, Do.RESET])
async def test_a_connection_lost_in_the_handshake_is_no_connection(client: Client, end: Do) -> None:
    async with FaultServer(0.005, end) as plain:
        met = await client.ask(plain, scheme="https")
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since) == ("connect", None)
        assert len(plain.journal) == 1


async def test_plain_http_to_a_tls_port_is_a_named_error(client: Client, good: ssl.SSLContext) -> None:
    async with FaultServer(Do.READ, OK, tls=good) as server:
        met = await client.ask(server, scheme="http")
        assert ending(met) in {"protocol", "disconnected"}
        assert server.requests == []


@pytest.mark.parametrize("end", [Do.CLOSE, Do.CUT, Do.RESET], ids=lambda end: end.name.lower())
@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        pytest.param((Do.READ,), "disconnected", id="without an answer"),
        pytest.param((Do.READ, OK[:-1]), "disconnected", id="in the answer"),
        pytest.param((Do.READ, OK), "ok", id="behind the answer"),
        pytest.param((Do.READ, answer(BODY, "Connection: close")), "ok", id="behind the last answer"),
        pytest.param((Do.READ, headed() + BODY[:-1]), "malformed or disconnected", id="in an answer without a length"),
    ],
)
async def test_a_close_over_tls_ends_as_without_tls(
    client: Client, authority: Authority, good: ssl.SSLContext, sent: tuple[Step, ...], end: Do, kind: str
) -> None:
    async with FaultServer(*sent, 0.005, end, tls=good) as server:
        met = await client.ask(server, scheme="https", ca_file=authority.file)
        assert ending(met) in kind
        assert len(server.requests) == len(server.journal) == 1


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


async def test_an_unasked_answer_over_tls_finds_nobody(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        async with client.turn(server, scheme="https", ca_file=authority.file) as turn:
            for _ in range(3):
                assert await turn.attempt(client.question()) == Answer(200, BODY)
                server.journal[-1].say(answer(b'{"code":200,"data":[{"items":"666"}]}'))
        assert [len(seen.heads) for seen in server.journal] == [1, 1, 1]


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
        async with asyncio.timeout(5):
            await server.all_gone()
        assert len(server.journal) == 5
