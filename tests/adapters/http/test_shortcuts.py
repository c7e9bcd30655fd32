"""What is done cheaply when it was done before: heads that are known, addresses that were reached, TLS sessions.

None of it may show in anything but the cost.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import BODY, CHUNKED, OK, Client, answer, chunked, ending, headed
from tests.faultserver import HOST, Do, Drip, FaultServer
from wolkvox_async.adapters.http import HttpSettings, HttpTransport, parts
from wolkvox_async.adapters.http.framing import AnswerReader
from wolkvox_async.adapters.http.parts import ADDRESS_TTL, misfit
from wolkvox_async.adapters.http.requests import Targets
from wolkvox_async.adapters.http.tls import BELIEVED, tls_context
from wolkvox_async.model import Answer, Breakdown, Token

SHORT = b'{"code":200,"error":null,"msg":"none","data":[]}'
GZIP = "Content-Encoding: gzip"


@pytest.fixture
async def client(canary: Token) -> AsyncIterator[Client]:
    made = Client(HttpTransport, canary)
    yield made
    for transport in made.opened:
        await transport.close()


@pytest.fixture
async def transport(server: FaultServer) -> AsyncIterator[HttpTransport]:
    made = HttpTransport(HttpSettings(base_url=f"http://{HOST}:{server.port}"))
    yield made
    await made.close()


async def ask_often(transport: HttpTransport, canary: Token, times: int) -> list[Answer | Breakdown]:
    client = Client(HttpTransport, canary)
    async with transport.turn(client.operation()) as turn:
        return [await turn.attempt(client.question()) for _ in range(times)]


# --- heads --------------------------------------------------------------------------------


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[AnswerReader]:
    """What readers of answers were made."""
    made: list[AnswerReader] = []

    def reader() -> AnswerReader:
        made.append(AnswerReader())
        return made[-1]

    monkeypatch.setattr("wolkvox_async.adapters.http.wire.AnswerReader", reader)
    return made


async def test_the_head_that_came_last_is_known(
    server: FaultServer, transport: HttpTransport, canary: Token, parsed: list[AnswerReader]
) -> None:
    server.on_connection(Do.READ, OK, Do.READ, OK, Do.READ, OK)
    assert await ask_often(transport, canary, 3) == [Answer(200, BODY)] * 3
    assert len(parsed) == 1


async def test_a_head_that_came_twice_is_known_whatever_its_date_its_number_and_its_length(
    server: FaultServer, transport: HttpTransport, canary: Token, parsed: list[AnswerReader]
) -> None:
    bodies = [BODY, SHORT, BODY + b" ", b""]
    sent = [answer(body, f"Date: day {n}", "Server: x", f"X-Request-Id: {n}") for n, body in enumerate(bodies)]
    server.on_connection(*(step for one in sent for step in (Do.READ, one)))
    assert await ask_often(transport, canary, 4) == [Answer(200, body) for body in bodies]
    assert len(parsed) == 2


async def test_a_head_that_is_known_is_so_with_its_status_and_its_encoding(
    server: FaultServer, transport: HttpTransport, canary: Token, parsed: list[AnswerReader]
) -> None:
    packed = gzip.compress(BODY)
    for n in range(4):
        number = f"X-Request-Id: {n}"
        steps = answer(BODY, number), answer(SHORT, number, status="404 No"), answer(packed, number, GZIP)
        server.on_connection(*(step for one in steps for step in (Do.READ, one)))
        assert await ask_often(transport, canary, 3) == [Answer(200, BODY), Answer(404, SHORT), Answer(200, BODY)]
    assert len(parsed) == 6


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(CHUNKED + chunked(BODY), id="chunks"),
        pytest.param(answer(BODY, "Connection: close"), id="the last answer"),
        pytest.param(answer(BODY, "Retry-After: 3"), id="a pause"),
        pytest.param(answer(BODY, "Location: /elsewhere"), id="a place"),
        pytest.param(answer(BODY, "X-Long: " + "x" * 1_100), id="a long head"),
        pytest.param(headed(status="100 Continue") + OK, id="an interim answer"),
        pytest.param(OK + b"\r\n", id="something behind it"),
        pytest.param(headed("Content-Length: 0", status="204 No Content"), id="no body"),
        pytest.param(OK.replace(b"/1.1", b"/1.0", 1), id="HTTP/1.0"),
        pytest.param(OK.replace(b"200", b"2OO", 1), id="nonsense"),
    ],
)
async def test_no_other_head_is_remembered(
    server: FaultServer, transport: HttpTransport, canary: Token, sent: bytes
) -> None:
    for _ in range(4):
        server.on_connection(Do.READ, sent)
    for _ in range(2):
        await ask_often(transport, canary, 1)
    assert len(transport._shared.heads) == 0
    assert transport._shared.heads.find(sent) is None


@pytest.mark.parametrize("size", [1, 50, len(OK) - len(BODY), len(OK) - 1])
async def test_a_known_head_whose_body_comes_later_is_read_all_the_same(
    server: FaultServer, transport: HttpTransport, canary: Token, size: int
) -> None:
    server.on_connection(Do.READ, OK, Do.READ, Drip(OK, size, 0.002 if size > 1 else 0.0), Do.READ, OK)
    assert await ask_often(transport, canary, 3) == [Answer(200, BODY)] * 3
    assert [len(seen.heads) for seen in server.journal] == [3]


async def test_what_comes_behind_a_known_answer_is_seen(
    server: FaultServer, transport: HttpTransport, canary: Token
) -> None:
    server.on_connection(Do.READ, OK, Do.READ, OK + answer(SHORT))
    server.on_connection(Do.READ, OK)
    assert [ending(met) for met in await ask_often(transport, canary, 3)] == ["ok", "protocol", "ok"]
    assert [len(seen.heads) for seen in server.journal] == [2, 1]


async def test_a_known_head_of_packed_answers_stays_packed(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, answer(b"nonsense", "Content-Encoding: gzip"), Do.REPEAT)
    assert [ending(met) for met in await client.ask_often(3, server)] == ["malformed"] * 3
    assert len(server.requests) == 3


async def test_only_so_many_heads_are_remembered(server: FaultServer, transport: HttpTransport, canary: Token) -> None:
    sent = [answer(body, f"X-Id: {n}") for n in range(50) for body in (BODY, SHORT)]
    server.on_connection(*(step for one in sent for step in (Do.READ, one)))
    assert await ask_often(transport, canary, 100) == [Answer(200, BODY), Answer(200, SHORT)] * 50
    assert len(transport._shared.heads) == 16


def test_only_so_many_targets_are_remembered(canary: Token) -> None:
    targets, client = Targets(), Client(HttpTransport, canary)
    question = client.question()
    assert {targets.of(question) for _ in range(3)} == {b"billing.php?api=interactions"}
    for number in range(1_000):
        asked = client.question()
        object.__setattr__(asked, "query", (("api", "interactions"), ("date_ini", str(number))))
        assert targets.of(asked) == b"billing.php?api=interactions&date_ini=%d" % number
    assert len(targets) == 256


# --- addresses ------------------------------------------------------------------------------


class Counting(aiohttp.TCPConnector):
    """Counts how often aiohttp is asked for a connection."""

    asked = 0

    async def connect(self, *args: Any, **options: Any) -> Any:
        type(self).asked += 1
        return await super().connect(*args, **options)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    monkeypatch.setattr(aiohttp, "TCPConnector", Counting)
    monkeypatch.setattr(Counting, "asked", 0)
    return Counting


@pytest.mark.looptime
async def test_an_address_that_was_reached_is_dialled_directly_for_a_while(
    counting: type[Counting], client: Client, server: FaultServer
) -> None:
    for _ in range(4):
        server.on_connection(Do.READ, OK)
    transport = client.transport(server)
    for _ in range(3):
        async with transport.turn(client.operation()) as turn:
            assert ending(await turn.attempt(client.question())) == "ok"
    assert counting.asked == 1
    await asyncio.sleep(ADDRESS_TTL + 1)
    async with transport.turn(client.operation()) as turn:
        assert ending(await turn.attempt(client.question())) == "ok"
    assert counting.asked == 2


async def test_where_nobody_answers_any_more_aiohttp_says_why(counting: type[Counting], client: Client) -> None:
    async with FaultServer(Do.READ, OK) as server:
        transport = client.transport(server)
        async with transport.turn(client.operation()) as turn:
            assert ending(await turn.attempt(client.question())) == "ok"
    for expected in (2, 3):
        async with transport.turn(client.operation()) as turn:
            met = await turn.attempt(client.question())
        assert isinstance(met, Breakdown)
        assert met.message.startswith("connection refused: ")
        assert met.unanswered_since is None
        assert counting.asked == expected


async def test_a_certificate_is_looked_at_when_an_address_is_dialled_directly(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with FaultServer(Do.READ, OK, tls=good) as server:
        port = server.port
        transport = client.transport(server, scheme="https", ca_file=authority.file)
        async with transport.turn(client.operation()) as turn:
            assert ending(await turn.attempt(client.question())) == "ok"
        assert isinstance(transport, HttpTransport)
        assert transport._tls is not None
        transport._tls._proofs.clear()  # or the session would be offered, and refused
    wrong = FaultServer(Do.READ, OK, tls=authority.server("elsewhere.example"))
    listening = await asyncio.start_server(wrong._accepted, HOST, port, ssl=wrong._tls)
    async with listening, transport.turn(client.operation()) as turn:
        met = await turn.attempt(client.question())
    assert isinstance(met, Breakdown)
    assert (ending(met), met.unanswered_since) == ("tls", None)
    assert wrong.requests == []
    await wrong.stop()


async def test_a_connector_of_somebody_elses_is_never_passed_by(canary: Token) -> None:
    async with FaultServer(Do.READ, OK) as server, Counting() as connector:
        before = Counting.asked
        transport = HttpTransport(HttpSettings(base_url=f"http://{HOST}:{server.port}"), connector=connector)
        for _ in range(3):
            assert [ending(met) for met in await ask_often(transport, canary, 1)] == ["ok"]
        assert Counting.asked - before == 3
        await transport.close()


# --- sessions of TLS ----------------------------------------------------------------------------


async def test_a_tls_session_is_resumed_for_a_while_and_then_proved_anew(
    client: Client, authority: Authority, good: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        transport = client.transport(server, scheme="https", ca_file=authority.file)
        resumed: list[bool] = []

        async def ask() -> None:
            async with transport.turn(client.operation()) as turn:
                assert await turn.attempt(client.question()) == Answer(200, BODY)
                assert isinstance(transport, HttpTransport)
                (wire,) = [wire for wire in transport._wires if wire.usable]
                assert wire.tls is not None
                resumed.append(wire.tls.session_reused)

        for _ in range(3):
            await ask()
        assert resumed == [False, True, True]
        monkeypatch.setattr("wolkvox_async.adapters.http.tls.BELIEVED", 0.0)
        await ask()
        assert resumed == [False, True, True, False]
        await server.all_gone()


async def test_a_session_is_for_the_name_that_it_was_proved_for() -> None:
    context = tls_context(None)
    made = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="wv0001.example")
    context.learn(made)  # there was no handshake: nothing to remember
    assert context._proofs == {}
    assert BELIEVED <= 3_600


def test_a_context_trusts_no_more_than_the_standard_librarys() -> None:
    ours, default = tls_context(None), ssl.create_default_context()
    names = ("verify_mode", "check_hostname", "verify_flags", "options", "minimum_version", "maximum_version")
    assert [getattr(ours, name) for name in names] == [getattr(default, name) for name in names]
    assert ours.get_ca_certs() == default.get_ca_certs()


# --- whether aiohttp fits ---------------------------------------------------------------------------


async def test_the_installed_aiohttp_fits() -> None:
    assert misfit() is None


class OtherConnector:
    async def connect(self, request: object) -> None: ...


class OtherParser:
    def __init__(self, *_: object, **__: object) -> None: ...

    def feed_data(self, _: bytes) -> tuple[list[object], bool, bytes]:
        return [], False, b""


class MovedParser:
    def __init__(self, protocol: object) -> None: ...


@pytest.mark.parametrize(
    ("where", "what", "said"),
    [
        (aiohttp, {"TCPConnector": OtherConnector}, "connects in another way"),
        (aiohttp.connector, {"Connection": object}, "connections have other parts"),
        (aiohttp.client_proto, {"ResponseHandler": object}, "protocols have other parts"),
        (parts, {"ClientRequest": object}, "do not work together"),
        (parts, {"HttpResponseParser": MovedParser}, "do not work together"),
        (parts, {"HttpResponseParser": OtherParser}, "do not work together"),
        (parts, {"_MISSING": True}, "has moved its parser"),
    ],
)
async def test_an_aiohttp_that_does_not_fit_is_told(
    monkeypatch: pytest.MonkeyPatch, where: Any, what: dict[str, object], said: str
) -> None:
    for name, value in what.items():
        monkeypatch.setattr(where, name, value)
    told = misfit()
    assert told is not None
    assert said in told


def test_an_aiohttp_without_these_parts_can_be_told_from_one_that_fits() -> None:
    program = """
        import asyncio, sys, aiohttp
        sys.modules["aiohttp.http_parser"] = None
        from wolkvox_async.adapters.http import misfit
        async def ask():
            print(misfit())
        asyncio.run(ask())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("aiohttp has moved its parser")
