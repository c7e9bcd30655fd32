"""The world in which the blocks of a page are run: a folder, a simulated vendor, and a PATH.

In the folder are the tenants of the vendor (`tenants.json`, `secrets/`) and what a checkout has that pages name.
Every reference that pages use for a token leads to one: variables, files, and `pass`. The
vendor is at one address whatever a server is called, so that the servers in examples are on it too.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wolkvox_async.testing import Profile, Simulator
from wolkvox_async.testing.tenants_file import write_tenants

from .blocks import ROOT

APIS: Final = ("interactions", "gamification", "ivr_minutes")
PROFILE: Final = Profile(
    servers=1,
    operations=4,
    tenants=2,
    apis=(*APIS, "information/token_info"),
    interval=0,
    limit=0.5,
    shared_connections=True,  # a page may show `--connections shared`
)
_FROM_CHECKOUT: Final = ("tenants.example.json", "deploy")


@dataclass(frozen=True, slots=True)
class World:
    """Where blocks are run, and the variables that they are run with."""

    folder: Path
    variables: Mapping[str, str]
    simulator: Simulator


@asynccontextmanager
async def world(folder: Path, programs: Path) -> AsyncIterator[World]:
    """Have one while the block lasts; `programs` is the folder in which `wolkvox-async` is."""
    async with Simulator(PROFILE) as simulator:
        write_tenants(folder, simulator.operations, APIS)
        for name in _FROM_CHECKOUT:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        tokens = [operation.token.reveal() for operation in simulator.operations]
        _write_pass(folder / "bin" / "pass", tokens[2])
        path = (
            str(folder / "bin"),
            str(programs),
            str(Path(sys.executable).parent),
            str(_targets()),
            os.environ["PATH"],
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WOLKVOX_", "XDG_", "PG"))}
        yield World(folder, kept | _variables(simulator, folder, tokens) | {"PATH": os.pathsep.join(path)}, simulator)
    verdict = simulator.verdict()
    assert verdict.ok, verdict


def _targets() -> Path:
    """Return where Singer targets are, if they are: an environment beside the tests' own."""
    return ROOT / Path(sys.prefix).name.replace(".venv", ".venv-targets", 1) / "bin"


def _variables(simulator: Simulator, folder: Path, tokens: list[str]) -> dict[str, str]:
    return {
        "HOME": str(folder / "home"),
        "DLT_DATA_DIR": str(folder / "dlt"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "ACME_BOGOTA_TOKEN": tokens[0],
        "WOLKVOX_BASE_URL": simulator.base_url.replace("{server}", simulator.operations[0].server),
        "WOLKVOX_STATE": str(folder / "state"),
        "WOLKVOX_INTERVAL": "1",
        "WOLKVOX_TIMEOUT": "20",
        "WOLKVOX_SERVER_LIMIT": "1",
        "WOLKVOX_LISTEN": "127.0.0.1:0",
    }


def _write_pass(program: Path, token: str) -> None:
    """Stand in for the password store."""
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ntest "$1" = show && echo {token}\n')
    program.chmod(0o700)
