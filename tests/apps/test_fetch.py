"""`fetch`, as a person runs it, against a vendor that judges."""

import asyncio
import json
import os
import shlex
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.apps.commands import PROGRAM, command, run, written
from wolkvox_async.testing import FAULTS, Fixed, Profile, Simulator

SMALL = Profile(servers=2, operations=6, apis=("interactions", "gamification"))


async def test_records_go_to_standard_output_and_nothing_else_does(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        done = await run("fetch", *written(simulator, secret_store))
        assert simulator.verdict().ok, simulator.verdict()
    assert (done.code, done.err) == (0, "")
    assert Counter(record["type"] for record in done.records) == {"run": 2, "row": 12, "call": 12}
    assert done.records[0]["event"] == "started"
    assert done.records[-1]["ok"] == 12


async def test_a_file_is_appended_to(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    output.write_bytes(b'{"type":"run","run":"r"}\n')
    async with Simulator(SMALL) as simulator:
        done = await run("fetch", *written(simulator, secret_store), "--output", str(output))
    assert (done.code, done.out) == (0, b"")
    assert len(output.read_bytes().splitlines()) == 1 + 26


async def test_every_option_is_an_environment_variable(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        (_, tenants, _, base_url) = written(simulator, secret_store)
        env = {
            "WOLKVOX_TENANTS": tenants,
            "WOLKVOX_BASE_URL": base_url,
            "WOLKVOX_API": "gamification,interactions",
            "WOLKVOX_ONLY": f"{simulator.operations[0].path},{simulator.operations[1].path}",
        }
        done = await run("fetch", env=env)
    assert done.code == 0
    assert Counter(record["api"] for record in done.records if record["type"] == "call") == {
        "interactions": 2,
        "gamification": 2,
    }


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({}, 0),
        ({"0": FAULTS["not-found"]}, 0),
        ({"0": FAULTS["refused"]}, 1),
        ({str(n): FAULTS["garbage"] for n in range(6)}, 3),
    ],
)
async def test_the_exit_code_says_how_it_went(faults: dict[str, object], code: int, secret_store: Path) -> None:
    profile = Profile(servers=2, operations=6, apis=("interactions",), faults=faults)  # type: ignore[arg-type]
    async with Simulator(profile) as simulator:
        done = await run("fetch", *written(simulator, secret_store), "--log-level", "error")
        assert simulator.verdict().ok, simulator.verdict()
    assert done.code == code


async def test_a_closed_pipe_ends_the_calling_with_code_4_and_no_traceback(secret_store: Path) -> None:
    profile = Profile(servers=2, operations=200, latency=Fixed(0.05), interval=0)
    async with Simulator(profile) as simulator, command("fetch", *written(simulator, secret_store)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        await process.stdout.readline()
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # as `head` does
        err = await process.stderr.read()
        assert (await process.wait(), err) == (4, b"")
        assert simulator.verdict().requests < 400


async def test_a_full_disk_is_said_with_code_4(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        done = await run("fetch", *written(simulator, secret_store), "--output", "/dev/full")
    assert done.code == 4
    assert "/dev/full" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_lets_calls_in_flight_end_and_records_the_rest(
    number: signal.Signals, code: int, secret_store: Path
) -> None:
    profile = Profile(servers=1, operations=80, latency=Fixed(0.1))
    async with Simulator(profile) as simulator:
        async with command("fetch", *written(simulator, secret_store), "--per-server", "4") as process:
            assert process.stdout is not None
            first = await process.stdout.readline()
            await process.stdout.readline()  # the first row: calls are under way
            process.send_signal(number)
            rest = await process.stdout.read()
            assert await process.wait() == code
        assert simulator.verdict().ok, simulator.verdict()
        requests = simulator.verdict().requests
    lines = (first + rest).splitlines()
    outcomes = Counter(
        word for word in ("ok", "skipped", "failed") for line in lines if f'"outcome":"{word}"'.encode() in line
    )
    assert outcomes["ok"] == requests
    assert outcomes["ok"] + outcomes["skipped"] == 160
    assert outcomes["failed"] == 0
    assert b'"event":"stopped"' in lines[-1]


async def test_a_second_signal_stops_at_once(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=3, faults={"0": FAULTS["hang"]}, limit=1)
    async with Simulator(profile) as simulator, command("fetch", *written(simulator, secret_store)) as process:
        assert process.stdout is not None
        for _ in range(3):
            await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130


async def test_calls_that_outlast_the_drain_end_as_failed(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=2, apis=("interactions",), faults={"0": FAULTS["hang"]}, limit=1)
    async with (
        Simulator(profile) as simulator,
        command("fetch", *written(simulator, secret_store), "--drain", "0.05") as process,
    ):
        assert process.stdout is not None
        for _ in range(3):
            await process.stdout.readline()
        while not simulator.verdict().in_flight_now:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        rest = await process.stdout.read()
        assert await process.wait() == 143
    assert b'"outcome":"failed"' in rest
    assert b'"kind":"stopping"' in rest


async def test_two_writers_of_one_file_are_told_apart(secret_store: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "usage.jsonl")
    profile = Profile(servers=1, operations=1, faults={"0": FAULTS["hang"]}, limit=1)
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), "--output", output]
        async with command("fetch", *options) as first:
            while not (os.path.exists(output) and simulator.verdict().in_flight_now):  # noqa: PTH110
                await asyncio.sleep(0.01)
            second = await run("fetch", *options)
            assert second.code == 2
            assert output in second.err
            first.kill()
        assert simulator.verdict().requests == 1


async def test_a_progress_line_and_the_log_never_touch_standard_output(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=3, apis=("interactions",), faults={"0": FAULTS["refused"]})
    async with Simulator(profile) as simulator:
        done = await run("fetch", *written(simulator, secret_store), "--progress", "--log-format", "json")
    assert {record["type"] for record in done.records} == {"run", "row", "call"}
    assert '"token closed"' in done.err


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
async def test_a_daemon_may_start_it_with_streams_closed(closed: str, secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(SMALL) as simulator:
        words = shlex.join([*PROGRAM, "fetch", *written(simulator, secret_store), "--output", str(output)])
        shell = await asyncio.create_subprocess_shell(f"exec {words} {closed}")
        assert await shell.wait() == 0
    assert len(output.read_bytes().splitlines()) == 26


async def test_a_closed_standard_output_is_said_before_anything_is_called(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        words = shlex.join([*PROGRAM, "fetch", *written(simulator, secret_store)])
        shell = await asyncio.create_subprocess_shell(f"exec {words} >&-", stderr=asyncio.subprocess.PIPE)
        _, err = await shell.communicate()
        assert (shell.returncode, simulator.verdict().requests) == (4, 0)
    assert b"standard output" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_signal_while_tokens_are_resolved_ends_their_commands(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    marker = tmp_path / "pid"
    script = f"echo $$ > {marker}; exec sleep 50"
    operation = {"name": "a", "server": "0010", "token": {"command": ["sh", "-c", script]}}
    (tmp_path / "tenants.json").write_text(json.dumps({"tenants": [{"name": "acme", "operations": [operation]}]}))
    async with command("fetch", cwd=tmp_path) as process:
        while not (marker.exists() and marker.read_text()):
            await asyncio.sleep(0.01)
        process.send_signal(number)
        assert await process.wait() == code
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)
