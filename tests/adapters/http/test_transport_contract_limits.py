"""What the port promises of time, sizes and ends, kept by the fast transport and by the session alike."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from tests.adapters.http.clients import BODY, CHUNKED, OK, Client, Met, answer, asked, chunked, ending, headed
from tests.adapters.http.packing import PACKERS
from tests.adapters.http.test_cancellation import assert_nothing_left, cancel_in_every_round, was_cancelled
from tests.adapters.http.test_connecting import OUT_OF_DESCRIPTORS
from tests.adapters.http.test_crowds import TOO_SLOW
from tests.adapters.http.test_sizes import BIG, BIG_PARTS, BLOCK, BOMBS, MIB, peak_below
from tests.adapters.http.test_standing_still import LOOPS, TIMEOUT, Vendor, vendor
from tests.adapters.http.transports import CONTRACTED, client_of
from tests.faultserver import HOST, Do, Drip, FaultServer, Flood, Step
from wolkvox_async.adapters.http.room import BIG as BIG_SIZE
from wolkvox_async.adapters.http.room import GRACE, POOL
from wolkvox_async.model import Answer, Breakdown, Token

MEDIUM = b'{"code":200,"data":[{"items":"' + b"1" * 200_000 + b'"}]}'
STALLED = answer(bytes(BIG_SIZE - 1_000))[:-1]


@pytest.fixture(params=sorted(CONTRACTED))
async def client(request: pytest.FixtureRequest, canary: Token) -> AsyncIterator[Client]:
    async with client_of(request.param, canary) as made:
        yield made


def now() -> float:
    return asyncio.get_running_loop().time()


# --- time ---------------------------------------------------------------------------


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("steps", "status"),
    [
        pytest.param((Do.READ,), None, id="silence"),
        pytest.param((Do.AWAIT, 100.0), None, id="a server that does not read"),
        pytest.param((Do.READ, OK[:9]), None, id="half a status line"),
        pytest.param((Do.READ, OK[:-1]), 200, id="one byte short"),
        pytest.param((Do.READ, OK[:17], Drip(b"X-More: and more\r\n" * 100, 18, 1.0)), None, id="endless head"),
        pytest.param((Do.READ, CHUNKED, Drip(b"1\r\n \r\n" * 100, 6, 1.0)), 200, id="endless chunks"),
        pytest.param((Do.READ, headed(), Drip(b" " * 100, 1, 1.0)), 200, id="endless body"),
        pytest.param((Do.READ, Drip(b"HTTP/1.1 102 Wait\r\n\r\n" * 100, 21, 1.0)), None, id="wait, wait"),
    ],
)
async def test_an_attempt_takes_no_longer_than_its_time_out(
    client: Client, steps: tuple[Step, ...], status: int | None
) -> None:
    async with FaultServer(*steps) as server:
        start = now()
        met = await client.ask(server)
        assert isinstance(met, Breakdown)
        assert (ending(met), met.status) == ("timeout", status)
        assert now() - start == pytest.approx(65)
        assert met.unanswered_since == pytest.approx(start)
        assert len(server.journal) == 1
        assert len(server.requests) == (Do.READ in steps)


@pytest.mark.looptime
@pytest.mark.parametrize(("settings", "seconds"), [({}, 10), ({"timeout": 3}, 3), ({"connect_timeout": 0.5}, 0.5)])
async def test_a_connection_that_takes_too_long_is_given_up(
    client: Client, settings: dict[str, Any], seconds: float
) -> None:
    async with FaultServer() as mute:  # accepts and never speaks TLS
        met = await client.ask(mute, scheme="https", **settings)
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since) == ("connect", None)
        assert now() == pytest.approx(seconds)
        await mute.all_gone()


@pytest.mark.looptime
@pytest.mark.parametrize("answered", [OK, CHUNKED + chunked(BODY[:5], BODY[5:])], ids=["length", "chunks"])
async def test_a_slow_answer_is_read_byte_by_byte_and_each_attempt_has_its_own_time(
    client: Client, answered: bytes
) -> None:
    async with FaultServer(Do.READ, 40.0, Drip(answered, 1, 0.1), Do.REPEAT) as server:
        assert [ending(met) for met in await client.ask_often(3, server)] == ["ok"] * 3
        assert len(server.requests) == 3


@pytest.mark.looptime
async def test_an_answer_tells_when_it_was_asked_for(client: Client) -> None:
    async with FaultServer(Do.READ, 40.0, OK, Do.REPEAT) as server:
        start = now()
        mets = await client.ask_often(2, server)
        assert [met.sent_at for met in mets if isinstance(met, Answer)] == pytest.approx([start, start + 40])


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("steps", "kind"),
    [((Do.AWAIT, 5.0, OK[:9], 5.0, OK[9:]), "ok"), ((Do.AWAIT, 5.0, OK[:9], Do.RESET), "disconnected")],
)
async def test_a_request_that_is_still_leaving_was_sent_no_sooner_than_its_answer_began(
    client: Client, steps: tuple[Step, ...], kind: str
) -> None:
    async with FaultServer(*steps) as server:
        start = now()
        long = replace(client.question(), query=(("api", "interactions"), ("more", "m" * 30_000_000)))
        async with client.turn(server) as turn:
            met = await turn.attempt(long)
        assert ending(met) == kind
        left_at = met.sent_at if isinstance(met, Answer) else met.unanswered_since
        assert left_at is not None
        assert start + 5 <= left_at <= now()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("name", CONTRACTED)
@pytest.mark.parametrize("answered", [True, False])
def test_what_came_while_the_process_stood_still_counts(canary: Token, name: str, loop: str, answered: bool) -> None:
    async def ask(at: Vendor) -> Met:
        address = f"http://{HOST}:{at.port}"
        async with client_of(name, canary) as client, client.turn(base_url=address, timeout=TIMEOUT) as turn:
            met, _ = await asyncio.gather(turn.attempt(client.question()), at.stand_still())
            return met

    with vendor(OK if answered else OK[:20]) as at, asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert ending(runner.run(ask(at))) == ("ok" if answered else "timeout")


@pytest.mark.parametrize("name", CONTRACTED)
@pytest.mark.parametrize("host", [HOST, "localhost"])
async def test_without_file_descriptors_it_says_so_and_recovers(name: str, host: str) -> None:
    ours = "from tests.adapters.http.transports import CONTRACTED"
    script = OUT_OF_DESCRIPTORS.replace("from wolkvox_async.adapters.http import HttpTransport", ours)
    script = textwrap.dedent(script.replace("Client(HttpTransport,", f"Client(CONTRACTED[{name!r}],"))
    assert ours in script
    async with FaultServer(Do.READ, OK) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, f"http://{host}:{server.port}", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        said, complaints = await process.communicate()
    *failures, last = said.decode().splitlines()
    assert complaints == b""
    assert len(failures) == 2
    assert all(line.startswith("connect None this process has no file descriptors left: ") for line in failures)
    assert last == "ok"


# --- sizes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((headed(f"Content-Length: {300 * MIB}"), Flood(BLOCK, 4800)), id="announced"),
        pytest.param((CHUNKED, Flood(chunked(BLOCK)[:-5], 4800)), id="in chunks"),
        pytest.param((CHUNKED, b"12c00000\r\n", Flood(BLOCK, 4800)), id="in a chunk"),
        pytest.param((headed(), Flood(BLOCK, 4800)), id="until the end"),
    ],
)
async def test_300_mib_are_not_taken_in(client: Client, steps: tuple[Step, ...]) -> None:
    async with FaultServer(Do.READ, *steps) as server:
        with peak_below(60 * MIB):
            met = await client.ask(server)
        assert isinstance(met, Breakdown)
        assert (ending(met), met.status) == ("too_large", 200)
        assert "larger than 16777216 bytes" in met.message
        assert met.unanswered_since is not None  # the server may still be sending
        assert len(server.requests) == 1


@BOMBS
async def test_a_bomb_does_not_go_off(client: Client, coding: str, packed: bytes) -> None:
    async with FaultServer(Do.READ, answer(packed, f"Content-Encoding: {coding}"), Do.REPEAT) as server:
        with peak_below(30 * MIB):
            mets = await client.ask_often(2, server)
        assert [ending(met) for met in mets] == ["too_large"] * 2
        assert [met.unanswered_since for met in mets if isinstance(met, Breakdown)] == [None] * 2


@pytest.mark.parametrize(("over", "kind"), [(0, "malformed"), (1, "too_large")])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("in_chunks", [False, True], ids=["length", "chunks"])
async def test_the_limit_is_what_it_says(client: Client, coding: str, over: int, kind: str, in_chunks: bool) -> None:
    body = b" " * (1_000 + over)
    packed = PACKERS["gzip"](body) if coding == "gzip" else body
    sent = answer(packed, f"Content-Encoding: {coding}")
    if in_chunks:
        sent = headed("Transfer-Encoding: chunked", f"Content-Encoding: {coding}") + chunked(packed)
    async with FaultServer(Do.READ, sent) as server:
        assert ending(await client.ask(server, max_body=1_000)) == kind


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_large_bodies_are_held_one_at_a_time(client: Client, coding: str) -> None:
    packed = answer(PACKERS["gzip"](BIG) if coding == "gzip" else BIG, f"Content-Encoding: {coding}")
    async with FaultServer(Do.READ, packed, Do.REPEAT) as server:
        transport = client.transport(server)
        async with transport.turn(client.operation()) as first, transport.turn(client.operation()) as second:
            assert await asked(client, first) == Answer(200, BIG)
            waiting = asyncio.create_task(asked(client, second))
            while len(server.requests) < 2:
                await asyncio.sleep(0)
            await asyncio.sleep(0.03)
            assert not waiting.done()
            again = asyncio.create_task(asked(client, first))  # asking again lets go of what was read
            assert await waiting == Answer(200, BIG)
            await asyncio.sleep(0.03)
            assert not again.done()
            second.distrust()  # so does closing the connection
            assert await again == Answer(200, BIG)


async def test_a_small_body_waits_for_no_large_one(client: Client) -> None:
    async with FaultServer(Do.READ, OK) as server:
        server.on_connection(Do.READ, answer(BIG))
        transport = client.transport(server)
        async with transport.turn(client.operation()) as large, transport.turn(client.operation()) as small:
            assert await asked(client, large) == Answer(200, BIG)
            assert await asked(client, small) == Answer(200, BODY)


async def test_many_large_bodies_at_once_take_little_memory(client: Client) -> None:
    async with FaultServer(Do.READ, headed(f"Content-Length: {16 * MIB}"), Flood(BLOCK, 256)) as server:
        transport = client.transport(server)

        async def read() -> int:
            async with transport.turn(client.operation()) as turn:
                met = await asked(client, turn)
                return len(met.body) if isinstance(met, Answer) else 0

        with peak_below(16 * MIB * 4):
            assert await asyncio.gather(*(read() for _ in range(8))) == [16 * MIB] * 8


@pytest.mark.looptime
async def test_a_large_body_that_drips_does_not_fail_another(client: Client) -> None:
    async with FaultServer(Do.READ, BIG_PARTS[0], BIG_PARTS[1]) as server:
        server.on_connection(Do.READ, BIG_PARTS[0], Drip(BIG_PARTS[1], 1, 10.0))
        transport = client.transport(server)
        async with transport.turn(client.operation()) as dripping, transport.turn(client.operation()) as healthy:
            poisoned = asyncio.create_task(asked(client, dripping))
            await asyncio.sleep(1)
            assert await asked(client, healthy) == Answer(200, BIG)
            met = await poisoned
            assert isinstance(met, Breakdown)
            assert (ending(met), met.status, met.message) == ("timeout", 200, TOO_SLOW)
            assert met.unanswered_since == pytest.approx(0)  # the server may still be at work on it
            assert now() < 10  # and not 65


@pytest.mark.looptime
async def test_the_time_left_goes_on_when_a_large_body_does(client: Client) -> None:
    async with FaultServer(Do.READ, 25.0, BIG_PARTS[0], 50.0, BIG_PARTS[1]) as server:
        server.on_connection(Do.READ, 20.0, answer(BIG))
        transport = client.transport(server)
        async with AsyncExitStack() as first_turn, transport.turn(client.operation()) as second:
            first = await first_turn.enter_async_context(transport.turn(client.operation()))
            tasks = [asyncio.create_task(asked(client, first)), asyncio.create_task(asked(client, second))]
            assert await tasks[0] == Answer(200, BIG)
            await asyncio.sleep(300)
            assert not tasks[1].done()
            await first_turn.aclose()
            start = now()
            assert await tasks[1] == Answer(200, BIG)
            assert now() == pytest.approx(start)


@pytest.mark.looptime
async def test_a_large_body_that_waited_and_stops_has_no_more_than_the_time_left(client: Client) -> None:
    async with FaultServer(Do.READ, 25.0, BIG_PARTS[0]) as server:
        server.on_connection(Do.READ, 20.0, answer(BIG))
        transport = client.transport(server)
        async with AsyncExitStack() as first_turn, transport.turn(client.operation()) as second:
            first = await first_turn.enter_async_context(transport.turn(client.operation()))
            tasks = [asyncio.create_task(asked(client, first)), asyncio.create_task(asked(client, second))]
            assert await tasks[0] == Answer(200, BIG)
            await asyncio.sleep(300)
            await first_turn.aclose()
            start = now()
            assert ending(await tasks[1]) == "timeout"
            assert now() - start == pytest.approx(40)


@pytest.mark.looptime
async def test_answers_that_stop_halfway_cost_others_no_more_than_a_moment(client: Client) -> None:
    async with FaultServer(Do.READ, STALLED) as server:
        transport = client.transport(server)
        async with AsyncExitStack() as stack:
            turns = [await stack.enter_async_context(transport.turn(client.operation())) for _ in range(10)]
            stalled = [asyncio.create_task(asked(client, turn)) for turn in turns[: POOL // BIG_SIZE]]
            await asyncio.sleep(0.5)
            server.on_connection(Do.READ, answer(MEDIUM))
            start = now()
            assert await asked(client, turns[-1]) == Answer(200, MEDIUM)
            assert now() - start < GRACE + 2
            server.on_connection(Do.READ, OK)
            assert await asked(client, turns[-2]) == Answer(200, BODY)
            assert {ending(met) for met in await asyncio.gather(*stalled)} == {"timeout"}


# --- ends ---------------------------------------------------------------------------


async def test_an_attempt_may_be_cancelled_in_any_round(client: Client) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        await cancel_in_every_round(client, client.transport(server), server)
        assert len(server.requests) == sum(len(seen.heads) for seen in server.journal) > 0


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((Do.READ,), id="for the head"),
        pytest.param((Do.READ, OK[:20]), id="in the head"),
        pytest.param((Do.READ, OK[:-5]), id="in the body"),
        pytest.param((Do.READ, answer(BIG)[:-5]), id="in a large body"),
    ],
)
async def test_a_waiting_attempt_may_be_cancelled(client: Client, steps: tuple[Step, ...]) -> None:
    async with FaultServer(Do.READ, OK) as server:
        server.on_connection(*steps)
        async with client.turn(server) as turn:
            attempt = asyncio.create_task(asked(client, turn))
            while not server.requests:
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)
            assert await was_cancelled(attempt)
            await assert_nothing_left(server)
            assert await asked(client, turn) == Answer(200, BODY)
        assert [len(seen.heads) for seen in server.journal] == [1, 1]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_an_attempt_that_waits_for_its_large_body_may_be_cancelled(client: Client, coding: str) -> None:
    body = PACKERS["gzip"](BIG) if coding == "gzip" else BIG
    async with FaultServer(Do.READ, answer(body, f"Content-Encoding: {coding}"), Do.REPEAT) as server:
        transport = client.transport(server)
        async with transport.turn(client.operation()) as first:
            assert await asked(client, first) == Answer(200, BIG)
            async with transport.turn(client.operation()) as second:
                attempt = asyncio.create_task(asked(client, second))
                while len(server.requests) < 2:
                    await asyncio.sleep(0)
                await asyncio.sleep(0.02)
                assert await was_cancelled(attempt)
        async with transport.turn(client.operation()) as third:
            assert await asked(client, third) == Answer(200, BIG)
        await assert_nothing_left(server)


async def test_a_time_out_around_an_attempt_is_that_time_out(client: Client) -> None:
    async with FaultServer(Do.READ) as server, client.turn(server) as turn:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await asked(client, turn)
        await assert_nothing_left(server)


@pytest.mark.parametrize(
    "steps", [(Do.READ,), (Do.READ, OK[:-5]), (Do.READ, answer(BIG)[:-5])], ids=["head", "body", "large body"]
)
async def test_closing_the_transport_ends_what_waits(client: Client, steps: tuple[Step, ...]) -> None:
    async with FaultServer(*steps) as server:
        transport = client.transport(server)
        async with transport.turn(client.operation()) as first, transport.turn(client.operation()) as second:
            attempts = [asyncio.create_task(asked(client, turn)) for turn in (first, second)]
            while len(server.requests) < 2:
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)
            closing = asyncio.create_task(transport.close())
            mets = await attempts[0], await attempts[1]
            await closing
            assert [ending(met) for met in mets] == ["disconnected"] * 2
            assert [met.unanswered_since is None for met in mets if isinstance(met, Breakdown)] == [False] * 2
            await assert_nothing_left(server)


async def test_a_transport_may_be_closed_twice_and_unused(client: Client) -> None:
    transport = client.transport(base_url="https://wv{server}.wolkvox.com")
    await transport.close()
    await transport.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
