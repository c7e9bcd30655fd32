"""Running the program as a person does: a process, its streams, its exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from wolkvox_async.testing import Simulator

PROGRAM = (sys.executable, "-m", "wolkvox_async")


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: bytes
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """Its standard output as records."""
        return [orjson.loads(line) for line in self.out.splitlines()]

    @property
    def complaints(self) -> list[str]:
        """Its standard error by line."""
        return self.err.splitlines()


@asynccontextmanager
async def command(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the program; it is gone when the block ends."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environment(), **(env or {})},
        cwd=cwd,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def environment() -> dict[str, str]:
    """Return the environment of programs."""
    # Compiling everything anew for each process would take longer than what it does.
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


async def run(*arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Done:
    """Run the program to its end."""
    async with command(*arguments, env=env, cwd=cwd) as process:
        out, err = await process.communicate()
        return Done(process.returncode or 0, out, err.decode())


def written(simulator: Simulator, folder: Path) -> list[str]:
    """Write the simulator's tenants file and return the options that reach it."""
    return ["--tenants", str(simulator.write_tenants(folder)), "--base-url", simulator.base_url]
