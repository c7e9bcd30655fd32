"""Through a proxy that was named: a tunnel for https, absolute addresses for plain http."""

from __future__ import annotations

import asyncio
import base64
import ssl

import pytest

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import BODY, OK, Client, answer, ending, headed
from tests.faultserver import HOST, Do, FaultServer, Relay, Step
from wolkvox_async.model import Answer, Breakdown, Token

TUNNEL = headed(status="200 Connection established")


def address(proxy: FaultServer, user: str = "") -> str:
    return f"http://{user}{HOST}:{proxy.port}"


def lines(head: bytes) -> list[bytes]:
    return head.split(b"\r\n")


async def test_https_goes_through_a_tunnel_of_the_proxy(
    client: Client, authority: Authority, good: ssl.SSLContext, canary: Token
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        async with FaultServer(Do.READ, TUNNEL, Relay(server.port)) as proxy:
            mets = await client.ask_often(
                2, server, scheme="https", ca_file=authority.file, proxy=address(proxy, "ana:p%C3%A4ss@")
            )
            assert mets == [Answer(200, BODY)] * 2
        (connect,) = proxy.requests
        assert lines(connect)[0] == b"CONNECT 127.0.0.1:%d HTTP/1.1" % server.port
        credentials = base64.b64encode("ana:päss".encode())
        assert b"Proxy-Authorization: Basic " + credentials in lines(connect)
        assert canary.reveal().encode() not in connect
        assert [len(seen.heads) for seen in server.journal] == [2]
        assert lines(server.requests[0])[0] == b"GET /api/v2/billing.php?api=interactions HTTP/1.1"
        assert b"roxy" not in server.requests[0]


async def test_plain_http_is_asked_of_the_proxy_by_absolute_address(client: Client) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as proxy:
        mets = await client.ask_often(2, base_url="http://127.0.0.1:9/gate", proxy=address(proxy, "ana:secret@"))
        assert mets == [Answer(200, BODY)] * 2
        assert [len(seen.heads) for seen in proxy.journal] == [2]
        for head in proxy.requests:
            first, *fields = lines(head)
            assert first == b"GET http://127.0.0.1:9/gate/api/v2/billing.php?api=interactions HTTP/1.1"
            assert b"Host: 127.0.0.1:9" in fields
            assert fields.count(b"Proxy-Authorization: Basic " + base64.b64encode(b"ana:secret")) == 1


async def test_a_proxy_without_a_user_gets_no_credentials(client: Client) -> None:
    async with FaultServer(Do.READ, OK) as proxy:
        assert await client.ask(base_url="http://127.0.0.1:9", proxy=address(proxy)) == Answer(200, BODY)
        assert b"authorization" not in proxy.requests[0].lower()


async def test_each_turn_opens_a_tunnel_of_its_own_with_the_credentials(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        async with FaultServer(Do.READ, TUNNEL, Relay(server.port)) as proxy:
            transport = client.transport(
                server, scheme="https", ca_file=authority.file, proxy=address(proxy, "ana:secret@")
            )
            for _ in range(2):
                async with transport.turn(client.operation()) as turn:
                    assert await turn.attempt(client.question()) == Answer(200, BODY)
        assert len(proxy.requests) == 2
        assert all(b"Proxy-Authorization" in head for head in proxy.requests)
        assert [len(seen.heads) for seen in server.journal] == [1, 1]


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


async def test_a_proxy_whose_name_is_unknown_is_named(client: Client) -> None:
    met = await client.ask(base_url="https://127.0.0.1:9", proxy=f"http://{'x' * 70}.invalid:1")
    assert isinstance(met, Breakdown)
    assert (ending(met), met.unanswered_since) == ("connect", None)
    assert met.message.startswith("the proxy's name is not known: check --proxy")


async def test_the_certificate_is_verified_through_a_tunnel_too(client: Client, authority: Authority) -> None:
    async with FaultServer(Do.READ, OK, tls=authority.server("127.0.0.2")) as server:
        async with FaultServer(Do.READ, TUNNEL, Relay(server.port)) as proxy:
            met = await client.ask(server, scheme="https", ca_file=authority.file, proxy=address(proxy))
            assert isinstance(met, Breakdown)
            assert (ending(met), met.unanswered_since) == ("tls", None)
        assert server.requests == []


@pytest.mark.looptime
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((Do.READ,), id="silence"),
        pytest.param((Do.READ, b"HTTP/1.1 "), id="half a head"),
        pytest.param((Do.READ, TUNNEL), id="a silent tunnel"),
        pytest.param((Do.READ, TUNNEL + b"220 mail\r\n"), id="a tunnel that speaks first"),
    ],
)
async def test_a_proxy_that_hangs_is_a_connection_that_takes_too_long(client: Client, steps: tuple[Step, ...]) -> None:
    async with FaultServer(*steps) as proxy:
        met = await client.ask(base_url="https://127.0.0.1:9", proxy=address(proxy))
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since) == ("connect", None)
        assert met.message.startswith("no connection within 10 s: the proxy may not reach the server")
        assert asyncio.get_running_loop().time() == pytest.approx(10)
        await proxy.all_gone()
