"""TLS and proxies: what the port promises of them, kept by the fast transport and by the session alike."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import BODY, OK, Client, answer, ending, headed
from tests.adapters.http.test_cancellation import cancel_in_every_round
from tests.adapters.http.test_lost_connections import ENDINGS
from tests.adapters.http.test_proxies import TUNNEL, address, lines
from tests.adapters.http.transports import CONTRACTED, client_of
from tests.faultserver import Do, FaultServer, Relay, Step
from wolkvox_async.model import Answer, Breakdown, Token

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
FAR_OFF: Final = datetime(2090, 1, 1, tzinfo=UTC)
FOREIGN: Final = answer(b'{"code":200,"data":[{"items":"666"}]}')

Offered = Callable[[Authority], ssl.SSLContext]


@pytest.fixture(params=sorted(CONTRACTED))
async def client(request: pytest.FixtureRequest, canary: Token) -> AsyncIterator[Client]:
    async with client_of(request.param, canary) as made:
        yield made


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# --- TLS ----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
async def test_a_certificate_of_the_named_authority_is_good(
    client: Client, authority: Authority, good: ssl.SSLContext, scheme: str
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        mets = await client.ask_often(3, server, scheme=scheme, ca_file=authority.file)
        assert mets == [Answer(200, BODY)] * 3
        assert len(server.requests) == 3
        async with asyncio.timeout(30):
            await server.all_gone()


async def test_the_systems_authorities_can_be_replaced_by_the_environment(
    client: Client, authority: Authority, good: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", authority.file)
    async with FaultServer(Do.READ, OK, tls=good) as server:
        assert await client.ask(server, scheme="https") == Answer(200, BODY)


@pytest.mark.parametrize(
    ("offered", "trusted", "said"),
    [
        pytest.param(lambda a: a.server(since=LONG_AGO, until=LONG_AGO), True, "expired", id="expired"),
        pytest.param(lambda a: a.server(since=FAR_OFF, until=FAR_OFF), True, "not valid yet", id="not valid yet"),
        pytest.param(lambda a: a.server("127.0.0.2"), True, "for another address", id="another address"),
        pytest.param(lambda a: a.server("wv0010.wolkvox.com"), True, "for another address", id="another host"),
        pytest.param(lambda a: a.server(), False, "signed by an unknown authority", id="an unknown authority"),
        pytest.param(lambda a: a.itself(), False, "self-signed", id="signed by itself"),
    ],
)
@pytest.mark.parametrize("proxied", [False, True], ids=["direct", "proxied"])
async def test_a_bad_certificate_is_named_and_gets_no_token(
    client: Client, authority: Authority, offered: Offered, trusted: bool, said: str, proxied: bool
) -> None:
    file = authority.file if trusted else None
    async with (
        FaultServer(Do.READ, OK, tls=offered(authority)) as server,
        FaultServer(Do.READ, TUNNEL, Relay(server.port)) as proxy,
    ):
        way = {"proxy": address(proxy)} if proxied else {}
        met = await client.ask(server, scheme="https", ca_file=file, **way)
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since) == ("tls", None)
        assert met.message.startswith(f"the server's certificate is {said}")
        assert server.requests == []


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        pytest.param((answer(b"", status="400 Bad Request"),), "tls", id="an answer"),
        pytest.param((b"\x15\x03\x01\x00\x02\x02\x46",), "tls", id="an alert"),
        pytest.param((b"\0" * 500,), "tls", id="zeros"),
        pytest.param((0.005, Do.CLOSE), "connect", id="closed"),
        pytest.param((0.005, Do.RESET), "connect", id="reset"),
    ],
)
async def test_no_handshake_is_no_connection(client: Client, steps: tuple[Step, ...], kind: str) -> None:
    async with FaultServer(*steps) as plain:
        met = await client.ask(plain, scheme="https")
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since) == (kind, None)
        assert kind != "tls" or "is this really an https address?" in met.message
        assert len(plain.journal) == 1


@ENDINGS
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


async def test_an_unasked_answer_over_tls_finds_nobody(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        async with client.turn(server, scheme="https", ca_file=authority.file) as turn:
            for _ in range(3):
                assert await turn.attempt(client.question()) == Answer(200, BODY)
                if not server.journal[-1].gone.is_set():
                    server.journal[-1].say(FOREIGN)
        assert [len(seen.heads) for seen in server.journal] == [1, 1, 1]


@pytest.mark.parametrize("answered", [answer(BODY, "Connection: close"), OK[:-5]], ids=["whole", "cancelled"])
async def test_a_server_that_does_not_say_goodbye_holds_up_nobody(
    client: Client, authority: Authority, good: ssl.SSLContext, answered: bytes
) -> None:
    heard = asyncio.Event()
    async with FaultServer(Do.READ, heard, answered, tls=good) as server:
        transport = client.transport(server, scheme="https", ca_file=authority.file)
        before = descriptors()
        async with transport.turn(client.operation()) as turn:
            attempt = asyncio.create_task(turn.attempt(client.question()))
            while not server.requests:
                await asyncio.sleep(0)
            deaf = server.journal[0].transport
            assert isinstance(deaf, asyncio.ReadTransport)
            deaf.pause_reading()
            heard.set()
            await asyncio.sleep(0.05)
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
        async with asyncio.timeout(10):  # far less than asyncio would wait for a goodbye
            while descriptors() > before + 1:
                await asyncio.sleep(0.001)
        assert descriptors() == before + 1  # the server's own


async def test_an_attempt_over_tls_may_be_cancelled_in_any_round(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        transport = client.transport(server, scheme="https", ca_file=authority.file)
        await cancel_in_every_round(client, transport, server)
        assert transport is not None


# --- proxies ------------------------------------------------------------------------


async def test_https_goes_through_a_tunnel_of_the_proxy(
    client: Client, authority: Authority, good: ssl.SSLContext, canary: Token
) -> None:
    credentials = b"Proxy-Authorization: Basic " + base64.b64encode("ana:päss".encode())
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        async with FaultServer(Do.READ, TUNNEL, Relay(server.port)) as proxy:
            way = address(proxy, "ana:p%C3%A4ss@")
            assert (
                await client.ask_often(2, server, scheme="https", ca_file=authority.file, proxy=way)
                == [Answer(200, BODY)] * 2
            )
            assert len(proxy.requests) == len(server.journal)
            for connect in proxy.requests:
                assert lines(connect)[0] == b"CONNECT 127.0.0.1:%d HTTP/1.1" % server.port
                assert credentials in lines(connect)
                assert canary.reveal().encode() not in connect
        assert len(server.requests) == 2
        assert lines(server.requests[0])[0] == b"GET /api/v2/billing.php?api=interactions HTTP/1.1"
        assert not any(b"roxy" in head for head in server.requests)


async def test_plain_http_is_asked_of_the_proxy_by_absolute_address(client: Client) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as proxy:
        mets = await client.ask_often(2, base_url="http://127.0.0.1:9/gate", proxy=address(proxy, "ana:secret@"))
        assert mets == [Answer(200, BODY)] * 2
        assert len(proxy.requests) == 2
        for head in proxy.requests:
            first, *fields = lines(head)
            assert first == b"GET http://127.0.0.1:9/gate/api/v2/billing.php?api=interactions HTTP/1.1"
            assert b"Host: 127.0.0.1:9" in fields
            assert fields.count(b"Proxy-Authorization: Basic " + base64.b64encode(b"ana:secret")) == 1


async def test_a_proxy_without_a_user_gets_no_credentials(client: Client) -> None:
    async with FaultServer(Do.READ, OK) as proxy:
        assert await client.ask(base_url="http://127.0.0.1:9", proxy=address(proxy)) == Answer(200, BODY)
        assert b"authorization" not in proxy.requests[0].lower()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        pytest.param((Do.READ, answer(b"", status="407 Proxy Authentication Required")), "status 407", id="407"),
        pytest.param((Do.READ, answer(b"no", status="403 Forbidden")), "status 403", id="403"),
        pytest.param((Do.READ, answer(b"", status="502 Bad Gateway"), Do.CLOSE), "status 502", id="502 and close"),
        pytest.param((Do.READ, Do.CLOSE), "no connection", id="close"),
        pytest.param((Do.READ, Do.RESET), "no connection", id="reset"),
        pytest.param((Do.RESET,), "no connection", id="reset at once"),
        pytest.param((Do.READ, b"HTTP/1.1 200 Conn", Do.CLOSE), "no connection", id="close in the head"),
        pytest.param((Do.READ, b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n"), "no connection", id="no HTTP"),
        pytest.param((Do.READ, TUNNEL, 0.002, Do.CLOSE), "no connection", id="a tunnel that ends"),
        pytest.param((Do.READ, TUNNEL, 0.002, Do.RESET), "no connection", id="a tunnel that is cut"),
        pytest.param((Do.READ, TUNNEL, 0.002, b"220 mail\r\n"), "no TLS connection", id="a tunnel to something else"),
    ],
)
async def test_a_proxy_that_fails_is_no_connection(client: Client, steps: tuple[Step, ...], said: str) -> None:
    async with FaultServer(*steps) as proxy:
        met = await client.ask(base_url="https://127.0.0.1:9", proxy=address(proxy, "ana:secret@"))
        assert isinstance(met, Breakdown)
        assert met.unanswered_since is None
        assert ending(met) in {"connect", "tls"}
        assert said in met.message
        assert "secret" not in met.message
        assert len(proxy.journal) == 1


async def test_a_proxy_that_is_not_there_is_named(client: Client) -> None:
    async with FaultServer() as gone:
        proxy = address(gone)
    met = await client.ask(base_url="https://127.0.0.1:9", proxy=proxy)
    assert isinstance(met, Breakdown)
    assert (ending(met), met.unanswered_since) == ("connect", None)
    assert met.message == "the proxy cannot be reached: check --proxy"
