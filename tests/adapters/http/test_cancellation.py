"""Cancelled at any await, an attempt leaves no task, no socket and no thread, and the next one works."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from typing import Final

import pytest

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import BODY, OK, Client, Met, answer, ending
from tests.adapters.http.packing import PACKERS
from tests.faultserver import HOST, Do, FaultServer, Relay, Step
from wolkvox_async.model import Answer
from wolkvox_async.ports import Transport

ROUNDS: Final = 80
BIG: Final = b'{"code":200,"data":[{"items":"' + b"1" * (3 * 2**20) + b'"}]}'


async def rounds(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def was_cancelled(attempt: asyncio.Task[Met]) -> bool:
    """Cancel `attempt`, wait for its end, and tell whether that was in time."""
    attempt.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await attempt
    return attempt.cancelled()


def left(server: FaultServer) -> list[object]:
    """Return the client's tasks, and the connections that the server has not seen it close."""
    tasks = {task for task in asyncio.all_tasks() if task.get_name() != "fault server"}
    return [*(tasks - {asyncio.current_task()}), *(seen for seen in server.journal if not seen.gone.is_set())]


async def assert_nothing_left(server: FaultServer) -> None:
    """Give the server a moment to see what the client has done, and asyncio one to accept."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30):
            while left(server):
                await asyncio.sleep(0)
    assert left(server) == []


async def cancel_in_every_round(client: Client, transport: Transport, server: FaultServer) -> None:
    """Cancel attempts after 0, 1, 2, ... rounds of the event loop; the turn then goes on."""
    in_time = []
    for count in range(ROUNDS):
        async with transport.turn(client.operation()) as turn:
            attempt = asyncio.create_task(turn.attempt(client.question()))
            await rounds(count)
            in_time.append(await was_cancelled(attempt))
            if count % 8 == 0:
                assert await turn.attempt(client.question()) == Answer(200, BODY)
        await assert_nothing_left(server)
    assert in_time[0]
    assert not in_time[-1]  # the attempt is over by then: every await has had its turn


async def test_an_attempt_may_be_cancelled_in_any_round(client: Client) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT) as server:
        await cancel_in_every_round(client, client.transport(server), server)


async def test_an_attempt_over_tls_may_be_cancelled_in_any_round(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server:
        transport = client.transport(server, scheme="https", ca_file=authority.file)
        await cancel_in_every_round(client, transport, server)


async def test_an_attempt_through_a_tunnel_may_be_cancelled_in_any_round(
    client: Client, authority: Authority, good: ssl.SSLContext
) -> None:
    async with (
        FaultServer(Do.READ, OK, Do.REPEAT, tls=good) as server,
        FaultServer(Do.READ, b"HTTP/1.1 200 OK\r\n\r\n", Relay(server.port)) as proxy,
    ):
        proxied = f"http://{HOST}:{proxy.port}"
        transport = client.transport(server, scheme="https", ca_file=authority.file, proxy=proxied)
        await cancel_in_every_round(client, transport, proxy)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((Do.READ,), id="for the head"),
        pytest.param((Do.READ, OK[:20]), id="in the head"),
        pytest.param((Do.READ, OK[:-5]), id="in the body"),
        pytest.param((Do.READ, answer(BIG)[:-5]), id="in a large body"),
    ],
)
async def test_a_waiting_attempt_may_be_cancelled(client: Client, server: FaultServer, steps: tuple[Step, ...]) -> None:
    server.on_connection(*steps)
    server.on_connection(Do.READ, OK)
    async with client.turn(server) as turn:
        attempt = asyncio.create_task(turn.attempt(client.question()))
        while not server.requests:
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        assert await was_cancelled(attempt)
        await assert_nothing_left(server)
        assert await turn.attempt(client.question()) == Answer(200, BODY)
    assert [len(seen.heads) for seen in server.journal] == [1, 1]


async def test_a_connecting_attempt_may_be_cancelled(client: Client) -> None:
    async with FaultServer() as mute:
        async with client.turn(mute, scheme="https") as turn:
            attempt = asyncio.create_task(turn.attempt(client.question()))
            while not mute.journal:
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)
            assert await was_cancelled(attempt)
            await assert_nothing_left(mute)
        assert len(mute.journal) == 1


async def test_an_attempt_that_looks_up_a_name_may_be_cancelled(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_answer = threading.Event(), threading.Event()

    def lookup(*_args: object, **_options: object) -> None:
        asked.set()
        may_answer.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "made up")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    async with client.turn(base_url="http://nowhere.invalid") as turn:
        attempt = asyncio.create_task(turn.attempt(client.question()))
        while not asked.is_set():
            await asyncio.sleep(0)
        assert await was_cancelled(attempt)
    may_answer.set()  # a look-up cannot be stopped; whatever it brings finds nobody
    await client.opened[0].close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_an_attempt_that_waits_for_its_large_body_may_be_cancelled(client: Client, coding: str) -> None:
    body = PACKERS["gzip"](BIG) if coding == "gzip" else BIG
    async with FaultServer(Do.READ, answer(body, f"Content-Encoding: {coding}"), Do.REPEAT) as server:
        transport = client.transport(server)
        async with transport.turn(client.operation()) as first:
            assert await first.attempt(client.question()) == Answer(200, BIG)
            async with transport.turn(client.operation()) as second:
                attempt = asyncio.create_task(second.attempt(client.question()))
                while len(server.requests) < 2:
                    await asyncio.sleep(0)
                await asyncio.sleep(0.02)
                assert await was_cancelled(attempt)
        async with transport.turn(client.operation()) as third:
            assert await third.attempt(client.question()) == Answer(200, BIG)
        await assert_nothing_left(server)


async def test_closing_the_transport_ends_what_waits(client: Client, server: FaultServer) -> None:
    server.on_connection(Do.READ)
    server.on_connection(Do.READ, OK[:-5])
    transport = client.transport(server)
    async with transport.turn(client.operation()) as first, transport.turn(client.operation()) as second:
        attempts = [asyncio.create_task(turn.attempt(client.question())) for turn in (first, second)]
        while len(server.requests) < 2:
            await asyncio.sleep(0)
        await transport.close()
        assert [ending(met) for met in await asyncio.gather(*attempts)] == ["disconnected"] * 2
        await assert_nothing_left(server)


async def test_a_transport_may_be_closed_twice_and_unused(client: Client) -> None:
    transport = client.transport(base_url="https://wv{server}.wolkvox.com")
    await transport.close()
    await transport.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
