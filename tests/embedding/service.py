"""A program of the guide in a process of its own, and whatever it wrote."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

import wolkvox_async
from wolkvox_async.testing import Simulator

from . import launch
from .guide import program

_SOURCES: Final = str(Path(wolkvox_async.__file__).parents[1])
_CHATTER: Final = ("INFO", "DEBUG", "=====", "(Press CTRL+C", "Stopped")
STOPPED: Final = (0, 128 + signal.SIGTERM)


class Service:
    """Runs a program of the guide in `folder` while its block lasts; Python complains about all that it can.

    `target` is what its server is given, such as `usage:app`; `interval` in seconds.
    """

    def __init__(self, target: str, vendor: Simulator, folder: Path, *, interval: float = 0) -> None:
        self._target: Final = target
        self._folder: Final = folder
        self._start: Final = ["-X", "dev", "-W", "error", launch.__file__, str(interval), vendor.base_url]
        self._process: asyncio.subprocess.Process | None = None
        self._port: Final = socket.socket()
        self.url = ""
        self._wrote = b""
        vendor.write_tenants(folder)
        name = f"{target.partition(':')[0]}.py"
        (folder / name).write_text(program(name))

    @property
    def complaints(self) -> list[str]:
        """What it wrote, but for mere information, and asyncio's remarks that a busy machine is slow."""
        lines = self._wrote.decode().splitlines()
        return [line for line in lines if line and not line.startswith(_CHATTER) and "Executing <" not in line]

    async def __aenter__(self) -> Self:
        port = self._keep_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, *self._start, *self._server(port)),
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": _SOURCES},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        await self._answers(port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._started()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        rest, _ = await process.communicate()
        self._wrote += rest
        self._port.close()

    def _server(self, port: int) -> list[str]:
        if self._target.startswith("aiohttp"):
            return ["aiohttp", "-H", "127.0.0.1", "-P", str(port), self._target]
        options = ["--lifespan", "on", "--no-access-log", "--log-level", "warning"]
        return ["uvicorn", self._target, "--port", str(port), *options]

    def _keep_port(self) -> int:
        # It stays bound here, without listening, so that nobody is given it before the service has it.
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port.bind(("127.0.0.1", 0))
        port: int = self._port.getsockname()[1]
        return port

    async def _answers(self, port: int) -> None:
        while self._started().returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return
        rest, _ = await self._started().communicate()
        raise AssertionError(f"the service did not start:\n{rest.decode()}")

    async def stop(self) -> int:
        """Send SIGTERM, wait for the end, and return the exit status."""
        process = self._started()
        process.send_signal(signal.SIGTERM)
        rest, _ = await process.communicate()
        self._wrote += rest
        return process.returncode or 0

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise AssertionError("the service was not started")
        return self._process


async def get(session: aiohttp.ClientSession, url: str) -> tuple[int, Any]:
    """Return status and JSON."""
    async with session.get(url) as response:
        return response.status, await response.json(content_type=None) if response.status == 200 else None


async def get_lines(session: aiohttp.ClientSession, url: str) -> list[bytes]:
    """Return the lines of a stream."""
    async with session.get(url) as response:
        return (await response.read()).splitlines()
