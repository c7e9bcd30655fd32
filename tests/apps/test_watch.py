"""`watch` as a program: every slot ends once, through signals, kills and reloads."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from backports import zstd

from tests.apps.commands import command, run, written
from wolkvox_async.testing import Profile, Simulator

PROFILE = Profile(servers=2, operations=4, apis=("interactions", "vision"), interval=1)
SECOND = timedelta(seconds=1)
OPTIONS = ("--interval", "1", "--no-progress", "--log-level", "info", "--log-format", "json", "--listen", "off")


def read(output: Path) -> list[dict[str, Any]]:
    """Return the records in `output`; every whole line has to be one."""
    text = output.read_bytes() if output.exists() else b""
    return [orjson.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def ends(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if record["type"] in ("call", "gap")]


def slots(records: Iterable[dict[str, Any]]) -> dict[tuple[str, str, str], list[datetime]]:
    found: dict[tuple[str, str, str], list[datetime]] = {}
    for end in ends(records):
        key = end["tenant"], end["operation"], end["api"]
        found.setdefault(key, []).append(datetime.fromisoformat(end["slot"]))
    return found


def every_slot_once(records: Iterable[dict[str, Any]]) -> bool:
    """Tell whether the slots of each subject follow one another without a hole, each once and in order."""
    return all(later - one == SECOND for times in slots(records).values() for one, later in pairwise(times))


@asynccontextmanager
async def watching(*options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `watch`; when the block ends well it is told to end, and does."""
    async with command("watch", *OPTIONS, *options) as process:
        yield process
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 30)


async def until(output: Path, count: int, *, kind: str = "call", since: int = 0) -> list[dict[str, Any]]:
    """Wait until so many records of a kind stand in `output` behind the first `since`."""
    async with asyncio.timeout(60):
        while True:
            found = read(output)
            if sum(record["type"] == kind for record in found[since:]) >= count:
                return found
            await asyncio.sleep(0.02)


