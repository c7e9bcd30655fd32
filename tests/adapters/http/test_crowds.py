"""Many answers at a time, some of them hostile: what is held of all of them is bounded, and honest ones go on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.adapters.http.clients import BODY, CHUNKED, OK, Client, Met, answer, chunked, ending, headed
from tests.adapters.http.packing import PACKERS
from tests.faultserver import Do, FaultServer, Flood, Step
from wolkvox_async.adapters.http import HttpTransport
from wolkvox_async.adapters.http.room import BIG, GRACE, POOL, SMALL
from wolkvox_async.model import Answer, Breakdown

MIB = 2**20
SEATS = POOL // BIG
BLOCK = b" " * 65_536
MEDIUM = b'{"code":200,"data":[{"items":"' + b"1" * 200_000 + b'"}]}'
HUGE = b'{"code":200,"data":[{"items":"' + b"1" * (3 * MIB) + b'"}]}'
NEARLY_BIG = MIB - 1_000
STALLED = answer(bytes(NEARLY_BIG))[:-1]
TOO_SLOW = "the answer stopped, or came too slowly, while others waited for the room that it took up"


class Crowd:
    """Turns of one transport, all of which ask at once."""

    def __init__(self, client: Client, server: FaultServer, stack: AsyncExitStack, timeout: float) -> None:
        self._client = client
        self._server = server
        self._stack = stack
        transport = client.transport(server, timeout=timeout)
        assert isinstance(transport, HttpTransport)
        self._transport = transport
        self.pool, self.lane = transport._room.pool, transport._room.lane

    async def ask(self, *steps: Step, times: int = 1) -> list[asyncio.Task[Met]]:
        """Have `times` turns ask, and the server follow `steps`; returns when all was sent that can be."""
        asking: list[asyncio.Task[Met]] = []
        for _ in range(times):
            self._server.on_connection(Do.READ, *steps)
            turn = await self._stack.enter_async_context(self._transport.turn(self._client.operation()))
            asking.append(asyncio.create_task(turn.attempt(self._client.question())))
        await asyncio.sleep(0.5)
        return asking

    @property
    def held(self) -> int:
        """Bytes of bodies that are in memory now."""
        return sum(wire.holding.size for wire in self._transport._wires)


@asynccontextmanager
async def crowd(client: Client, server: FaultServer, *, timeout: float = 65) -> AsyncIterator[Crowd]:  # noqa: ASYNC109 - of attempts, not of this
    async with AsyncExitStack() as stack:
        yield Crowd(client, server, stack, timeout)


def kinds(mets: list[Met]) -> Counter[str]:
    return Counter(map(ending, mets))


@pytest.mark.looptime
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((STALLED,), id="announced"),
        pytest.param((CHUNKED, chunked(bytes(NEARLY_BIG))[:-5]), id="in chunks"),
        pytest.param((headed(), bytes(NEARLY_BIG)), id="until the end"),
        pytest.param((b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n" * 3_500), id="in the head"),
        pytest.param((headed(*["X-More: " + "m" * 500] * 100), bytes(9_000)), id="behind a long head"),
    ],
)
async def test_answers_that_stop_halfway_share_the_pool(
    client: Client, server: FaultServer, steps: tuple[Step, ...]
) -> None:
    async with crowd(client, server, timeout=20) as everybody:
        asking = await everybody.ask(*steps, times=3 * SEATS)
        assert POOL - BIG < everybody.pool.used <= POOL
        assert everybody.pool.waiting == 2 * SEATS
        assert everybody.held <= POOL + 2 * SEATS * 2 * SMALL
        assert kinds(await asyncio.gather(*asking)) == {"timeout": 3 * SEATS}
        assert (everybody.pool.used, everybody.pool.waiting) == (0, 0)


@pytest.mark.looptime
async def test_a_small_answer_waits_for_nobody(client: Client, server: FaultServer) -> None:
    async with crowd(client, server) as everybody:
        stalled = await everybody.ask(STALLED, times=SEATS + 1)
        (small,) = await everybody.ask(OK)
        assert small.done()
        assert await small == Answer(200, BODY)
        assert everybody.pool.waiting == 1
        await asyncio.gather(*stalled)


@pytest.mark.looptime
async def test_a_medium_answer_waits_no_longer_than_it_must(client: Client, server: FaultServer) -> None:
    async with crowd(client, server) as everybody:
        stalled = await everybody.ask(STALLED, times=SEATS)
        began = asyncio.get_running_loop().time()
        (medium,) = await everybody.ask(answer(MEDIUM))
        assert not medium.done()
        assert await medium == Answer(200, MEDIUM)
        assert asyncio.get_running_loop().time() - began < GRACE + 2
        given_up = [met for met in await asyncio.gather(*stalled) if isinstance(met, Breakdown)]
        assert TOO_SLOW in {met.message for met in given_up}
        assert kinds([*given_up]) == {"timeout": SEATS}


@pytest.mark.looptime
async def test_answers_that_stop_with_nobody_waiting_have_all_of_their_time(
    client: Client, server: FaultServer
) -> None:
    whole = bytes(NEARLY_BIG)
    async with crowd(client, server) as everybody:
        asking = await everybody.ask(STALLED, 60.0, bytes(1), times=SEATS)
        assert [met.body for met in await asyncio.gather(*asking) if isinstance(met, Answer)] == [whole] * SEATS


@pytest.mark.looptime
async def test_the_deadline_goes_on_while_an_answer_waits_for_the_pool(client: Client, server: FaultServer) -> None:
    async with crowd(client, server, timeout=2) as everybody:
        asking = await everybody.ask(STALLED, times=SEATS + 2)
        assert everybody.pool.waiting == 2
        met = await asking[-1]
        assert asyncio.get_running_loop().time() == pytest.approx(2, abs=0.5)
        assert isinstance(met, Breakdown)
        assert met.message == "the answer was not complete within 2 s"
        await asyncio.gather(*asking)
        assert (everybody.pool.used, everybody.pool.waiting) == (0, 0)


@pytest.mark.looptime
async def test_who_is_cancelled_while_waiting_for_the_pool_leaves_it(client: Client, server: FaultServer) -> None:
    async with crowd(client, server) as everybody:
        asking = await everybody.ask(STALLED, times=SEATS + 1)
        for task in asking[::-1]:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        assert everybody.pool.waiting == 0
    assert everybody.pool.used == 0
    await server.all_gone()


async def test_streams_without_end_are_read_one_at_a_time_and_all_come_to_theirs(
    client: Client, server: FaultServer
) -> None:
    async with crowd(client, server) as everybody:
        asking = await everybody.ask(headed(), Flood(BLOCK, 10**6), times=SEATS + 2)
        assert kinds(await asyncio.gather(*asking)) == {"too_large": SEATS + 2}
        assert (everybody.pool.used, everybody.lane.used) == (0, 0)


@pytest.mark.looptime
async def test_an_answer_that_says_that_it_is_big_takes_up_nothing_of_the_pool(
    client: Client, server: FaultServer
) -> None:
    async with crowd(client, server) as everybody:
        first, *others = await everybody.ask(answer(HUGE), times=5)
        assert first.done()
        assert (everybody.pool.used, everybody.lane.waiting) == (0, 4)
        assert everybody.held <= 4 * 2 * SMALL
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        assert everybody.lane.waiting == 0


@pytest.mark.looptime
@pytest.mark.parametrize("coding", sorted(PACKERS))
async def test_what_is_big_once_decoded_waits_packed_and_a_bomb_waits_for_nothing(
    client: Client, server: FaultServer, coding: str
) -> None:
    packed = answer(PACKERS[coding](bytes(8 * MIB)), f"Content-Encoding: {coding}")
    bomb = answer(PACKERS[coding](bytes(20 * MIB)), f"Content-Encoding: {coding}")
    async with crowd(client, server) as everybody:
        (first,) = await everybody.ask(answer(HUGE))
        assert await first == Answer(200, HUGE)
        (gone_off,) = await everybody.ask(bomb)
        assert gone_off.done()
        assert kinds([await gone_off]) == {"too_large": 1}
        waiting = await everybody.ask(packed, times=3)
        assert everybody.lane.waiting == 3
        assert everybody.pool.used <= 3 * len(packed)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_room_for_an_answer_is_free_again_once_it_is_handed_over(client: Client, server: FaultServer) -> None:
    async with crowd(client, server) as everybody:
        asking = await everybody.ask(CHUNKED, chunked(MEDIUM), times=3 * SEATS)
        assert await asyncio.gather(*asking) == [Answer(200, MEDIUM)] * 3 * SEATS
        assert everybody.pool.used == 0
