"""A process that stood still (SIGSTOP, a suspended machine) believes the answer that came meanwhile.

Its deadline is over by then, and rings before anything is read on some event loops. The
time is real: it is the process itself that stands still.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
import uvloop

from tests.adapters.http.clients import OK, Client, Met
from wolkvox_async.adapters.http import HttpSettings, HttpTransport
from wolkvox_async.model import Answer, Breakdown, ErrorKind, Token

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
TIMEOUT = 0.2
STANDSTILL = 0.6


@contextmanager
def vendor(answer: bytes) -> Iterator[int]:
    """Answer one request, from another thread, while the client's stands still; yield the port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with closing(connection):
                connection.recv(65_536)
                time.sleep(TIMEOUT / 2)
                connection.sendall(answer)
                connection.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("answered", [True, False])
def test_what_came_meanwhile_counts_and_what_did_not_is_over(canary: Token, loop: str, answered: bool) -> None:
    async def ask(port: int) -> Met:
        settings = HttpSettings(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT)
        transport, client = HttpTransport(settings), Client(HttpTransport, canary)
        try:
            async with transport.turn(client.operation()) as turn:
                asyncio.get_running_loop().call_later(TIMEOUT / 4, time.sleep, STANDSTILL)
                return await turn.attempt(client.question())
        finally:
            await transport.close()

    with vendor(OK if answered else OK[:20]) as port, asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        met = runner.run(ask(port))
    if answered:
        assert isinstance(met, Answer)
    else:
        assert isinstance(met, Breakdown)
        assert met.kind is ErrorKind.TIMEOUT
