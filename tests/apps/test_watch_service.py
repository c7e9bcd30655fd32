"""What people and programs see of a running `watch`: page, metrics, health, and the init system."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.apps.commands import command, run, written
from wolkvox_async.testing import Profile, Simulator

PROFILE = Profile(servers=2, operations=4, apis=("interactions", "vision"), interval=1)
OPTIONS = ("--interval", "1", "--no-progress", "--log-level", "info", "--log-format", "json", "--output", "usage.jsonl")


@asynccontextmanager
async def served(folder: Path, *options: str, env: dict[str, str] | None = None) -> AsyncIterator[str]:
    """Run `watch` with a service on any free port; give its address."""
    arguments = ("watch", *OPTIONS, "--listen", "127.0.0.1:0", *options)
    async with command(*arguments, cwd=folder, env=env) as process:
        assert process.stderr is not None
        said = json.loads(await asyncio.wait_for(process.stderr.readline(), 30))
        assert said["event"] == "listening", said
        yield said["url"]
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 30)


async def fetched(url: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def test_a_watch_says_that_it_lives_and_what_it_has_read(secret_store: Path, tmp_path: Path) -> None:
    async with Simulator(PROFILE) as simulator, served(tmp_path, *written(simulator, secret_store)) as url:
        async with asyncio.timeout(30):
            while json.loads((await fetched(f"{url}status.json"))[1])["totals"]["calls"]["ok"] < 8:
                await asyncio.sleep(0.05)
        alive, ready = await fetched(f"{url}healthz"), await fetched(f"{url}readyz")
        status, metrics = await fetched(f"{url}metrics")
        page = await fetched(url)
    assert (alive[0], ready[0], status, page[0]) == (200, 200, 200, 200)
    assert "wolkvox_calls_total" in metrics
    assert "<!doctype html>" in page[1].lower()


async def test_no_token_of_a_tenant_is_in_anything_that_is_served(secret_store: Path, tmp_path: Path) -> None:
    async with Simulator(PROFILE) as simulator, served(tmp_path, *written(simulator, secret_store)) as url:
        tokens = list(simulator.environment().values())
        texts = [(await fetched(f"{url}{path}"))[1] for path in ("status.json", "metrics", "outline.json", "")]
    assert tokens
    assert all(token not in text for token in tokens for text in texts)


async def test_who_looks_from_elsewhere_needs_the_bearer_token(secret_store: Path, tmp_path: Path) -> None:
    secret = "a-bearer-token-of-this-test"
    env = {"PAGE_TOKEN": secret}
    options = ("--listen-token", "env:PAGE_TOKEN")
    async with (
        Simulator(PROFILE) as simulator,
        served(tmp_path, *written(simulator, secret_store), *options, env=env) as url,
    ):
        without, wrong = await fetched(f"{url}metrics"), await fetched(f"{url}metrics", Authorization="Bearer no")
        right = await fetched(f"{url}metrics", Authorization=f"Bearer {secret}")
    assert (without[0], wrong[0], right[0]) == (401, 401, 200)


async def test_an_address_that_is_taken_is_a_mistake_and_nothing_is_called(secret_store: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with Simulator(PROFILE) as simulator:
            options = [*written(simulator, secret_store), *OPTIONS, "--listen", f"127.0.0.1:{port}"]
            done = await run("watch", *options, cwd=tmp_path)
            assert simulator.verdict().requests <= 8
    assert done.code == 2
    assert "--listen" in done.err


async def test_beyond_this_machine_it_does_not_listen_without_a_bearer_token(secret_store: Path) -> None:
    async with Simulator(PROFILE) as simulator:
        done = await run("watch", *written(simulator, secret_store), "--listen", "0.0.0.0:0")
    assert done.code == 2
    assert "bearer token" in done.err


async def test_the_init_system_is_told_when_it_is_ready_and_when_it_stops(secret_store: Path, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.setblocking(False)
        async with Simulator(PROFILE) as simulator:
            env = {"NOTIFY_SOCKET": address}
            async with served(tmp_path, *written(simulator, secret_store), env=env):
                loop = asyncio.get_running_loop()
                first = await asyncio.wait_for(loop.sock_recv(listening, 4096), 30)
        said = first
        while True:
            try:
                said += listening.recv(4096)
            except BlockingIOError:
                break
    assert b"READY=1" in said
    assert b"STOPPING=1" in said
