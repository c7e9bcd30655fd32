"""Everything that can take too long: the whole attempt is under one deadline. Time is virtual."""

from __future__ import annotations

import asyncio

import pytest

from tests.adapters.http.clients import BODY, CHUNKED, OK, Client, chunked, ending
from tests.faultserver import Do, Drip, FaultServer, Step
from wolkvox_async.model import Breakdown

pytestmark = pytest.mark.looptime

HEADER_LINES = Drip(b"X-More: and more\r\n" * 100, size=18, seconds=1.0)
SPACES = Drip(b" " * 100, size=1, seconds=1.0)
CHUNKS = Drip(b"1\r\n \r\n" * 100, size=6, seconds=1.0)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        pytest.param((Do.READ,), "no answer within 65 s", id="silence"),
        pytest.param((Do.AWAIT, 100.0), "no answer within 65 s", id="a server that does not read"),
        pytest.param((Do.READ, OK[:9]), "the answer was not complete within 65 s", id="half a status line"),
        pytest.param((Do.READ, OK[:-1]), "the answer was not complete within 65 s", id="one byte short"),
        pytest.param((Do.READ, OK[:17], HEADER_LINES), "the answer was not complete within 65 s", id="endless head"),
        pytest.param((Do.READ, CHUNKED, CHUNKS), "the answer was not complete within 65 s", id="endless chunks"),
        pytest.param((Do.READ, b"HTTP/1.1 200 OK\r\n\r\n", SPACES), "the answer was not complete", id="endless body"),
        pytest.param(
            (Do.READ, Drip(b"HTTP/1.1 102 Wait\r\n\r\n" * 100, 21, 1.0)), "the answer was not complete", id="wait, wait"
        ),
    ],
)
async def test_an_attempt_takes_no_longer_than_its_time_out(
    client: Client, server: FaultServer, steps: tuple[Step, ...], said: str
) -> None:
    server.on_connection(*steps)
    start = now()
    met = await client.ask(server)
    assert isinstance(met, Breakdown)
    assert ending(met) == "timeout"
    assert said in met.message
    assert now() - start == pytest.approx(65)
    assert met.unanswered_since == pytest.approx(start)
    assert len(server.journal) == 1
    assert len(server.requests) == (Do.READ in steps)


@pytest.mark.parametrize("answered", [OK, CHUNKED + chunked(BODY[:5], BODY[5:])], ids=["length", "chunks"])
async def test_a_slow_answer_is_read_byte_by_byte(client: Client, server: FaultServer, answered: bytes) -> None:
    server.on_connection(Do.READ, Drip(answered, 1, 0.1), Do.REPEAT)
    assert [ending(met) for met in await client.ask_often(2, server)] == ["ok", "ok"]
    assert [len(seen.heads) for seen in server.journal] == [2]


async def test_each_attempt_of_a_turn_has_its_own_time(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, 40.0, OK, Do.REPEAT)
    assert [ending(met) for met in await client.ask_often(3, server)] == ["ok"] * 3
    assert now() == pytest.approx(120)


async def test_a_turn_goes_on_after_a_time_out_on_another_connection(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ, 70.0, OK)
    server.on_connection(Do.READ, 10.0, OK)
    assert [ending(met) for met in await client.ask_often(2, server)] == ["timeout", "ok"]
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_the_time_to_connect_counts(client: Client, server: FaultServer) -> None:
    async with FaultServer(Do.READ, 8.0, b"HTTP/1.1 200 OK\r\n\r\n") as proxy:
        met = await client.ask(base_url="https://127.0.0.1:1", timeout=5, proxy=f"http://127.0.0.1:{proxy.port}")
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since) == ("connect", None)
        assert met.message.startswith("no connection within 5 s")
        assert now() == pytest.approx(5)
        assert server.journal == []


async def test_a_connection_has_a_time_out_of_its_own(client: Client) -> None:
    async with FaultServer() as mute:  # accepts and never speaks TLS
        met = await client.ask(mute, scheme="https")
        assert isinstance(met, Breakdown)
        assert (ending(met), met.unanswered_since) == ("connect", None)
        assert met.message.startswith("no connection within 10 s")
        assert now() == pytest.approx(10)


async def test_a_waiting_attempt_does_not_hold_up_others(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ)
    server.on_connection(Do.READ, OK, Do.REPEAT)
    async with client.turn(server) as stuck, client.turn(server) as free:
        waiting = asyncio.create_task(stuck.attempt(client.question()))
        while not server.requests:
            await asyncio.sleep(0)
        assert ending(await free.attempt(client.question())) == "ok"
        assert now() < 1
        assert ending(await waiting) == "timeout"
