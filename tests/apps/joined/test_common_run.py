"""One pass by several machines: every call once, one beginning and one end, whoever leaves."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

from tests.apps.commands import command
from wolkvox_async.testing import Fixed, Profile

from .lab import OPTIONS, lab, said

PROFILE = Profile(servers=2, operations=24, interval=2, limit=1.0, latency=Fixed(0.3))
CALLS = 48
FETCH = OPTIONS


def outcomes(records: list[dict[str, Any]]) -> Counter[str]:
    return Counter(record["outcome"] for record in records if record["type"] == "call")


async def test_machines_make_one_pass_together_and_who_leaves_leaves_the_rest_to_others(
    secret_store: Path, tmp_path: Path
) -> None:
    async with lab(tmp_path, secret_store, PROFILE) as it:
        options = [*FETCH, *it.options, "--per-server", "1"]
        async with command("fetch", *options) as one, command("fetch", *options) as other:
            await it.open_up(machines=2)
            await it.calls(10)
            one.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(one.wait(), 50) == 128 + signal.SIGTERM, await said(one)
            assert sum(outcomes(await it.look()).values()) < CALLS
            assert await asyncio.wait_for(other.wait(), 50) == 0, await said(other)
        records = await it.look()
        assert outcomes(records) == {"ok": CALLS}
        assert len({record["call"] for record in records if record["type"] == "call"}) == CALLS
        runs = [record for record in records if record["type"] == "run"]
        assert [(run["event"], run.get("calls")) for run in runs] == [("started", CALLS), ("finished", None)]
        assert await it.holders() == {}
