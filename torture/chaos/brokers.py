"""The broker, alone or three nodes of it, and what can be done to it.

It is started by the command, as a person starts it, which then becomes the server: so its process
id is the server's.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from torture.processes import environment

from .asking import ask
from .proxy import HOST

STREAM: Final = "wolkvox"
BUCKET: Final = "KV_wolkvox"
_READY: Final = 60.0
_ROOM: Final = 8192  # bytes that a full stream still has
_MOST: Final = 1024**3


class Node:
    """One broker, on a port that stays the same."""

    def __init__(self, number: int, folder: Path, ports: list[int], nodes: list[str], most: int) -> None:
        self.port: Final = ports[number]
        self.data: Final = folder / f"broker-{number + 1}"
        self._log: Final = folder / f"broker-{number + 1}.log"
        options = [f"--listen={HOST}:{self.port}", f"--data={self.data}", f"--max-store={most}"]
        if len(nodes) > 1:
            options += [f"--name={nodes[number].partition('@')[0]}", *(f"--cluster={node}" for node in nodes)]
        self._options: Final = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def credentials(self) -> Path:
        """Where it says what those show who join."""
        return self.data / "credentials"

    @property
    def pid(self) -> int:
        """Its process; raises `ValueError` where it was never started."""
        if self._process is None:
            raise ValueError("this broker was never started")
        return self._process.pid

    def start(self) -> None:
        """Start it, if it does not run."""
        if self._process is not None and self._process.poll() is None:
            return
        with self._log.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "wolkvox_async", "broker", *self._options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=environment(),
                cwd=self._log.parent,
            )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; a killed one is waited for."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            if number is signal.SIGKILL:
                self._process.wait()

    def said(self) -> str:
        """Return what it said so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


class Brokers:
    """All nodes."""

    def __init__(self, folder: Path, count: int, most: int = _MOST) -> None:
        """Plan `count` nodes in `folder`, whose files may take `most` bytes each."""
        free = _free_ports(2 * count)
        ports, routes = free[:count], free[count:]
        names = [f"n{number + 1}@{HOST}:{port}" for number, port in enumerate(routes)]
        self.nodes: Final = [Node(number, folder, ports, names, most) for number in range(count)]

    @property
    def credentials(self) -> Path:
        """What those show who join."""
        return self.nodes[0].credentials

    async def start(self) -> None:
        """Start all of them, and return when they do their work; raises `TimeoutError` when that takes a minute."""
        first, *others = self.nodes
        first.start()
        async with asyncio.timeout(_READY):
            while not first.credentials.exists():  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.1)
            for node in others:
                node.data.mkdir(mode=0o700)
                for name in ("credentials", "routes"):
                    await _copied(first.data / name, node.data / name)
                node.start()
            while not await self._asked("INFO"):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.1)

    def stop(self) -> None:
        """End all of them."""
        for node in self.nodes:
            node.send(signal.SIGKILL)

    async def elect(self) -> None:
        """Have another node lead stream and bucket."""
        for name in (STREAM, BUCKET):
            await self._asked(f"STREAM.LEADER.STEPDOWN.{name}")

    async def fill(self) -> None:
        """Let the stream take hardly anything more."""
        info = await self._asked(f"STREAM.INFO.{STREAM}")
        if "state" in info:
            await self._limit(info["config"], info["state"]["bytes"] + _ROOM)

    async def empty(self) -> None:
        """Let the stream take everything again; raises `TimeoutError` when nobody does that for a minute."""
        async with asyncio.timeout(_READY):
            while True:
                info = await self._asked(f"STREAM.INFO.{STREAM}")
                if "config" in info and "config" in await self._limit(info["config"], -1):
                    return
                await asyncio.sleep(0.2)

    async def _limit(self, config: dict[str, Any], size: int) -> dict[str, Any]:
        return await self._asked(f"STREAM.UPDATE.{STREAM}", {**config, "max_bytes": size})

    async def _asked(self, subject: str, request: object = None) -> dict[str, Any]:
        """Ask one node after the other until one knows an answer."""
        answer: dict[str, Any] = {}
        for node in self.nodes:
            answer = await ask(node.port, self.credentials, subject, request)
            if answer and "error" not in answer:
                break
        return {} if "error" in answer else answer


async def _copied(source: Path, target: Path) -> None:
    while not source.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
        await asyncio.sleep(0.05)
    shutil.copy(source, target)


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody has at the moment."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
