"""docs/singer.md: its plug-ins are what the tap is, and its commands run with their settings."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.singer.pipeline import TAP, documented, ran, target, written
from wolkvox_async.testing import Profile, Simulator


def plugins() -> dict[str, dict[str, Any]]:
    (project,) = [yaml.safe_load(text) for text in documented("yaml")]
    return {one["name"]: one for kind in project["plugins"].values() for one in kind}


def settings(name: str, folder: Path) -> dict[str, Any]:
    """Return what Meltano hands to a plug-in as its `--config`."""
    config = plugins()[name]["config"]
    text = json.dumps(config).replace("$MELTANO_PROJECT_ROOT", str(folder))
    found: dict[str, Any] = json.loads(text)
    return found


async def test_the_plug_in_is_what_the_tap_says_of_itself() -> None:
    tap, about = plugins()["tap-wolkvox"], json.loads((await ran(*TAP, "--about")).out)
    assert sorted(tap["capabilities"]) == sorted(about["capabilities"])
    assert {one["name"] for one in tap["settings"]} <= {one["name"] for one in about["settings"]}
    for one in plugins().values():
        assert one["config"].keys() <= {setting["name"] for setting in one["settings"]}


def test_the_state_shown_is_a_state() -> None:
    (state,) = [json.loads(text) for text in documented("json")]
    assert state.keys() == {"run", "at", "calls", "batch", "position"}


async def test_its_commands_load_every_row_once(secret_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = Path(target("target-jsonl")).parent
    monkeypatch.setenv("PATH", os.pathsep.join((os.environ["PATH"], str(loader))))
    profile = Profile(servers=2, operations=3, apis=("interactions", "gamification"))
    async with Simulator(profile) as simulator:
        simulator.write_tenants(secret_store)
        monkeypatch.setenv("WOLKVOX_BASE_URL", simulator.base_url)
        written(secret_store / "tap.json", settings("tap-wolkvox", secret_store))
        written(secret_store / "target.json", settings("target-jsonl", secret_store))
        (commands,) = documented("sh")
        for _ in range(2):
            shell = await asyncio.create_subprocess_exec("bash", "-euo", "pipefail", "-c", commands, cwd=secret_store)
            assert await shell.wait() == 0
        assert simulator.verdict().requests == 6
    rows = [json.loads(line) for line in (secret_store / "output" / "rows.jsonl").read_text().splitlines()]
    assert len({(row["call"], row["n"]) for row in rows}) == len(rows) == 6
