"""Connections that serve any token of their server (`connections="shared"`): what allows it, and what ends it.

Time is virtual where it matters for how long a connection is kept.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress

import pytest
import uvloop

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import BODY, CHUNKED, OK, Client, Met, answer, chunked, ending, headed
from tests.faultserver import HOST, Do, FaultServer, Seen
from wolkvox_async.adapters.http import HttpSettings, HttpTransport
from wolkvox_async.adapters.http.keeping import MAX_AGE, MAX_IDLE, QUIET
from wolkvox_async.model import Answer, Breakdown, Token

FOREIGN = answer(b'{"code":200,"error":null,"msg":"","data":[{"operation":"SOMEBODY ELSE","items":"666"}]}')
LONG_QUIET = 2 * QUIET


class Tokens:
    """Tokens that ask one after the other, each in a turn of its own, over one transport."""

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport
        self._client = Client(HttpTransport, Token("token-of-nobody"))
        self._count = 0

    @property
    def kept(self) -> int:
        """How many connections are kept now."""
        keeper = self.transport._keeper
        assert keeper is not None
        return len(keeper)

    async def ask(self, times: int = 1, *, server: object = "0001") -> list[Met]:
        """Have the next token ask."""
        self._count += 1
        token = Token(f"token-number-{self._count}")
        async with self.transport.turn(self._client.operation(server, token)) as turn:
            return [await turn.attempt(self._client.question(server, token)) for _ in range(times)]

    async def ask_all(self, turns: int) -> list[Met]:
        """Have several tokens ask at once."""
        return [met for mets in await asyncio.gather(*(self.ask() for _ in range(turns))) for met in mets]


@pytest.fixture
async def opened() -> AsyncIterator[list[HttpTransport]]:
    made: list[HttpTransport] = []
    yield made
    for transport in made:
        await transport.close()


@pytest.fixture
async def tokens(server: FaultServer, opened: list[HttpTransport]) -> Tokens:
    return at(server, opened)


def at(server: FaultServer, opened: list[HttpTransport], **settings: str) -> Tokens:
    settings.setdefault("base_url", f"http://{HOST}:{server.port}")
    opened.append(HttpTransport(HttpSettings(connections="shared", **settings)))  # type: ignore[arg-type]
    return Tokens(opened[-1])


def asked(server: FaultServer) -> list[int]:
    """Return how many questions each connection was asked."""
    return [len(seen.heads) for seen in server.journal]


def senders(seen: Seen) -> list[bytes]:
    return [head.partition(b"wolkvox-token: ")[2].partition(b"\r\n")[0] for head in seen.heads]


def kept_marks(mets: list[Met]) -> list[bool]:
    return [met.kept for met in mets if isinstance(met, Answer)]


# --- reuse ------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [OK, CHUNKED + chunked(BODY)], ids=["length", "chunks"])
async def test_a_connection_serves_token_after_token(server: FaultServer, tokens: Tokens, sent: bytes) -> None:
    server.on_connection(Do.READ, sent, Do.REPEAT)
    mets = [*await tokens.ask(2), *await tokens.ask(2)]
    assert mets == [Answer(200, BODY)] * 4
    assert senders(server.journal[0]) == [b"token-number-1"] * 2 + [b"token-number-2"] * 2
    assert kept_marks(mets) == [False, True, True, True]


async def test_each_connection_serves_one_token_unless_they_are_shared(server: FaultServer) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    server.on_connection(Do.READ, OK, Do.REPEAT)
    transport = HttpTransport(HttpSettings(base_url=f"http://{HOST}:{server.port}"))
    tokens = Tokens(transport)
    assert kept_marks([*await tokens.ask(), *await tokens.ask()]) == [False, False]
    assert (asked(server), transport._keeper) == ([1, 1], None)
    await transport.close()


async def test_a_moment_of_quiet_goes_before_another_token(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    first, second = await tokens.ask(), await tokens.ask()
    (before, after) = [met.sent_at for met in (*first, *second) if isinstance(met, Answer)]
    assert before is not None
    assert after is not None
    assert after - before >= QUIET
    assert asked(server) == [2]


async def test_the_next_of_the_same_servers_paths_says_its_own(opened: list[HttpTransport]) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        tokens = at(server, opened, base_url=f"http://{HOST}:{server.port}/wv{{server}}")
        await tokens.ask(server="0001")
        await tokens.ask(server="0002")
        assert [head.split(b"/")[1] for head in server.requests] == [b"wv0001", b"wv0002"]
        assert asked(server) == [2]


async def test_another_server_gets_none_of_it(server: FaultServer, opened: list[HttpTransport]) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as other:
        server.on_connection(Do.READ, OK, Do.REPEAT)
        tokens = at(server, opened, base_url=f"http://{HOST}:{{server}}")
        await asyncio.gather(*(tokens.ask(server=one.port) for one in (server, other)))
        assert await tokens.ask(server=server.port) == [Answer(200, BODY)]
        assert (asked(server), asked(other)) == ([2], [1])


async def test_over_tls_it_is_the_same(authority: Authority, good: ssl.SSLContext, opened: list[HttpTransport]) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        tokens = at(server, opened, base_url=f"https://{HOST}:{server.port}", ca_file=authority.file)
        assert [*await tokens.ask(2), *await tokens.ask(2)] == [Answer(200, BODY)] * 4
        assert asked(server) == [4]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_on_uvloop_it_is_the_same(authority: Authority, good: ssl.SSLContext, scheme: str) -> None:
    async def play() -> tuple[list[Met], list[int]]:
        async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good if scheme == "https" else None) as server:
            opened: list[HttpTransport] = []
            tokens = at(server, opened, base_url=f"{scheme}://{HOST}:{server.port}", ca_file=authority.file)
            mets = [*await tokens.ask(2), *await tokens.ask(2)]
            await opened[0].close()
            return mets, asked(server)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(play()) == ([Answer(200, BODY)] * 4, [4])


# --- what comes unasked -------------------------------------------------------------------

UNASKED = pytest.mark.parametrize(
    "unasked",
    [
        pytest.param(FOREIGN, id="an answer"),
        pytest.param(FOREIGN[:20], id="the beginning of one"),
        pytest.param(b"H", id="a byte"),
        pytest.param(headed(status="100 Continue"), id="an interim answer"),
    ],
)


@UNASKED
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_what_comes_between_two_turns_closes_the_connection_and_is_nobodys_answer(
    authority: Authority, good: ssl.SSLContext, opened: list[HttpTransport], unasked: bytes, scheme: str
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good if scheme == "https" else None) as server:
        tokens = at(server, opened, base_url=f"{scheme}://{HOST}:{server.port}", ca_file=authority.file)
        await tokens.ask()
        assert tokens.kept == 1
        server.journal[0].say(unasked)
        async with asyncio.timeout(30):
            await server.all_gone()
        assert tokens.kept == 0
        assert await tokens.ask() == [Answer(200, BODY)]
        assert asked(server) == [1, 1]


@UNASKED
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_what_came_just_now_is_seen_though_the_event_loop_has_not_looked(
    authority: Authority, good: ssl.SSLContext, opened: list[HttpTransport], unasked: bytes, scheme: str
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good if scheme == "https" else None) as server:
        tokens = at(server, opened, base_url=f"{scheme}://{HOST}:{server.port}", ca_file=authority.file)
        await tokens.ask()
        await asyncio.sleep(LONG_QUIET)
        server.journal[0].say(unasked)
        assert await tokens.ask() == [Answer(200, BODY)]
        assert asked(server) == [1, 1]


async def test_a_second_copy_right_behind_an_answer_reaches_nobody(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, QUIET / 5, FOREIGN, Do.READ, OK)
    server.on_connection(Do.READ, OK)
    assert [*await tokens.ask(), *await tokens.ask()] == [Answer(200, BODY)] * 2
    assert asked(server) == [1, 1]


async def test_an_answer_with_something_behind_it_ends_the_connection(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK + FOREIGN, Do.READ, OK)
    server.on_connection(Do.READ, OK)
    assert [*await tokens.ask(), *await tokens.ask()] == [Answer(200, BODY)] * 2
    assert asked(server) == [1, 1]


async def test_of_two_answers_to_another_tokens_question_neither_is_believed(
    server: FaultServer, tokens: Tokens
) -> None:
    server.on_connection(Do.READ, OK, Do.READ, FOREIGN + OK)
    await tokens.ask()
    (met,) = await tokens.ask()
    assert ending(met) == "protocol"
    assert (asked(server), tokens.kept) == ([2], 0)


# --- what is not kept ---------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(answer(BODY, "Connection: close"), id="the last one"),
        pytest.param(OK[:-1], id="half an answer"),
        pytest.param(b"nonsense\r\n\r\n", id="nonsense"),
        pytest.param(answer(b"nonsense", "Content-Encoding: gzip"), id="a body that cannot be decoded"),
    ],
)
async def test_what_was_odd_is_not_kept(server: FaultServer, tokens: Tokens, sent: bytes) -> None:
    server.on_connection(Do.READ, sent, Do.READ, OK)
    server.on_connection(Do.READ, OK)
    await tokens.ask()
    assert tokens.kept == 0
    assert await tokens.ask() == [Answer(200, BODY)]
    assert asked(server) == [1, 1]


async def test_a_distrusted_connection_is_not_kept(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    client = Client(HttpTransport, Token("token-of-nobody"))
    async with tokens.transport.turn(client.operation()) as turn:
        assert await turn.attempt(client.question()) == Answer(200, BODY)
        turn.distrust()
    assert tokens.kept == 0
    await server.all_gone()


async def test_a_turn_that_ends_in_an_error_keeps_nothing(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    client = Client(HttpTransport, Token("token-of-nobody"))
    with suppress(ValueError):
        async with tokens.transport.turn(client.operation()) as turn:
            assert await turn.attempt(client.question()) == Answer(200, BODY)
            raise ValueError("made up")
    assert tokens.kept == 0


async def test_a_cancelled_question_closes_its_connection(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, Do.READ)
    await tokens.ask()
    await asyncio.sleep(LONG_QUIET)
    asking = asyncio.create_task(tokens.ask())
    while len(server.requests) < 2:
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert tokens.kept == 0
    await server.all_gone()


async def test_who_is_cancelled_in_the_moment_of_quiet_has_asked_nothing(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    server.on_connection(Do.READ, OK, Do.REPEAT)
    await tokens.ask()
    asking = asyncio.create_task(tokens.ask())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    async with asyncio.timeout(30):
        await server.all_gone()
    assert await tokens.ask() == [Answer(200, BODY)]
    assert asked(server) == [1, 1]


# --- how the kept ones end ------------------------------------------------------------------


@pytest.mark.parametrize("end", [Do.CLOSE, Do.CUT, Do.RESET], ids=lambda end: end.name.lower())
async def test_the_servers_end_of_a_kept_connection_is_taken_at_once(
    server: FaultServer, tokens: Tokens, end: Do
) -> None:
    server.on_connection(Do.READ, OK, LONG_QUIET, end)
    server.on_connection(Do.READ, OK)
    await tokens.ask()
    async with asyncio.timeout(30):
        while tokens.kept:
            await asyncio.sleep(0.001)
    assert await tokens.ask() == [Answer(200, BODY)]
    assert asked(server) == [1, 1]


async def test_an_end_that_came_just_now_is_seen(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    server.on_connection(Do.READ, OK)
    await tokens.ask()
    await asyncio.sleep(LONG_QUIET)
    server.journal[0].hang_up()
    assert await tokens.ask() == [Answer(200, BODY)]
    assert asked(server) == [1, 1]


async def test_a_question_that_crosses_the_end_is_lost_and_never_repeated(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, Do.READ, Do.CUT)
    server.on_connection(Do.READ, OK, Do.REPEAT)
    await tokens.ask()
    (met,) = await tokens.ask()
    assert isinstance(met, Breakdown)
    assert (ending(met), met.unanswered_since is None) == ("disconnected", False)
    assert (asked(server), tokens.kept) == ([2], 0)


@pytest.mark.looptime
async def test_what_nobody_uses_is_closed(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    await tokens.ask()
    await asyncio.sleep(MAX_IDLE - 0.1)
    assert tokens.kept == 1
    await asyncio.sleep(0.2)
    assert tokens.kept == 0
    await server.all_gone()


@pytest.mark.looptime
async def test_what_has_become_old_is_not_kept(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    server.on_connection(Do.READ, OK, Do.REPEAT)
    start = asyncio.get_running_loop().time()
    while len(server.journal) < 2:
        await tokens.ask()
        await asyncio.sleep(MAX_IDLE / 2)
    assert asyncio.get_running_loop().time() - start == pytest.approx(MAX_AGE, abs=MAX_IDLE)
    assert asked(server)[1] == 1


async def test_when_the_transport_closes_nothing_is_kept(server: FaultServer, tokens: Tokens) -> None:
    server.on_connection(Do.READ, OK, Do.REPEAT)
    await tokens.ask()
    await tokens.transport.close()
    assert tokens.kept == 0
    await server.all_gone()


# --- which, and how many ----------------------------------------------------------------------


async def test_the_one_that_was_used_last_is_taken_first(opened: list[HttpTransport]) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        tokens = at(server, opened)
        await tokens.ask_all(3)
        await asyncio.sleep(LONG_QUIET)
        for _ in range(3):
            await tokens.ask()
            await asyncio.sleep(LONG_QUIET)
        assert sorted(asked(server)) == [1, 1, 4]


async def test_no_server_gets_more_connections_than_turns_were_open_at_once(opened: list[HttpTransport]) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        tokens = at(server, opened)
        for _ in range(3):
            assert {ending(met) for met in await tokens.ask_all(4)} == {"ok"}
        assert (asked(server), tokens.kept) == ([3] * 4, 4)


async def test_all_servers_together_keep_no_more_than_was_in_use_at_once(opened: list[HttpTransport]) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(FaultServer(Do.READ, OK, Do.REPEAT)) for _ in range(4)]
        tokens = at(servers[0], opened, base_url=f"http://{HOST}:{{server}}")
        await asyncio.gather(*(tokens.ask(server=server.port) for server in servers[:2]))
        for server in servers[2:]:
            await tokens.ask(server=server.port)
        async with asyncio.timeout(30):
            await asyncio.gather(*(server.all_gone() for server in servers[:2]))
        assert tokens.kept == 2
        assert not any(seen.gone.is_set() for server in servers[2:] for seen in server.journal)
