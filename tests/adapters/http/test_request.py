"""What goes over the wire, byte for byte, and how often."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.adapters.http.clients import BODY, OK, Client, answer, ending
from tests.canary import leaks_in_exception
from tests.faultserver import HOST, Do, FaultServer
from wolkvox_async.adapters.http import bodies
from wolkvox_async.model import Answer, Token


def fields(head: bytes) -> list[tuple[str, str]]:
    """Return the header fields of a request head, in order."""
    lines = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")[1:]
    return [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]


async def test_a_request_says_exactly_what_is_meant(client: Client, server: FaultServer, canary: Token) -> None:
    server.on_connection(Do.READ, OK)
    assert await client.ask(server) == Answer(200, BODY)
    (head,) = server.requests
    assert head.startswith(b"GET /api/v2/billing.php?api=interactions HTTP/1.1\r\n")
    assert fields(head) == [
        ("host", f"{HOST}:{server.port}"),
        ("wolkvox-token", canary.reveal()),
        ("accept", "application/json"),
        ("accept-encoding", bodies.ACCEPTED),
        ("user-agent", "wolkvox-async"),
    ]
    assert server.journal[0].rest == b""


async def test_zstd_and_brotli_are_asked_for_where_they_can_be_read() -> None:
    assert bodies.ACCEPTED.split(", ") == ["gzip", "deflate", "br", "zstd"]


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("http://127.0.0.1:{port}", "/api/v2/"),
        ("http://127.0.0.1:{port}/", "/api/v2/"),
        ("http://127.0.0.1:{port}/gate/wolkvox/", "/gate/wolkvox/api/v2/"),
        ("http://127.0.0.1:{port}/wv{server}", "/wv0042/api/v2/"),
        ("http://127.0.0.1:{port}/a%20b", "/a%20b/api/v2/"),
    ],
)
async def test_a_path_prefix_is_kept(client: Client, server: FaultServer, template: str, path: str) -> None:
    server.on_connection(Do.READ, OK)
    transport = client.transport(base_url=template.replace("{port}", str(server.port)))
    async with transport.turn(client.operation("0042")) as turn:
        assert ending(await turn.attempt(client.question("0042"))) == "ok"
    assert server.requests[0].split(b" ")[1].decode() == f"{path}billing.php?api=interactions"


async def test_the_server_may_stand_in_the_port(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK)
    transport = client.transport(base_url="http://127.0.0.1:{server}")
    async with transport.turn(client.operation(server.port)) as turn:
        assert ending(await turn.attempt(client.question(server.port))) == "ok"
    assert dict(fields(server.requests[0]))["host"] == f"{HOST}:{server.port}"


async def test_the_server_may_stand_in_the_host(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK)
    transport = client.transport(base_url=f"http://{{server}}host:{server.port}")
    async with transport.turn(client.operation("local")) as turn:
        assert ending(await turn.attempt(client.question("local"))) == "ok"
    assert dict(fields(server.requests[0]))["host"] == f"localhost:{server.port}"


async def test_a_turns_calls_share_a_connection(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    assert [ending(met) for met in await client.ask_often(5, server)] == ["ok"] * 5
    assert [len(seen.heads) for seen in server.journal] == [5]


async def test_two_turns_never_share_a_connection(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    server.on_connection(Do.READ, OK, Do.REPEAT)
    transport = client.transport(server)
    for token in (Token("first-token"), Token("second-token")):
        async with transport.turn(client.operation(token=token)) as turn:
            assert ending(await turn.attempt(client.question(token=token))) == "ok"
    sent = [[dict(fields(head))["wolkvox-token"] for head in seen.heads] for seen in server.journal]
    assert sent == [["first-token"], ["second-token"]]


async def test_two_turns_of_one_token_do_not_share_a_connection_either(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    server.on_connection(Do.READ, OK, Do.REPEAT)
    transport = client.transport(server)
    for _ in range(2):
        async with transport.turn(client.operation()) as turn:
            await turn.attempt(client.question())
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_a_turn_that_is_over_has_closed_its_connection(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    transport = client.transport(server)
    async with transport.turn(client.operation()) as turn:
        await turn.attempt(client.question())
        assert not server.journal[0].gone.is_set()
    async with asyncio.timeout(30):
        await server.all_gone()
    assert server.journal[0].gone.is_set()


async def test_a_distrusted_connection_is_closed_and_replaced(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    server.on_connection(Do.READ, OK, Do.REPEAT)
    async with client.turn(server) as turn:
        turn.distrust()  # there is none yet
        await turn.attempt(client.question())
        turn.distrust()
        async with asyncio.timeout(30):
            await server.all_gone()
        assert ending(await turn.attempt(client.question())) == "ok"
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_a_turn_without_a_call_does_not_connect(client: Client, server: FaultServer) -> None:
    async with client.turn(server):
        pass
    assert server.journal == []


async def test_cookies_are_never_sent_back(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, answer(BODY, "Set-Cookie: session=1; Path=/"), Do.REPEAT)
    assert [ending(met) for met in await client.ask_often(2, server)] == ["ok", "ok"]
    assert len(server.requests) == 2
    assert not any("cookie" in dict(fields(head)) for head in server.requests)


async def test_a_redirect_is_told_and_not_followed(client: Client, server: FaultServer) -> None:
    async with FaultServer(Do.READ, OK) as elsewhere:
        location = f"http://{HOST}:{elsewhere.port}/api"
        server.on_connection(Do.READ, answer(b"", f"Location: {location}", status="302 Found"))
        met = await client.ask(server)
        assert met == Answer(302, b"", None, location)
        assert ending(met) == "redirect"
        assert elsewhere.journal == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("pause", ["7", "Sat, 21 Nov 2026 12:00:07 GMT", "soon", "99999999999999999999"])
async def test_a_pause_that_the_server_asks_for_is_passed_on(client: Client, server: FaultServer, pause: str) -> None:
    server.on_connection(Do.READ, answer(b"slow down", f"Retry-After: {pause}", status="429 Too Many Requests"))
    met = await client.ask(server)
    assert met == Answer(429, b"slow down", pause)
    assert ending(met) == "rate_limited"


async def test_netrc_and_proxies_of_the_environment_are_ignored(
    client: Client, server: FaultServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine {HOST} login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with FaultServer(Do.READ, OK) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{HOST}:{proxy.port}")
        server.on_connection(Do.READ, OK)
        assert ending(await client.ask(server)) == "ok"
        assert proxy.journal == []
    assert "authorization" not in dict(fields(server.requests[0]))


async def test_a_header_that_cannot_be_written_does_not_show_the_token(
    client: Client, server: FaultServer, canary_text: str
) -> None:
    with pytest.raises(UnicodeError) as caught:
        await client.ask(server, user_agent="wølkvox")  # a mistake of the program's own
    assert leaks_in_exception(caught.value, canary_text) == []