async def test_every_slot_ends_once_and_a_signal_ends_the_run(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(PROFILE) as simulator:
        async with watching(*written(simulator, secret_store), "--output", str(output)) as process:
            await until(output, 24)
        assert simulator.verdict().ok, simulator.verdict()
    records = read(output)
    assert process.returncode == 128 + signal.SIGTERM
    assert (records[0]["event"], records[-1]["event"]) == ("started", "stopped")
    assert len(slots(records)) == 8
    assert every_slot_once(records)
    assert "skipped" not in {record.get("outcome") for record in records}


async def test_the_time_between_two_lives_becomes_gaps(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(PROFILE) as simulator:
        options = [*written(simulator, secret_store), "--output", str(output)]
        async with watching(*options):
            await until(output, 16)
        await asyncio.sleep(2.5)
        before = len(read(output))
        async with watching(*options):
            await until(output, 16, since=before)
    records = read(output)
    assert every_slot_once(records)
    assert Counter(end["reason"] for end in ends(records) if end["type"] == "gap")["stopped"] >= 16


@pytest.mark.parametrize("name", ["usage.jsonl", "usage-{date}.jsonl", "usage-{month}.jsonl.zst"])
async def test_a_kill_at_any_moment_loses_no_slot_and_doubles_none(
    secret_store: Path, tmp_path: Path, name: str
) -> None:
    async with Simulator(PROFILE) as simulator:
        options = [*written(simulator, secret_store), "--output", str(tmp_path / name)]
        for wanted in (4, 9, 15):
            async with watching(*options) as process:
                await _grows(tmp_path, wanted)
                process.kill()
                await process.wait()
        async with watching(*options):
            await _grows(tmp_path, 24)
        assert simulator.verdict().ok, simulator.verdict()
    assert every_slot_once(_all_records(tmp_path))


def _all_records(folder: Path) -> list[dict[str, Any]]:
    # There are two when the day or the month turns meanwhile, and then a manifest.
    found = sorted(path for path in folder.iterdir() if path.name.startswith("usage") and "manifest" not in path.name)
    return [record for path in found for record in _records(path)]


def _records(path: Path) -> list[dict[str, Any]]:
    if ".zst" not in path.name:
        return read(path)
    plain = path.with_name("plain")
    plain.write_bytes(_unpacked(path.read_bytes()))
    return read(plain)


def _unpacked(data: bytes) -> bytes:
    """Return what can be read of a file that is being written."""
    found = b""
    while data:
        one = zstd.ZstdDecompressor()
        found += one.decompress(data)
        data = one.unused_data
    return found


async def _grows(folder: Path, calls: int) -> None:
    """Wait until so many calls more stand in the output."""
    begun = None
    async with asyncio.timeout(60):
        while begun is None or _calls(folder) < begun + calls:
            if begun is None and any(path.name.startswith("usage") for path in folder.iterdir()):
                begun = _calls(folder)
            await asyncio.sleep(0.03)


def _calls(folder: Path) -> int:
    return sum(record["type"] == "call" for record in _all_records(folder))


async def test_a_changed_tenants_file_takes_effect(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(PROFILE) as simulator:
        options = written(simulator, secret_store)
        file = Path(options[1])
        whole = json.loads(file.read_text())
        (tenant,) = whole["tenants"]
        gone, *others = tenant["operations"]
        file.write_text(json.dumps({**whole, "tenants": [{**tenant, "operations": others}]}))
        async with watching(*options, "--output", str(output)) as process:
            await until(output, 8)
            assert gone["name"] not in {end["operation"] for end in ends(read(output))}
            file.write_text(json.dumps(whole))
            process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(60):
                while gone["name"] not in {end["operation"] for end in ends(read(output))}:
                    await asyncio.sleep(0.02)
        assert simulator.verdict().ok, simulator.verdict()
    assert every_slot_once(read(output))


async def test_a_tenants_file_with_mistakes_is_refused_and_the_old_one_stays(
    secret_store: Path, tmp_path: Path
) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(PROFILE) as simulator:
        options = written(simulator, secret_store)
        file = Path(options[1])
        async with watching(*options, "--output", str(output)) as process:
            await until(output, 8)
            file.write_text('{"tenants": [{"nam": "acme"}]}')
            process.send_signal(signal.SIGHUP)
            assert process.stderr is not None
            async with asyncio.timeout(60):
                while b"tenants.json:1:" not in (said := await process.stderr.readline()):
                    assert said, "it ended"
            await until(output, 8, since=len(read(output)))
    assert every_slot_once(read(output))


async def test_rows_that_have_not_changed_are_left_out(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with (
        Simulator(Profile(servers=1, operations=1, apis=("pbx_licenses",), interval=1)) as simulator,
        watching(*written(simulator, secret_store), "--output", str(output), "--only-changes"),
    ):
        records = await until(output, 4)
    calls = [record for record in records if record["type"] == "call"]
    assert sum(record["type"] == "row" for record in records) < len(calls)
    assert sum(call["rows"] for call in calls) == sum(record["type"] == "row" for record in records)


async def test_records_of_a_watch_are_what_the_schema_says(secret_store: Path, tmp_path: Path) -> None:
    import jsonschema  # noqa: PLC0415

    output = tmp_path / "usage.jsonl"
    async with Simulator(PROFILE) as simulator:
        options = [*written(simulator, secret_store), "--output", str(output)]
        for _ in range(2):
            before = len(read(output))
            async with watching(*options):
                await until(output, 8, since=before)
            await asyncio.sleep(1.5)
    schema = json.loads((await run("schema", "records")).out)
    validator = jsonschema.Draft202012Validator(schema)
    records = read(output)
    assert "gap" in {record["type"] for record in records}
    assert [str(error) for record in records for error in validator.iter_errors(record)] == []


async def test_an_interval_of_nothing_is_a_mistake(secret_store: Path) -> None:
    async with Simulator(PROFILE) as simulator:
        done = await run("watch", *written(simulator, secret_store), "--interval", "0")
    assert done.code == 2
    assert "--interval 0:" in done.err


async def test_what_a_finished_file_holds_is_told_by_its_manifest(secret_store: Path, tmp_path: Path) -> None:
    part = tmp_path / "usage-2020-01-01.jsonl.part"
    async with Simulator(PROFILE) as simulator:
        plain = tmp_path / "first.jsonl"
        options = written(simulator, secret_store)
        async with watching(*options, "--output", str(plain)):
            await until(plain, 8)
        part.write_bytes(plain.read_bytes())
        async with watching(*options, "--output", str(tmp_path / "usage-{date}.jsonl")):
            async with asyncio.timeout(30):
                while part.exists():
                    await asyncio.sleep(0.02)
    finished = tmp_path / "usage-2020-01-01.jsonl"
    manifest = json.loads((tmp_path / "usage-2020-01-01.jsonl.manifest.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(finished.read_bytes()).hexdigest()
    assert manifest["calls"] == sum(record["type"] == "call" for record in read(finished))


@pytest.mark.parametrize("interval", ["0.0001", "1e18"])
async def test_an_interval_that_cannot_be_is_a_mistake(secret_store: Path, interval: str) -> None:
    async with Simulator(PROFILE) as simulator:
        done = await run("watch", *written(simulator, secret_store), "--interval", interval)
    assert done.code == 2
    assert "31 days" in done.err


async def test_a_hangup_while_it_starts_or_stops_ends_nothing(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(PROFILE) as simulator:
        options = [*OPTIONS, *written(simulator, secret_store), "--output", str(output)]
        async with command("watch", *options) as process:
            async with asyncio.timeout(60):
                while not output.exists():  # it is opened a while before anything is watched
                    await asyncio.sleep(0.005)
                process.send_signal(signal.SIGHUP)
                while len(read(output)) < 8:
                    await asyncio.sleep(0.02)
                process.send_signal(signal.SIGTERM)
                while process.returncode is None:
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGHUP)  # `send_signal` would take the exit code away
                    await asyncio.sleep(0.005)
    assert process.returncode == 128 + signal.SIGTERM
