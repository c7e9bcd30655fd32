"""The wire between a machine and a broker, which can be cut without anybody being told.

While it is cut nothing goes through in either direction, and no end is passed on: as when a
cable is pulled. What was sent meanwhile is delivered when it is mended, also what a sender has given
up since: late, and whole.
"""

from __future__ import annotations

import asyncio
from typing import Final

HOST: Final = "127.0.0.1"
_PORTION: Final = 65_536


class Wire:
    """Forwards connections to a port of this machine."""

    def __init__(self, target: int) -> None:
        self.target: Final = target
        self.port = 0
        self._whole: Final = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Drop everything."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Swallow everything from now on."""
        self._whole.clear()

    def mend(self) -> None:
        """Deliver what was swallowed, and go on."""
        self._whole.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._whole.wait()
            there, beyond = await asyncio.open_connection(HOST, self.target)
        except OSError:
            writer.close()
            return
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, beyond))
                both.create_task(self._pump(there, writer))
        except* OSError:
            pass
        finally:
            for end in (writer, beyond):
                end.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        is_open = True
        while is_open:
            data = await source.read(_PORTION)
            await self._whole.wait()
            is_open = bool(data)
            if is_open:
                sink.write(data)
                await sink.drain()
            else:
                sink.write_eof()
