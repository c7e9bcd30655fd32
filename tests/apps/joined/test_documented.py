"""From nothing to a cluster of two machines, with the commands of the documentation as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import orjson
import pytest

from tests.apps.brokers import need_a_server
from wolkvox_async.testing import Profile, Simulator

DOCS = Path(__file__).parents[3] / "docs" / "many-machines.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PORT = "4222"


def commands() -> list[str]:
    """Return the lines of the block that begins with the broker."""
    found = [block.splitlines() for block in BLOCK.findall(DOCS.read_text())]
    return next(lines for lines in found if lines[0].startswith("wolkvox-async broker"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@asynccontextmanager
async def shell(line: str, environment: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a line as a person would type it; it is gone when the block ends."""
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", f"exec {line}", stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said, env=environment
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until_said(log: Path, *words: str) -> None:
    async with asyncio.timeout(60):
        while not all(word in log.read_text() for word in words):
            await asyncio.sleep(0.05)


@pytest.mark.timeout(300)
async def test_two_commands_make_a_cluster_of_two_machines(secret_store: Path, tmp_path: Path) -> None:
    need_a_server()
    broker, machine = commands()
    profile = Profile(servers=1, operations=12, apis=("interactions",), interval=2, limit=0.5)
    async with Simulator(profile) as simulator, AsyncExitStack() as stack:
        port = str(free_port())
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("WOLKVOX_", "XDG_"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
        }
        watching = environment | {
            "WOLKVOX_TENANTS": str(simulator.write_tenants(secret_store)),
            "WOLKVOX_BASE_URL": simulator.base_url,
            "WOLKVOX_TIMEOUT": "2",
            "WOLKVOX_CONNECT_TIMEOUT": "0.5",
            "WOLKVOX_SERVER_LIMIT": "1.5",
            "WOLKVOX_INTERVAL": "2",
            "WOLKVOX_LEASE": "6",
            "WOLKVOX_PARTITIONS": "16",
        }
        logs = [tmp_path / f"{name}.log" for name in ("broker", "one", "other")]
        listens = environment | {"WOLKVOX_LISTEN": f"127.0.0.1:{port}"}
        await stack.enter_async_context(shell(broker, listens, logs[0]))
        await until_said(logs[0], "Server is ready")
        for log in logs[1:]:
            await stack.enter_async_context(shell(machine.replace(PORT, port), watching, log))
        await _until_shared(machine.replace(PORT, port), environment, tmp_path / "cluster.log")
        verdict = simulator.verdict()
    assert verdict.ok, verdict
    assert "Traceback" not in "".join(log.read_text() for log in logs)


async def _until_shared(machine: str, environment: dict[str, str], log: Path) -> None:
    """Wait until both machines have about half of the partitions each, as `cluster` shows it."""
    look = machine.replace("wolkvox-async watch", "wolkvox-async cluster") + " --json"
    async with asyncio.timeout(200):
        while True:
            async with shell(look, environment, log) as process:
                await process.wait()
            lines = [line for line in log.read_bytes().splitlines() if line.startswith(b"{")]
            workers = [one for one in map(orjson.loads, lines) if one["type"] == "worker"]
            shares = [one["partitions"] for one in workers]
            if len(shares) == 2 and sum(shares) == 16 and min(shares) >= 6:
                return
            await asyncio.sleep(0.2)
