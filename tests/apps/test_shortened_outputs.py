"""Outputs that lost records: what they do not hold is called again, and nothing twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.apps.commands import run, written
from wolkvox_async.testing import Profile, Simulator

SIX = Profile(servers=1, operations=3, apis=("interactions", "gamification"), interval=0)


def answered(output: Path) -> Counter[str]:
    """Count the calls that were answered, by operation and api."""
    records = [orjson.loads(line) for line in output.read_bytes().splitlines()]
    return Counter(
        f"{record['tenant']} {record['operation']} {record['api']}"
        for record in records
        if record["type"] == "call" and record["outcome"] in ("ok", "empty")
    )


def call_starts(output: Path) -> list[int]:
    """Return where the `call` records begin."""
    text, starts = output.read_bytes(), []
    start = text.find(b'{"type":"call"')
    while start >= 0:
        starts.append(start)
        start = text.find(b'{"type":"call"', start + 1)
    return starts


def within_the_last_call(output: Path) -> None:
    os.truncate(output, call_starts(output)[-1] + 20)


def within_the_third_call(output: Path) -> None:
    os.truncate(output, call_starts(output)[2] + 20)


def to_nothing(output: Path) -> None:
    os.truncate(output, 0)


def by_another_file(output: Path) -> None:
    other = output.with_name("other")
    other.touch()
    other.replace(output)


LOSSES = [
    (within_the_last_call, 1),
    (within_the_third_call, 4),
    (to_nothing, 6),
    (Path.unlink, 6),
    (by_another_file, 6),
]


@pytest.mark.parametrize(
    ("name", "lose", "lost"),
    [(("--run", "november"), *loss) for loss in LOSSES] + [((), *loss) for loss in LOSSES[:3]],
)
async def test_what_an_output_lost_is_called_again(
    secret_store: Path, tmp_path: Path, name: tuple[str, ...], lose: Callable[[Path], None], lost: int
) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(SIX) as simulator:
        options = [*written(simulator, secret_store), "--output", str(output), "--no-progress", *name]
        await run("fetch", *options)
        lose(output)
        again = await run("fetch", *options)
        counted = answered(output)
        third = await run("fetch", *options)
        requests = simulator.verdict().requests
    assert (again.code, third.code, requests) == (0, 0, 6 + lost), again.err
    assert len(counted) == 6
    assert set(counted.values()) == {1}
    calls = "1 call that it does not hold is" if lost == 1 else f"{lost} calls that it does not hold are"
    assert f"usage.jsonl is shorter than what was written to it: {calls} made again" in again.err
    assert "shorter" not in third.err
    assert answered(output) == counted


async def test_a_file_that_was_moved_away_keeps_the_pace(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(SIX) as simulator:
        options = [*written(simulator, secret_store), "--output", str(output), "--no-progress"]
        await run("fetch", *options)
        output.rename(tmp_path / "usage.jsonl.1")
        again = await run("fetch", *options)
        assert simulator.verdict().requests == 6
    assert (again.code, answered(output).total()) == (0, 0)
    assert "shorter" not in again.err


async def test_a_run_that_lost_records_counts_what_its_output_holds(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(SIX) as simulator:
        options = [*written(simulator, secret_store), "--output", str(output), "--no-progress", "--run", "november"]
        await run("fetch", *options)
        whole = orjson.loads(output.read_bytes().splitlines()[-1])
        within_the_third_call(output)
        await run("fetch", *options)
    last = orjson.loads(output.read_bytes().splitlines()[-1])
    assert (last["run"], last["ok"], last["rows"]) == (whole["run"], 6, whole["rows"])


async def test_a_torn_tail_that_was_never_settled_is_no_loss(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(SIX) as simulator:
        options = [*written(simulator, secret_store), "--output", str(output), "--no-progress", "--run", "november"]
        await run("fetch", *options)
        with output.open("ab") as torn:
            torn.write(b'{"type":"row","run":"01')
        again = await run("fetch", *options)
        assert simulator.verdict().requests == 6
    assert again.code == 0
    assert "shorter" not in again.err
