"""Large bodies on a connection that is kept, and what the tests of sizes have in common."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import pytest

from tests.adapters.http.clients import OK, Client, answer, asked, ending, headed
from tests.adapters.http.packing import PACKERS
from tests.faultserver import Do, FaultServer, Flood
from wolkvox_async.model import Answer, Breakdown

MIB = 2**20
BLOCK = b" " * 65_536
BIG = b'{"code":200,"data":[{"items":"' + b"1" * (3 * MIB) + b'"}]}'
BIG_PARTS = (headed(f"Content-Length: {len(BIG)}") + BIG[: MIB * 5 // 4], BIG[MIB * 5 // 4 :])
BOMBS = pytest.mark.parametrize(
    ("coding", "packed"),
    [
        pytest.param("gzip", PACKERS["gzip"](bytes(64 * MIB)), id="gzip"),
        pytest.param("br", PACKERS["br"](bytes(64 * MIB)), id="br"),
        pytest.param("zstd", PACKERS["zstd"](bytes(64 * MIB)), id="zstd"),
        pytest.param("gzip", PACKERS["gzip"](bytes(4 * MIB)) * 16, id="gzip in parts"),
    ],
)


@contextmanager
def peak_below(limit: int) -> Iterator[None]:
    """Fail when Python has held more than `limit` bytes at once on top of what it holds now."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


@BOMBS
async def test_a_bomb_costs_no_connection(client: Client, server: FaultServer, coding: str, packed: bytes) -> None:
    server.on_connection(Do.READ, answer(packed, f"Content-Encoding: {coding}"), Do.READ, OK)
    assert [ending(met) for met in await client.ask_often(2, server)] == ["too_large", "ok"]
    assert [len(seen.heads) for seen in server.journal] == [2]


async def test_a_large_body_is_read_whole(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, headed("Content-Length: 16777216"), Flood(BLOCK, 256), Do.REPEAT)
    mets = await client.ask_often(2, server)
    assert [met.body == BLOCK * 256 for met in mets if isinstance(met, Answer)] == [True, True]
    assert [len(seen.heads) for seen in server.journal] == [2]


@pytest.mark.looptime
async def test_a_large_body_that_drips_alone_has_all_of_its_time(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, BIG_PARTS[0], 60.0, BIG_PARTS[1])
    assert await client.ask(server) == Answer(200, BIG)


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
