"""While an answer waits for its turn its connection is not read: nothing of it is lost, on any event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import pytest
import uvloop

from tests.adapters.http.authorities import Authority
from tests.adapters.http.clients import CHUNKED, Client, Met, answer, chunked, headed
from tests.faultserver import HOST, Do, FaultServer, Step
from wolkvox_async.adapters.http import HttpSettings, HttpTransport
from wolkvox_async.model import Answer, Token

BIG = b'{"code":200,"data":[{"items":"' + b"1" * (3 * 2**20) + b'"}]}'
# All that is left when it has to wait is in the kernel at once, with the end of the stream behind it.
JUST_BIG = b'{"code":200,"data":[{"items":"' + b"1" * (2**20 + 60_000) + b'"}]}'
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


async def first_and_second(settings: HttpSettings, client: Client) -> tuple[Met, Met]:
    """Have two ask; the second can go on only when the first has let go, long after all was sent."""
    transport = HttpTransport(settings)
    try:
        async with transport.turn(client.operation()) as second:
            async with transport.turn(client.operation()) as first:
                met = await first.attempt(client.question())
                waiting = asyncio.create_task(second.attempt(client.question()))
                while not transport._room.lane.waiting:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.05)
                assert not waiting.done()
            return met, await waiting
    finally:
        await transport.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "second",
    [
        pytest.param((BIG, (answer(BIG),)), id="and stays"),
        pytest.param((BIG, (answer(BIG, "Connection: close"), Do.CLOSE)), id="and closes"),
        pytest.param((BIG, (answer(BIG), Do.CUT)), id="and is gone without a word"),
        pytest.param((BIG, (headed(), BIG, Do.CLOSE)), id="until the end"),
        pytest.param((BIG, (answer(BIG)[: 3 * 2**19], answer(BIG)[3 * 2**19 :], Do.CLOSE)), id="in two parts"),
        pytest.param((JUST_BIG, (headed(), JUST_BIG, Do.CLOSE)), id="just big, until the end"),
        pytest.param((JUST_BIG, (CHUNKED, chunked(JUST_BIG), Do.CLOSE)), id="just big, and closes"),
        pytest.param((JUST_BIG, (CHUNKED, chunked(JUST_BIG), Do.CUT)), id="just big, and is gone without a word"),
    ],
)
def test_an_answer_that_waits_is_read_to_its_end(
    canary: Token,
    authority: Authority,
    good: ssl.SSLContext,
    second: tuple[bytes, tuple[Step, ...]],
    scheme: str,
    loop: str,
) -> None:
    async def play() -> tuple[Met, Met]:
        async with FaultServer(Do.READ, answer(BIG), tls=good if scheme == "https" else None) as server:
            server.on_connection(Do.READ, answer(BIG))
            server.on_connection(Do.READ, *second[1])
            settings = HttpSettings(base_url=f"{scheme}://{HOST}:{server.port}", ca_file=authority.file)
            return await first_and_second(settings, Client(HttpTransport, canary))

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(play()) == (Answer(200, BIG), Answer(200, second[0]))
