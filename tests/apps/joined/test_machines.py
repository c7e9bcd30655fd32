"""Machines of one cluster: partitions are spread, move, and are taken over, and no token is used twice at once."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

from .lab import PARTITIONS, children, count, doubled_slots, lab, missing, said, send, unordered

FAIR = 0.8 * PARTITIONS / 2


def is_spread(held: dict[str, int]) -> bool:
    return len(held) == 2 and min(held.values()) >= FAIR


async def test_partitions_move_to_who_joins_and_from_who_leaves(secret_store: Path, tmp_path: Path) -> None:
    async with lab(tmp_path, secret_store) as it, it.watching() as first:
        await it.open_up()
        await it.calls(10)
        async with it.watching() as second:
            assert sum((await it.until_held(is_spread)).values()) == PARTITIONS
            await it.calls(20)
            first.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(first.wait(), 30) == 128 + signal.SIGTERM, await said(first)
            assert len(await it.until_held(lambda held: max(held.values(), default=0) == PARTITIONS)) == 1
            await it.calls(20)
            second.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(second.wait(), 30) == 128 + signal.SIGTERM, await said(second)
        assert await it.holders() == {}
        assert all(lease.quarantine is None for lease in (await it.leases()).values())
        await it.look()
    assert count(it.records) >= 50
    assert doubled_slots(it.records) == unordered(it.records) == missing(it.records) == []
    events = sorted(record["event"] for record in it.records if record["type"] == "run")
    assert events == ["started", "started", "stopped", "stopped"]


async def test_what_a_killed_machine_had_is_taken_over_and_a_process_that_stands_still_is_killed(
    secret_store: Path, tmp_path: Path
) -> None:
    async with lab(tmp_path, secret_store) as it, it.watching() as first, it.watching() as second:
        await it.open_up(machines=2)
        await it.until_held(is_spread)
        await it.calls(20)
        second.kill()
        await second.wait()
        await it.until_held(lambda held: list(held.values()) == [PARTITIONS])
        await it.calls(40)
        assert any(lease.quarantine for lease in (await it.leases()).values())
        (child,) = children(first)
        send(child, signal.SIGSTOP)
        code = await asyncio.wait_for(first.wait(), 30)
        complaint = await said(first)
        assert code == 1, complaint
        assert "stands still" in complaint
        assert "was killed by SIGKILL" in complaint
        assert not Path(f"/proc/{child}").exists()
        assert sum((await it.holders()).values()) == PARTITIONS
        await it.look()
    assert doubled_slots(it.records) == unordered(it.records) == missing(it.records) == []


async def test_a_changed_tenants_file_takes_effect(secret_store: Path, tmp_path: Path) -> None:
    async with lab(tmp_path, secret_store) as it:
        file = Path(it.options[1])
        whole = json.loads(file.read_text())
        tenant, *others = whole["tenants"]
        file.write_text(json.dumps({**whole, "tenants": others}))
        async with it.watching() as machine:
            await it.open_up()
            await it.calls(10)
            assert tenant["name"] not in {record.get("tenant") for record in it.records}
            file.write_text(json.dumps(whole))
            machine.send_signal(signal.SIGHUP)
            await it.until(lambda: tenant["name"] in {record.get("tenant") for record in it.records})
            machine.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(machine.wait(), 30) == 128 + signal.SIGTERM, await said(machine)
        await it.look()
    assert doubled_slots(it.records) == missing(it.records) == []
