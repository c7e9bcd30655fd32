"""What the port promises of questions and answers, kept by the fast transport and by the session alike.

How many connections a turn takes is each transport's own business, so servers here do
the same on every connection; how often they were asked is not.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.adapters.http.clients import BODY, CHUNKED, OK, Client, answer, chunked, ending, headed
from tests.adapters.http.test_encodings import NOT_READ, READ
from tests.adapters.http.test_framing import BODILESS, CLOSED, EMPTY, KEPT, NOT_KEPT, PROTOCOL
from tests.adapters.http.test_lost_connections import ENDINGS
from tests.adapters.http.test_unasked import FOREIGN, UNASKED
from tests.adapters.http.transports import CONTRACTED, client_of
from tests.faultserver import HOST, Do, Drip, FaultServer, Step
from wolkvox_async.adapters.http import bodies
from wolkvox_async.model import Answer, Breakdown, Token

# What aiohttp passes over, or waits for the end of, when it reads by itself.
READ_KINDLY: Final = {
    "a blank line first",
    "a flood of blank lines",
    "a head of 70 KiB that does not end",
    "an interim answer with a long body",
    "interim answers of 70 KiB",
}


@pytest.fixture(params=sorted(CONTRACTED))
async def client(request: pytest.FixtureRequest, canary: Token) -> AsyncIterator[Client]:
    async with client_of(request.param, canary) as made:
        yield made


def cases(table: dict[str, bytes]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sent", [pytest.param(sent, id=name) for name, sent in table.items()])


def fields(head: bytes) -> dict[str, str]:
    lines = head.decode("ascii").removesuffix("\r\n\r\n").split("\r\n")[1:]
    assert len({line.partition(":")[0].lower() for line in lines}) == len(lines)
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


# --- what is asked ------------------------------------------------------------------


async def test_a_request_says_exactly_what_is_meant(client: Client, canary: Token) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        assert await client.ask_often(2, server, user_agent="wolkvox-async/7") == [Answer(200, BODY)] * 2
        assert len(server.requests) == 2
        for head in server.requests:
            assert head.startswith(b"GET /api/v2/billing.php?api=interactions HTTP/1.1\r\n")
            said = fields(head)
            assert said.pop("connection", "close") == "close"  # where it is asked only once
            assert said == {
                "host": f"{HOST}:{server.port}",
                "wolkvox-token": canary.reveal(),
                "accept": "application/json",
                "accept-encoding": bodies.ACCEPTED,
                "user-agent": "wolkvox-async/7",
            }
        assert b"".join(seen.rest for seen in server.journal) == b""


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("http://127.0.0.1:{port}/", "/api/v2/"),
        ("http://127.0.0.1:{port}/gate/wolkvox/", "/gate/wolkvox/api/v2/"),
        ("http://127.0.0.1:{port}/wv{server}", "/wv0042/api/v2/"),
        ("http://127.0.0.1:{port}/a%20b", "/a%20b/api/v2/"),
    ],
)
async def test_a_path_prefix_is_kept(client: Client, template: str, path: str) -> None:
    async with FaultServer(Do.READ, OK) as server:
        transport = client.transport(base_url=template.replace("{port}", str(server.port)))
        async with transport.turn(client.operation("0042")) as turn:
            assert ending(await turn.attempt(client.question("0042"))) == "ok"
        assert server.requests[0].split(b" ")[1].decode() == f"{path}billing.php?api=interactions"


@pytest.mark.parametrize("template", ["http://127.0.0.1:{server}", "http://{server}host:PORT"])
async def test_the_server_may_stand_in_port_or_host(client: Client, template: str) -> None:
    async with FaultServer(Do.READ, OK) as server:
        name = str(server.port) if template.endswith("{server}") else "local"
        transport = client.transport(base_url=template.replace("PORT", str(server.port)))
        async with transport.turn(client.operation(name)) as turn:
            assert ending(await turn.attempt(client.question(name))) == "ok"
        assert fields(server.requests[0])["host"] in (f"{HOST}:{server.port}", f"localhost:{server.port}")


async def test_two_tokens_never_share_a_connection(client: Client) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        transport = client.transport(server)
        for token in (Token("first-token"), Token("second-token"), Token("first-token")):
            async with transport.turn(client.operation(token=token)) as turn:
                for _ in range(2):
                    assert ending(await turn.attempt(client.question(token=token))) == "ok"
        sent = [{fields(head)["wolkvox-token"] for head in seen.heads} for seen in server.journal]
        assert all(len(tokens) == 1 for tokens in sent)
        assert len(server.requests) == 6


async def test_cookies_are_never_sent_back(client: Client) -> None:
    async with FaultServer(Do.READ, answer(BODY, "Set-Cookie: session=1; Path=/"), Do.REPEAT) as server:
        assert [ending(met) for met in await client.ask_often(2, server, base_url=_local(server))] == ["ok"] * 2
        assert not any("cookie" in fields(head) for head in server.requests)


def _local(server: FaultServer) -> str:
    return f"http://localhost:{server.port}"  # a cookie jar keeps nothing for an address


async def test_netrc_and_proxies_of_the_environment_are_ignored(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine {HOST} login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with FaultServer(Do.READ, OK) as proxy, FaultServer(Do.READ, OK) as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{HOST}:{proxy.port}")
        assert ending(await client.ask(server)) == "ok"
        assert proxy.journal == []
        assert "authorization" not in fields(server.requests[0])


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_told_and_not_followed(client: Client, status: str) -> None:
    async with FaultServer(Do.READ, OK) as elsewhere:
        location = f"http://{HOST}:{elsewhere.port}/api"
        async with FaultServer(Do.READ, answer(b"", f"Location: {location}", status=status)) as server:
            met = await client.ask(server)
            assert met == Answer(int(status[:3]), b"", None, location)
            assert ending(met) == "redirect"
            assert len(server.requests) == 1
        assert elsewhere.journal == []


@pytest.mark.parametrize("pause", ["7", "Sat, 21 Nov 2026 12:00:07 GMT", "soon", "99999999999999999999"])
async def test_a_pause_that_the_server_asks_for_is_passed_on(client: Client, pause: str) -> None:
    sent = answer(b"slow down", f"Retry-After: {pause}", status="429 Too Many Requests")
    async with FaultServer(Do.READ, sent) as server:
        assert await client.ask(server) == Answer(429, b"slow down", pause)


# --- what is answered ---------------------------------------------------------------


@cases(KEPT)
@pytest.mark.parametrize("size", [1, 10**6])
async def test_an_answer_in_good_order_is_read(client: Client, sent: bytes, size: int) -> None:
    async with FaultServer(Do.READ, Drip(sent, size), Do.REPEAT) as server:
        mets = await client.ask_often(2, server)
        assert [met.body for met in mets if isinstance(met, Answer)] == [EMPTY if EMPTY in sent else BODY] * 2
        assert len(server.requests) == 2
        assert isinstance(mets[0], Answer)
        assert not mets[0].kept
        assert all(met.kept == (len(server.journal) == 1) for met in mets[1:] if isinstance(met, Answer))


@cases(NOT_KEPT)
async def test_an_odd_answer_is_that_answer_or_none(client: Client, sent: bytes) -> None:
    async with FaultServer(Do.READ, sent, Do.REPEAT) as server:
        for met in await client.ask_often(2, server):
            assert ending(met) in {"ok", "protocol"}
            assert isinstance(met, Breakdown) or met == Answer(200, BODY)
        assert [len(seen.heads) for seen in server.journal] == [1, 1]


@cases(CLOSED)
@pytest.mark.parametrize("end", [Do.CLOSE, Do.SHUT])
async def test_an_answer_without_a_length_ends_with_the_connection(client: Client, sent: bytes, end: Do) -> None:
    async with FaultServer(Do.READ, sent, end) as server:
        assert await client.ask_often(2, server) == [Answer(200, BODY)] * 2
        assert [len(seen.heads) for seen in server.journal] == [1, 1]


@pytest.mark.parametrize("end", [Do.CLOSE, Do.RESET])
async def test_an_answer_without_a_length_that_is_cut_off_is_not_ok(client: Client, end: Do) -> None:
    async with FaultServer(Do.READ, headed() + BODY[:-1], 0.01, end) as server:
        assert ending(await client.ask(server)) in {"malformed", "disconnected"}
        assert len(server.requests) == 1


@cases(BODILESS)
async def test_an_answer_without_a_body_is_no_answer_of_the_vendors(client: Client, sent: bytes) -> None:
    async with FaultServer(Do.READ, sent, Do.REPEAT) as server:
        assert [ending(met) for met in await client.ask_often(2, server)] == ["malformed"] * 2
        assert len(server.requests) == 2


@pytest.mark.looptime
@pytest.mark.parametrize("name", PROTOCOL)
async def test_what_is_no_http_is_a_named_error(client: Client, name: str) -> None:
    async with FaultServer(Do.READ, PROTOCOL[name]) as server:
        met = await client.ask(server)
        assert ending(met) == "protocol" or (name in READ_KINDLY and ending(met) in {"ok", "timeout"})
        if isinstance(met, Breakdown):
            assert met.unanswered_since is not None
        else:
            assert met == Answer(200, BODY)
        assert len(server.requests) == len(server.journal) == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(headed("Content-Length: 100", "ETag: 1", status="304 Not Modified"), "redirect", id="unchanged"),
        pytest.param(headed("Transfer-Encoding: gzip, chunked") + chunked(b"\x1f\x8b\x08"), "malformed", id="coded"),
    ],
)
async def test_what_only_another_request_would_ask_for_is_no_answer(client: Client, sent: bytes, status: str) -> None:
    async with FaultServer(Do.READ, sent) as server:
        assert ending(await client.ask(server)) == status
        assert len(server.requests) == 1


@pytest.mark.parametrize(("coding", "packed"), [pytest.param(*case, id=name) for name, case in READ.items()])
@pytest.mark.parametrize("in_chunks", [False, True], ids=["length", "chunks"])
async def test_an_encoding_that_was_asked_for_is_read(
    client: Client, coding: str, packed: bytes, in_chunks: bool
) -> None:
    sent = answer(packed, f"Content-Encoding: {coding}")
    if in_chunks:
        pieces = (packed[at : at + 7] for at in range(0, len(packed), 7))
        sent = headed("Transfer-Encoding: chunked", f"Content-Encoding: {coding}") + chunked(*pieces)
    async with FaultServer(Do.READ, sent) as server:
        assert await client.ask(server) == Answer(200, BODY)


@pytest.mark.parametrize(("coding", "packed"), [pytest.param(*case, id=name) for name, case in NOT_READ.items()])
async def test_an_encoding_that_cannot_be_read_is_malformed_and_over(
    client: Client, coding: str, packed: bytes
) -> None:
    async with FaultServer(Do.READ, answer(packed, f"Content-Encoding: {coding}")) as server:
        met = await client.ask(server)
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since, met.status) == ("malformed", None, 200)


# --- what breaks --------------------------------------------------------------------


@ENDINGS
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param((Do.AWAIT,), None, id="before the request was read"),
        pytest.param((Do.READ,), None, id="after the request was read"),
        pytest.param((Do.READ, b"HTTP/1.1 2"), None, id="in the status line"),
        pytest.param((Do.READ, b"HTTP/1.1 401 No\r\nContent-Len"), None, id="in the head"),
        pytest.param((Do.READ, answer(BODY, status="401 No")[: -len(BODY)], 0.005), 401, id="behind a refusal's head"),
        pytest.param((Do.READ, answer(BODY, status="401 No")[:-1], 0.005), 401, id="in a refusal's body"),
        pytest.param((Do.READ, CHUNKED, 0.005), 200, id="before a chunk"),
        pytest.param((Do.READ, CHUNKED + b"5\r\n{", 0.005), 200, id="in a chunk"),
        pytest.param((Do.READ, CHUNKED + b"2\r\n{}\r\n0\r\n", 0.005), 200, id="before the end of the last chunk"),
        pytest.param((Do.READ, b"HTTP/1.1 100 Continue\r\n\r\n"), None, id="behind an interim answer"),
    ],
)
async def test_a_connection_lost_before_the_answer_was_whole(
    client: Client, sent: tuple[Step, ...], status: int | None, end: Do
) -> None:
    async with FaultServer(*sent, end) as server:
        start = asyncio.get_running_loop().time()
        async with client.turn(server) as turn:
            met = await turn.attempt(client.question())
            stop = asyncio.get_running_loop().time()
        assert isinstance(met, Breakdown)
        assert met.kind.value == "disconnected"
        assert met.status == status
        assert start <= (met.unanswered_since or 0) <= stop
        assert len(server.journal) == 1
        assert len(server.requests) == (Do.READ in sent)


@ENDINGS
async def test_a_connection_lost_before_it_was_asked(client: Client, end: Do) -> None:
    async with FaultServer(end) as server:
        assert ending(await client.ask(server)) in {"disconnected", "connect"}
        assert len(server.journal) == 1


@ENDINGS
@pytest.mark.parametrize("answered", [OK, answer(BODY, "Connection: close")], ids=["kept", "closing"])
async def test_an_answer_is_believed_though_the_connection_goes_right_behind_it(
    client: Client, end: Do, answered: bytes
) -> None:
    async with FaultServer(Do.READ, answered, end) as server:
        mets = await client.ask_often(3, server)
        assert mets == [Answer(200, BODY)] * 3
        assert [len(seen.heads) for seen in server.journal] == [1, 1, 1]


@ENDINGS
async def test_a_turn_goes_on_after_a_lost_connection(client: Client, end: Do) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        server.on_connection(Do.READ, OK[:-1], end)
        assert [ending(met) for met in await client.ask_often(3, server)] == ["disconnected", "ok", "ok"]
        assert len(server.requests) == 3


async def test_a_refused_connection_never_asked(client: Client) -> None:
    async with FaultServer() as gone:
        pass
    met = await client.ask(gone)
    assert isinstance(met, Breakdown)
    assert (ending(met), met.unanswered_since) == ("connect", None)
    assert "allow list" in met.message


@pytest.mark.parametrize("host", ["x" * 70, "a..b"])
async def test_a_name_that_cannot_be_is_not_known(client: Client, host: str) -> None:
    met = await client.ask(base_url=f"http://{host}.invalid")
    assert isinstance(met, Breakdown)
    assert (ending(met), met.unanswered_since) == ("connect", None)


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL])
async def test_a_name_that_leads_nowhere_is_told(client: Client, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def lookup(*_args: object, **_options: object) -> None:
        raise socket.gaierror(number, "made up")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    met = await client.ask(base_url="https://wv{server}.wolkvox.invalid")
    assert isinstance(met, Breakdown)
    assert (ending(met), met.unanswered_since) == ("connect", None)
    assert met.message.startswith("the server's name ")


async def test_a_distrusted_connection_is_closed_and_replaced(client: Client) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        async with client.turn(server) as turn:
            turn.distrust()  # there is none yet
            assert ending(await turn.attempt(client.question())) == "ok"
            turn.distrust()
            async with asyncio.timeout(30):
                await server.all_gone()
            assert ending(await turn.attempt(client.question())) == "ok"
        assert [len(seen.heads) for seen in server.journal] == [1, 1]


# --- what nobody asked for ----------------------------------------------------------


@UNASKED
@pytest.mark.parametrize("answered", [OK, CHUNKED + chunked(BODY)], ids=["length", "chunks"])
async def test_what_comes_with_an_answer_is_not_the_next_one(client: Client, answered: bytes, unasked: bytes) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        server.on_connection(Do.READ, answered + unasked, Do.READ, OK)
        mets = await client.ask_often(3, server)
        assert ending(mets[0]) in {"ok", "protocol"}
        assert isinstance(mets[0], Breakdown) or mets[0] == Answer(200, BODY)
        assert mets[1:] == [Answer(200, BODY)] * 2
        assert len(server.journal[0].heads) == 1


@UNASKED
@pytest.mark.parametrize("pause", [0.0, 0.02], ids=["just now", "long ago"])
async def test_what_comes_between_two_questions_is_no_answer(client: Client, unasked: bytes, pause: float) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server, client.turn(server) as turn:
        for _ in range(3):
            assert await turn.attempt(client.question()) == Answer(200, BODY)
            for seen in server.journal:
                if not seen.gone.is_set():
                    seen.say(unasked)
            await asyncio.sleep(pause)
        assert len(server.journal) == len(server.requests) == 3


async def test_two_answers_to_one_question_are_never_two_answers(client: Client) -> None:
    async with FaultServer(Do.READ, OK, Do.READ, OK + FOREIGN, Do.READ, OK) as server:
        mets = await client.ask_often(4, server)
        assert all(isinstance(met, Breakdown) or met == Answer(200, BODY) for met in mets)
        assert {ending(met) for met in mets} <= {"ok", "protocol"}
        assert len(server.requests) == 4


@pytest.mark.looptime
async def test_an_answer_that_comes_too_late_is_nobodys(client: Client) -> None:
    async with FaultServer(Do.READ, 10.0, OK) as server:
        server.on_connection(Do.READ, 66.0, FOREIGN)
        mets = await client.ask_often(2, server)
        assert [ending(met) for met in mets] == ["timeout", "ok"]
        assert mets[1] == Answer(200, BODY)
