"""Bodies that are too large, and many large ones at once: memory stays bounded and nobody fails for another."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import pytest

from tests.adapters.http.clients import BODY, CHUNKED, OK, Client, Met, answer, chunked, ending, headed
from tests.adapters.http.packing import PACKERS
from tests.faultserver import Do, Drip, FaultServer, Flood, Step
from wolkvox_async.model import Answer, Breakdown
from wolkvox_async.ports import Turn

MIB = 2**20
BLOCK = b" " * 65_536
BIG = b'{"code":200,"data":[{"items":"' + b"1" * (3 * MIB) + b'"}]}'
BIG_PARTS = (headed(f"Content-Length: {len(BIG)}") + BIG[: MIB * 5 // 4], BIG[MIB * 5 // 4 :])
TOO_SLOW = "the answer stopped, or came too slowly, while others waited for the room that it took up"


@contextmanager
def peak_below(limit: int) -> Iterator[None]:
    """Fail when Python has held more than `limit` bytes at once on top of what it holds now."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


async def asked(client: Client, turn: Turn) -> Met:
    return await turn.attempt(client.question())


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((headed(f"Content-Length: {300 * MIB}"), Flood(BLOCK, 4800)), id="announced"),
        pytest.param((CHUNKED, Flood(chunked(BLOCK)[:-5], 4800)), id="in chunks"),
        pytest.param((CHUNKED, b"12c00000\r\n", Flood(BLOCK, 4800)), id="in a chunk"),
        pytest.param((headed(), Flood(BLOCK, 4800)), id="until the end"),
    ],
)
async def test_300_mib_are_not_taken_in(client: Client, server: FaultServer, steps: tuple[Step, ...]) -> None:
    server.on_connection(Do.READ, *steps)
    with peak_below(60 * MIB):
        met = await client.ask(server)
    assert isinstance(met, Breakdown)
    assert ending(met) == "too_large"
    assert "larger than 16777216 bytes" in met.message
    assert met.unanswered_since is not None  # the server may still be sending
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        pytest.param("gzip", PACKERS["gzip"](bytes(64 * MIB)), id="gzip"),
        pytest.param("br", PACKERS["br"](bytes(64 * MIB)), id="br"),
        pytest.param("zstd", PACKERS["zstd"](bytes(64 * MIB)), id="zstd"),
        pytest.param("gzip", PACKERS["gzip"](bytes(4 * MIB)) * 16, id="gzip in parts"),
    ],
)
async def test_a_bomb_does_not_go_off(client: Client, server: FaultServer, coding: str, packed: bytes) -> None:
    server.on_connection(Do.READ, answer(packed, f"Content-Encoding: {coding}"), Do.READ, OK)
    with peak_below(30 * MIB):
        mets = await client.ask_often(2, server)
    assert [ending(met) for met in mets] == ["too_large", "ok"]
    assert isinstance(mets[0], Breakdown)
    assert mets[0].unanswered_since is None  # it was read whole, only not decoded
    assert [len(seen.heads) for seen in server.journal] == [2]


@pytest.mark.parametrize(("over", "kind"), [(0, "malformed"), (1, "too_large")])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_the_limit_is_what_it_says(
    client: Client, server: FaultServer, coding: str, over: int, kind: str
) -> None:
    body = b" " * (1_000 + over)
    packed = PACKERS["gzip"](body) if coding == "gzip" else body
    server.on_connection(Do.READ, answer(packed, f"Content-Encoding: {coding}"))
    assert ending(await client.ask(server, max_body=1_000)) == kind


