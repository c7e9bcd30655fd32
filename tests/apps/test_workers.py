"""`fetch --workers N`: several processes that behave as one, whoever of them is killed."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.apps.commands import command, run, written
from wolkvox_async.testing import FAULTS, Fixed, Profile, Simulator

APIS = ("interactions", "gamification")
SMALL = Profile(servers=2, operations=12, apis=APIS, latency=Fixed(0.02))
SLOW = Profile(servers=2, operations=16, apis=APIS, latency=Fixed(0.1), limit=0.2, interval=0)
# What the simulator needs for a call, and for one that was abandoned, with room for a machine that is busy.
HASTE = ("--server-limit", "1.5", "--timeout", "1.5", "--connect-timeout", "1.5", "--interval", "0")
TWO = ("--workers", "2")
AT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


def moment(text: str) -> float:
    """Return the first time that stands in a text, in Unix seconds."""
    return datetime.fromisoformat(AT.findall(text)[0]).timestamp()


# A fork beside a thread is a warning from Python 3.12 on.
STRICT = {"PYTHONWARNINGS": "error::DeprecationWarning:wolkvox_async.apps.working.forking"}


def read(output: Path) -> list[dict[str, Any]]:
    """Return the records in `output`; every line has to be one."""
    return [orjson.loads(line) for line in output.read_bytes().splitlines()]


def outcomes(records: Iterable[dict[str, Any]]) -> Counter[str]:
    """Count the calls by outcome, and by kind where there is an error."""
    return Counter(
        record["outcome"] if record["error"] is None else f"{record['outcome']} {record['error']['kind']}"
        for record in records
        if record["type"] == "call"
    )


def events(records: Iterable[dict[str, Any]]) -> list[str]:
    return [record["event"] for record in records if record["type"] == "run"]


def assert_whole(records: list[dict[str, Any]]) -> None:
    """Every call's row stands right before its `call` record, and both stand there once."""
    calls = [n for n, record in enumerate(records) if record["type"] == "call" and record["outcome"] == "ok"]
    assert all(records[n - 1]["type"] == "row" and records[n - 1]["call"] == records[n]["call"] for n in calls)
    assert sum(record["type"] == "row" for record in records) == len(calls) == len({records[n]["call"] for n in calls})


def workers_of(process: Process) -> list[int]:
    """Return the process ids of its children."""
    try:
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Nobody may have waited for it yet.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.005)


async def with_calls(output: Path, calls: int) -> None:
    await until(lambda: output.exists() and output.read_bytes().count(b'{"type":"call"') >= calls)


# --- as one ---------------------------------------------------------------------------------


async def test_two_workers_fetch_everything_once_and_share_no_token(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        done = await run("fetch", *written(simulator, secret_store), *TWO, env=STRICT)
        verdict = simulator.verdict()
    assert (done.code, done.err) == (0, "")
    assert verdict.ok, verdict
    assert verdict.requests == 24
    assert set(verdict.connections_by_token.values()) == {1}
    assert outcomes(done.records) == {"ok": 24}
    assert_whole(done.records)
    assert events(done.records) == ["started", "finished"]
    first, last = done.records[0], done.records[-1]
    assert (first["calls"], last["ok"], last["rows"], last["attempts"]) == (24, 24, 24, 24)


async def test_the_limits_are_totals(secret_store: Path) -> None:
    profile = Profile(servers=2, operations=40, apis=("interactions",), latency=Fixed(0.2))
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), "--max-in-flight", "7", "--per-server", "5"]
        done = await run("fetch", *options, "--workers", "3")
        verdict = simulator.verdict()
    assert (done.code, outcomes(done.records)) == (0, {"ok": 40})
    assert verdict.max_in_flight <= 7
    assert max(verdict.max_in_flight_by_server.values()) <= 5
    assert verdict.max_in_flight > 3


