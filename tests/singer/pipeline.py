"""A tap and a target, run as a person or Meltano runs them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wolkvox_async.testing import Simulator

TAP = ("tap-wolkvox",)  # on the PATH of every test here
ROOT = Path(__file__).parent.parent.parent
# What the simulator needs for a call, and for one that was abandoned, with room for a machine that is busy.
HASTE = {"server_limit": 1.5, "timeout": 1.5, "connect_timeout": 1.5}


@dataclass(frozen=True, slots=True)
class Ran:
    """How a tap or target ended, and what it said."""

    code: int
    out: bytes
    err: str

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Its standard output as messages."""
        return [json.loads(line) for line in self.out.splitlines()]

    def records(self, stream: str) -> list[dict[str, Any]]:
        """Return the records of a stream."""
        return [one["record"] for one in self.messages if one["type"] == "RECORD" and one["stream"] == stream]

    @property
    def state(self) -> dict[str, Any]:
        """The value of its last STATE."""
        states: list[dict[str, Any]] = [one["value"] for one in self.messages if one["type"] == "STATE"]
        return states[-1]


def documented(language: str) -> list[str]:
    """Return the code blocks of docs/singer.md in `language`."""
    page = (ROOT / "docs" / "singer.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def target(name: str) -> str:
    """Return the program of a Singer target; skip the test where it is not installed, and fail where it must be."""
    beside = Path(sys.prefix).name.replace(".venv", ".venv-targets", 1)
    found = ROOT / beside / "bin" / name
    if found.is_file():
        return str(found)
    complaint = f"NOT TESTED, no {name}: ./dev setup makes {beside}"
    if os.environ.get("CI"):
        pytest.fail(complaint)
    pytest.skip(complaint)


def config_of(simulator: Simulator, folder: Path, **settings: Any) -> Path:
    """Write the simulator's tenants file, and the tap's settings that reach it."""
    tenants = folder / "tenants.json"
    if not tenants.exists():
        simulator.write_tenants(folder)
    return written(folder / "config.json", {"tenants": str(tenants), "base_url": simulator.base_url, **settings})


def written(path: Path, document: Mapping[str, Any]) -> Path:
    """Write a JSON file."""
    path.write_text(json.dumps(document))
    return path


async def started(*command: str) -> asyncio.subprocess.Process:
    """Start a program; its standard output is to be read."""
    pipe = asyncio.subprocess.PIPE
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, limit=1 << 20
    )


async def ran(*command: str, stdin: bytes = b"") -> Ran:
    """Run a program to its end."""
    process = await started(*command)
    try:
        out, err = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Ran(process.returncode or 0, out, err.decode())


async def tapped(config: Path, state: Mapping[str, Any] | None = None, *arguments: str) -> Ran:
    """Run the tap to its end, with what a target said last."""
    said = [] if state is None else ["--state", str(written(config.with_name("state.json"), state))]
    return await ran(*TAP, "--config", str(config), *said, *arguments)


async def killed(config: Path, state: Mapping[str, Any] | None = None, *, after: int) -> Ran:
    """Run the tap and kill it behind its n-th STATE; what it has said by then is whole lines."""
    said = [] if state is None else ["--state", str(written(config.with_name("state.json"), state))]
    process, lines = await started(*TAP, "--config", str(config), *said), []
    assert process.stdout is not None
    try:
        while after:
            lines.append(await process.stdout.readline())
            assert lines[-1], "the tap ended by itself"
            after -= lines[-1].startswith(b'{"type":"STATE"')
    finally:
        process.kill()
        rest, err = await process.communicate()
    whole, _, _ = rest.rpartition(b"\n")
    return Ran(process.returncode or 0, b"".join(lines) + whole + b"\n" * bool(whole), err.decode())