async def test_a_large_body_is_read_whole(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, headed("Content-Length: 16777216"), Flood(BLOCK, 256), Do.REPEAT)
    mets = await client.ask_often(2, server)
    assert [met.body == BLOCK * 256 for met in mets if isinstance(met, Answer)] == [True, True]
    assert [len(seen.heads) for seen in server.journal] == [2]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_large_bodies_are_held_one_at_a_time(client: Client, coding: str) -> None:
    packed = answer(PACKERS["gzip"](BIG) if coding == "gzip" else BIG, f"Content-Encoding: {coding}")
    async with FaultServer(Do.READ, packed, Do.REPEAT) as server:
        transport = client.transport(server)
        async with transport.turn(client.operation()) as first, transport.turn(client.operation()) as second:
            assert await asked(client, first) == Answer(200, BIG)
            waiting = asyncio.create_task(asked(client, second))
            await asyncio.sleep(0.03)
            assert not waiting.done()
            assert len(server.requests) == 2
            again = asyncio.create_task(asked(client, first))  # asking again lets go of what was read
            assert await waiting == Answer(200, BIG)
            await asyncio.sleep(0.03)
            assert not again.done()
            second.distrust()  # so does closing the connection
            assert await again == Answer(200, BIG)


async def test_a_small_body_waits_for_no_large_one(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, answer(BIG))
    server.on_connection(Do.READ, OK)
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
            assert await asyncio.gather(*(read() for _ in range(12))) == [16 * MIB] * 12


@pytest.mark.looptime
async def test_a_large_body_that_drips_does_not_fail_another(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, BIG_PARTS[0], Drip(BIG_PARTS[1], 1, 10.0))
    server.on_connection(Do.READ, BIG_PARTS[0], BIG_PARTS[1], Do.REPEAT)
    transport = client.transport(server)
    async with transport.turn(client.operation()) as dripping, transport.turn(client.operation()) as healthy:
        poisoned = asyncio.create_task(asked(client, dripping))
        await asyncio.sleep(1)
        assert await asked(client, healthy) == Answer(200, BIG)
        met = await poisoned
        assert isinstance(met, Breakdown)
        assert (ending(met), met.message) == ("timeout", TOO_SLOW)
        assert met.unanswered_since == pytest.approx(0)  # the server may still be at work on it
        assert asyncio.get_running_loop().time() < 10  # and not 65


@pytest.mark.looptime
async def test_a_large_body_that_drips_alone_has_all_of_its_time(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, BIG_PARTS[0], 60.0, BIG_PARTS[1])
    assert await client.ask(server) == Answer(200, BIG)


@pytest.mark.looptime
async def test_the_time_left_goes_on_when_a_large_body_does(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, 20.0, answer(BIG))
    server.on_connection(Do.READ, 25.0, BIG_PARTS[0], 50.0, BIG_PARTS[1])
    transport = client.transport(server)
    async with AsyncExitStack() as first_turn, AsyncExitStack() as second_turn:
        first = await first_turn.enter_async_context(transport.turn(client.operation()))
        second = await second_turn.enter_async_context(transport.turn(client.operation()))
        waiting = asyncio.create_task(asked(client, first)), asyncio.create_task(asked(client, second))
        assert await waiting[0] == Answer(200, BIG)
        await asyncio.sleep(300)
        assert not waiting[1].done()
        await first_turn.aclose()
        start = asyncio.get_running_loop().time()
        met = await waiting[1]
        # 25 s had gone by when it began to wait; its rest had long been sent.
        assert isinstance(met, Answer)
        assert asyncio.get_running_loop().time() == pytest.approx(start)


@pytest.mark.looptime
async def test_a_connection_lost_while_a_large_body_waits_is_a_lost_connection(
    client: Client, server: FaultServer
) -> None:
    server.on_connection(Do.READ, answer(BIG))
    server.on_connection(Do.READ, BIG_PARTS[0], 0.5, Do.RESET)
    transport = client.transport(server)
    async with AsyncExitStack() as first_turn, AsyncExitStack() as second_turn:
        first = await first_turn.enter_async_context(transport.turn(client.operation()))
        second = await second_turn.enter_async_context(transport.turn(client.operation()))
        assert await asked(client, first) == Answer(200, BIG)
        waiting = asyncio.create_task(asked(client, second))
        await asyncio.sleep(1)
        assert not waiting.done()
        await first_turn.aclose()
        met = await waiting
        assert isinstance(met, Breakdown)
        assert ending(met) == "disconnected"
        assert met.unanswered_since is not None