async def test_more_workers_than_the_limits_allow_are_not_started_and_that_is_said_once(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        options = [*written(simulator, secret_store), "--workers", "8", "--per-server", "2"]
        done = await run("fetch", *options)
        assert max(simulator.verdict().max_in_flight_by_server.values()) <= 2
    assert (done.code, outcomes(done.records)) == (0, {"ok": 24})
    assert done.err.count("--workers 8: 2 at most") == len(done.complaints) == 1


async def test_what_was_asked_a_moment_ago_is_not_asked_again_by_another_number_of_workers(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        options = written(simulator, secret_store)
        first = await run("fetch", *options, *TWO)
        second = await run("fetch", *options, "--workers", "3")
        third = await run("fetch", *options)
        assert simulator.verdict().requests == 24
    assert [done.code for done in (first, second, third)] == [0, 0, 0]
    assert outcomes(second.records) == outcomes(third.records) == {"skipped not_due": 24}
    assert second.records[-1]["skipped"] == 24
    # Each process tells the time of day from a clock of its own beginning: they may differ by a millisecond.
    assert AT.sub("", second.err) == AT.sub("", third.err)
    assert abs(moment(second.err) - moment(third.err)) < 0.1
    assert "24 calls were not due" in second.err


async def test_a_refused_token_ends_as_with_one_worker(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=4, apis=APIS, faults={"0": FAULTS["refused"]})
    async with Simulator(profile) as simulator:
        done = await run("fetch", *written(simulator, secret_store), *TWO, "--log-level", "error")
        assert simulator.verdict().ok, simulator.verdict()
    assert (done.code, outcomes(done.records)) == (1, {"ok": 6, "failed forbidden": 1, "skipped held": 1})


# --- runs -----------------------------------------------------------------------------------


async def test_a_named_run_repeats_only_what_did_not_work(secret_store: Path, tmp_path: Path) -> None:
    profile = Profile(servers=1, operations=5, apis=("interactions",), faults={"0": FAULTS["garbage"]}, interval=0)
    output = tmp_path / "usage.jsonl"
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), "--run", "november", "--interval", "0", "--output", str(output)]
        first = await run("fetch", *options, *TWO)
        simulator.break_token(0, ())
        second = await run("fetch", *options, "--workers", "3")
        third = await run("fetch", *options)
        assert simulator.verdict().requests == 6
    assert [done.code for done in (first, second, third)] == [1, 0, 0]
    records = read(output)
    assert outcomes(records) == {"ok": 5, "failed malformed": 1}
    assert events(records) == ["started", "finished", "resumed", "finished", "resumed", "finished"]
    assert (records[-1]["ok"], records[-1]["failed"], records[-1]["attempts"]) == (5, 0, 6)


# --- nothing is started ---------------------------------------------------------------------


