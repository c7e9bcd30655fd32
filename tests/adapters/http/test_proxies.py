"""Through a proxy that was named: how long tunnels and connections last, and what proxies that fail are called."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import BODY, OK, Client, ending, headed
from tests.faultserver import HOST, Do, FaultServer, Relay, Step
from wolkvox_async.model import Answer, Breakdown

TUNNEL = headed(status="200 Connection established")


def address(proxy: FaultServer, user: str = "") -> str:
    return f"http://{user}{HOST}:{proxy.port}"


def lines(head: bytes) -> list[bytes]:
    return head.split(b"\r\n")


async def test_a_turn_keeps_its_tunnel(client: Client, authority: Authority, good: ssl.SSLContext) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        async with FaultServer(Do.READ, TUNNEL, Relay(server.port)) as proxy:
            mets = await client.ask_often(
                2, server, scheme="https", ca_file=authority.file, proxy=address(proxy, "ana:p%C3%A4ss@")
            )
            assert mets == [Answer(200, BODY)] * 2
        assert len(proxy.requests) == 1
        assert [len(seen.heads) for seen in server.journal] == [2]


async def test_a_turn_keeps_its_connection_to_a_proxy(client: Client) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as proxy:
        mets = await client.ask_often(2, base_url="http://127.0.0.1:9/gate", proxy=address(proxy, "ana:secret@"))
        assert mets == [Answer(200, BODY)] * 2
        assert [len(seen.heads) for seen in proxy.journal] == [2]


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


async def test_a_proxy_whose_name_is_unknown_is_named(client: Client) -> None:
    met = await client.ask(base_url="https://127.0.0.1:9", proxy=f"http://{'x' * 70}.invalid:1")
    assert isinstance(met, Breakdown)
    assert (ending(met), met.unanswered_since) == ("connect", None)
    assert met.message.startswith("the proxy's name is not known: check --proxy")


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
