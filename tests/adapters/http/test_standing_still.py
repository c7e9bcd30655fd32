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
from dataclasses import dataclass, field

import pytest
import uvloop

from tests.adapters.http.clients import OK, Client, Met
from wolkvox_async.adapters.http import HttpSettings, HttpTransport
from wolkvox_async.model import Answer, Breakdown, ErrorKind, Token

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
TIMEOUT = 1.0
OVER = TIMEOUT + 0.4  # what is a little late only is not called a standstill


@dataclass(frozen=True, slots=True)
class Vendor:
    """Takes one request, and answers it from a thread of its own once nothing else of this process goes on."""

    port: int
    asked: threading.Event = field(default_factory=threading.Event)
    still: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)

    async def stand_still(self) -> None:
        """Wait for the request; then have the event loop do nothing until it is answered and its time is over."""
        while not self.asked.is_set():
            await asyncio.sleep(0.001)
        self._until_it_is_over()

    def _until_it_is_over(self) -> None:
        self.still.set()
        self.answered.wait()
        time.sleep(OVER)

    def serve(self, listener: socket.socket, answer: bytes) -> None:
        """Take the request and answer it."""
        connection, _ = listener.accept()
        with closing(connection):
            connection.recv(65_536)
            self.asked.set()
            self.still.wait()
            connection.sendall(answer)
            self.answered.set()
            connection.recv(1)


@contextmanager
def vendor(answer: bytes) -> Iterator[Vendor]:
    """Give a vendor that answers this."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        at = Vendor(int(listener.getsockname()[1]))
        thread = threading.Thread(target=at.serve, args=(listener, answer))
        thread.start()
        yield at
        thread.join()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("answered", [True, False])
def test_what_came_meanwhile_counts_and_what_did_not_is_over(canary: Token, loop: str, answered: bool) -> None:
    async def ask(at: Vendor) -> Met:
        settings = HttpSettings(base_url=f"http://127.0.0.1:{at.port}", timeout=TIMEOUT)
        transport, client = HttpTransport(settings), Client(HttpTransport, canary)
        try:
            async with transport.turn(client.operation()) as turn:
                met, _ = await asyncio.gather(turn.attempt(client.question()), at.stand_still())
                return met
        finally:
            await transport.close()

    with vendor(OK if answered else OK[:20]) as at, asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        met = runner.run(ask(at))
    if answered:
        assert isinstance(met, Answer)
    else:
        assert isinstance(met, Breakdown)
        assert met.kind is ErrorKind.TIMEOUT