@pytest.mark.parametrize("number", ["0", "-1", "two", "1000"])
async def test_a_number_of_workers_that_cannot_be_is_a_mistake(number: str, secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        done = await run("fetch", *written(simulator, secret_store), f"--workers={number}")
        assert simulator.verdict().requests == 0
    assert (done.code, done.out) == (2, b"")
    assert "--workers" in done.err


async def test_all_mistakes_are_said_at_once_and_nothing_is_started(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(SMALL) as simulator:
        options = [*written(simulator, secret_store), *TWO, "--output", str(output), "--state", str(tmp_path / "state")]
        for path in secret_store.rglob("*"):
            if path.is_file() and path.suffix != ".json":
                path.unlink()
        done = await run("fetch", *options, env=dict.fromkeys(simulator.environment(), ""))
        assert simulator.verdict().requests == 0
    assert (done.code, done.out) == (2, b"")
    assert len(done.complaints) == 12
    assert not output.exists()
    assert not (tmp_path / "state").exists()


async def test_an_output_that_another_writes_to_is_left_alone(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    profile = Profile(servers=1, operations=2, faults={"0": FAULTS["hang"]}, limit=1)
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), *TWO, "--output", str(output)]
        async with command("fetch", *options):
            await with_calls(output, 1)
            await until(lambda: simulator.verdict().in_flight_now == 1)
            requests = simulator.verdict().requests
            second = await run("fetch", *options)
            assert simulator.verdict().requests == requests
    assert second.code == 2
    assert str(output) in second.err


async def test_a_state_folder_that_cannot_be_one_ends_it_with_code_5(secret_store: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, not a folder")
    async with Simulator(SMALL) as simulator:
        done = await run("fetch", *written(simulator, secret_store), *TWO, "--state", str(tmp_path / "state"))
        assert simulator.verdict().requests == 0
    assert (done.code, done.out) == (5, b"")


# --- signals and outputs ----------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_drains_all_workers_and_the_run_can_be_taken_up(
    number: signal.Signals, code: int, secret_store: Path, tmp_path: Path
) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(SLOW) as simulator:
        options = [
            *written(simulator, secret_store),
            *TWO,
            "--output",
            str(output),
            "--interval",
            "0",
            "--per-server",
            "2",
        ]
        async with command("fetch", *options) as process:
            await with_calls(output, 3)
            for worker in workers_of(process):
                os.kill(worker, number)  # as a terminal does, or whoever stops a service
            process.send_signal(number)
            assert await process.wait() == code
        made, records = simulator.verdict().requests, read(output)
        assert outcomes(records) == {"ok": made, "skipped stopping": 32 - made}
        assert 3 <= made < 32
        assert events(records) == ["started", "stopped"]
        again = await run("fetch", *options, "--resume")
        assert simulator.verdict().ok, simulator.verdict()
        assert simulator.verdict().requests == 32
    assert (again.code, outcomes(read(output))["ok"]) == (0, 32)


async def test_a_signal_while_tokens_are_resolved_ends_their_commands(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    token = {"command": ["sh", "-c", f"echo $$ > {marker}; exec sleep 50"]}
    operations = [{"name": name, "server": "0010", "token": token} for name in "ab"]
    (tmp_path / "tenants.json").write_bytes(orjson.dumps({"tenants": [{"name": "acme", "operations": operations}]}))
    async with command("fetch", *TWO, cwd=tmp_path) as process:
        await until(lambda: marker.exists() and marker.read_text().endswith("\n"))
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    assert is_gone(int(marker.read_text()))


async def test_a_second_signal_stops_at_once_and_leaves_nobody_behind(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=4, faults={str(n): FAULTS["hang"] for n in range(4)}, limit=1)
    async with Simulator(profile) as simulator, command("fetch", *written(simulator, secret_store), *TWO) as process:
        await until(lambda: simulator.verdict().in_flight_now == 4)
        workers = workers_of(process)
        process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
        assert len(workers) == 2
        assert all(is_gone(worker) for worker in workers)


async def test_calls_that_outlast_the_drain_end_as_failed(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=4, apis=("interactions",), faults={"0": FAULTS["hang"]}, limit=1)
    async with (
        Simulator(profile) as simulator,
        command("fetch", *written(simulator, secret_store), *TWO, "--drain", "0.05") as process,
    ):
        assert process.stdout is not None
        first = [await process.stdout.readline() for _ in range(1 + 2 * 3)]
        await until(lambda: simulator.verdict().in_flight_now == 1)
        process.send_signal(signal.SIGTERM)
        rest = await process.stdout.read()
        assert await process.wait() == 143
    records = [orjson.loads(line) for line in (*first, *rest.splitlines())]
    assert outcomes(records) == {"ok": 3, "failed stopping": 1}


async def test_a_closed_pipe_ends_the_calling_with_code_4(secret_store: Path) -> None:
    profile = Profile(servers=2, operations=200, latency=Fixed(0.05), interval=0)
    async with Simulator(profile) as simulator, command("fetch", *written(simulator, secret_store), *TWO) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        await process.stdout.readline()
        workers = workers_of(process)
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # as `head` does
        err = await process.stderr.read()
        assert (await process.wait(), err) == (4, b"")
        assert simulator.verdict().requests < 400
        assert all(is_gone(worker) for worker in workers)


async def test_a_full_disk_is_said_with_code_4(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        done = await run("fetch", *written(simulator, secret_store), *TWO, "--output", "/dev/full")
    assert done.code == 4
    assert "/dev/full" in done.err
    assert "Traceback" not in done.err


# --- kills ------------------------------------------------------------------------------------


async def killed(options: list[str], output: Path, kill: Callable[[Process], Awaitable[None]]) -> tuple[int, str]:
    """Run the program, with three workers, and `kill` when some calls are written."""
    async with command("fetch", *options, "--workers", "3", "--output", str(output), *HASTE) as process:
        await with_calls(output, 4)
        await kill(process)
        _, err = await process.communicate()
        return process.returncode or 0, err.decode()


@pytest.mark.parametrize("victims", [1, 2])
async def test_the_calls_of_a_killed_worker_are_taken_up_by_the_others(
    victims: int, secret_store: Path, tmp_path: Path
) -> None:
    output = tmp_path / "usage.jsonl"

    async def kill(process: Process) -> None:
        for worker in workers_of(process)[:victims]:
            os.kill(worker, signal.SIGKILL)
            await asyncio.sleep(0.02)

    async with Simulator(SLOW) as simulator:
        options = [*written(simulator, secret_store), "--per-server", "3"]
        code, err = await killed(options, output, kill)
        verdict = simulator.verdict()
    records = read(output)
    assert (code, outcomes(records)) == (0, {"ok": 32}), err
    assert verdict.ok, verdict
    # What a killed worker left at the server counts there too.
    assert max(verdict.max_in_flight_by_server.values()) <= 3
    assert_whole(records)
    assert (events(records), records[-1]["ok"]) == (["started", "finished"], 32)
    assert err.count("was killed by SIGKILL") == victims
    assert verdict.requests <= 32 + victims * 2 * 3  # what was in flight, or answered and not handed over yet


async def test_a_run_whose_workers_are_all_killed_stops_and_can_be_taken_up(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"

    async def kill(process: Process) -> None:
        for worker in workers_of(process):
            os.kill(worker, signal.SIGKILL)

    async with Simulator(SLOW) as simulator:
        options = [*written(simulator, secret_store), "--per-server", "3"]
        code, err = await killed(options, output, kill)
        records = read(output)
        assert code == 1, err
        assert "--resume" in err
        assert events(records) == ["started", "stopped"]
        assert outcomes(records).total() == 32
        assert outcomes(records)["skipped stopping"] == records[-1]["skipped"] > 0
        again = await run("fetch", *options, *TWO, "--output", str(output), *HASTE, "--resume")
        verdict = simulator.verdict()
    assert (again.code, outcomes(read(output))["ok"]) == (0, 32)
    assert verdict.ok, verdict


async def test_workers_end_with_their_parent_and_the_run_goes_on_where_it_was(
    secret_store: Path, tmp_path: Path
) -> None:
    output, workers = tmp_path / "usage.jsonl", []

    async def kill(process: Process) -> None:
        workers.extend(workers_of(process))
        process.send_signal(signal.SIGKILL)

    async with Simulator(SLOW) as simulator:
        options = [*written(simulator, secret_store), "--per-server", "3"]
        await killed(options, output, kill)
        assert len(workers) == 3
        await until(lambda: all(map(is_gone, workers)))
        before = len(read(output))
        again = await run("fetch", *options, *TWO, "--output", str(output), *HASTE, "--resume")
        verdict = simulator.verdict()
    records = read(output)
    assert len(records) > before
    assert (again.code, outcomes(records)) == (0, {"ok": 32})
    assert_whole(records)
    assert verdict.ok, verdict
