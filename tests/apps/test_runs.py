"""Runs that are taken up again, and calls that are not made twice: over processes, kills and outputs."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from tests.apps.commands import command, run, written
from wolkvox_async.testing import FAULTS, Fixed, Profile, Simulator

SMALL = Profile(servers=2, operations=6, apis=("interactions", "gamification"))
SLOW = Profile(
    servers=1, operations=6, apis=("interactions", "gamification"), latency=Fixed(0.1), limit=0.2, interval=0
)
# What the simulator needs for a call, and for one that was abandoned, with room for a machine that is busy.
HASTE = ("--server-limit", "1.5", "--timeout", "1.5", "--connect-timeout", "1.5", "--no-progress")


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


def rows_by_call(records: Iterable[dict[str, Any]]) -> Counter[str]:
    return Counter(record["call"] for record in records if record["type"] == "row")


# --- pace ---------------------------------------------------------------------------------


async def test_what_was_asked_a_moment_ago_is_not_asked_again(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        options = written(simulator, secret_store)
        first, second = await run("fetch", *options), await run("fetch", *options)
        requests = simulator.verdict().requests
    assert (first.code, outcomes(first.records)) == (0, {"ok": 12}), first.err
    assert requests == 12
    assert (second.code, outcomes(second.records)) == (0, {"skipped not_due": 12})
    due = {record["next_at"] for record in first.records if record["type"] == "call"}
    assert {record["next_at"][:17] for record in second.records if record["type"] == "call"} <= {d[:17] for d in due}
    assert "12 calls were not due" in second.err
    assert "--wait" in second.err
    assert max(due)[:17] in second.err


async def test_an_interval_of_nothing_asks_again(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        options = [*written(simulator, secret_store), "--interval", "0"]
        await run("fetch", *options)
        again = await run("fetch", *options)
    assert outcomes(again.records) == {"ok": 12}


async def test_a_call_that_is_due_soon_is_waited_for(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=2, apis=("interactions",), interval=2)) as simulator:
        options = [*written(simulator, secret_store), "--interval", "2"]
        await run("fetch", *options)
        again = await run("fetch", *options, "--wait", "2")
        assert simulator.verdict().ok, simulator.verdict()
    assert outcomes(again.records) == {"ok": 2}


async def test_failed_calls_do_not_start_the_interval(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=1, apis=("interactions",), faults={"0": FAULTS["garbage"]}, interval=0)
    async with Simulator(profile) as simulator:
        options = written(simulator, secret_store)
        await run("fetch", *options)
        again = await run("fetch", *options)
    assert outcomes(again.records) == {"failed malformed": 1}


async def test_a_state_that_was_lost_is_made_good_by_what_the_output_says(secret_store: Path, tmp_path: Path) -> None:
    output, state = tmp_path / "usage.jsonl", tmp_path / "state"
    async with Simulator(SMALL) as simulator:
        options = [*written(simulator, secret_store), "--output", str(output), "--state", str(state)]
        await run("fetch", *options)
        shutil.rmtree(state)
        again = await run("fetch", *options)
        assert simulator.verdict().requests == 12
    assert (again.code, outcomes(read(output))) == (0, {"ok": 12, "skipped not_due": 12})


# --- runs ---------------------------------------------------------------------------------


async def test_a_named_run_repeats_only_what_did_not_work(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=3, apis=("interactions",), faults={"0": FAULTS["garbage"]}, interval=0)
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), "--run", "november", "--interval", "0"]
        first = await run("fetch", *options)
        simulator.break_token(0, ())
        second = await run("fetch", *options)
        third = await run("fetch", *options)
    assert (first.code, outcomes(first.records)) == (1, {"ok": 2, "failed malformed": 1})
    assert (second.code, outcomes(second.records)) == (0, {"ok": 1})
    assert (third.code, outcomes(third.records)) == (0, {})
    assert [record["event"] for record in second.records if record["type"] == "run"] == ["resumed", "finished"]
    assert {record["run"] for done in (first, second, third) for record in done.records} == {first.records[0]["run"]}
    last = second.records[-1]
    assert (last["ok"], last["failed"], last["rows"], last["attempts"]) == (3, 0, 3, 4)
    assert second.records[0]["calls"] == third.records[0]["calls"] == 3
    failed = {record["call"] for record in first.records if record.get("outcome") == "failed"}
    assert failed == {record["call"] for record in second.records if record["type"] == "call"}


async def test_the_newest_run_that_is_not_complete_is_taken_up(secret_store: Path, tmp_path: Path) -> None:
    profile = Profile(servers=1, operations=3, apis=("interactions",), faults={"0": FAULTS["garbage"]}, interval=0)
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), "--interval", "0"]
        nothing = await run("fetch", *options, "--resume")
        first = await run("fetch", *options)
        elsewhere = await run("fetch", *options, "--resume", "--output", str(tmp_path / "other.jsonl"))
        simulator.break_token(0, ())
        second = await run("fetch", *options, "--resume")
        complete = await run("fetch", *options, "--resume")
    assert [done.code for done in (nothing, first, elsewhere, second, complete)] == [2, 1, 2, 0, 2]
    assert outcomes(second.records) == {"ok": 1}
    assert second.records[0]["run"] == first.records[0]["run"]


async def test_a_run_has_one_output_for_good(secret_store: Path, tmp_path: Path) -> None:
    async with Simulator(SMALL) as simulator:
        options = [*written(simulator, secret_store), "--run", "november"]
        await run("fetch", *options, "--output", str(tmp_path / "a.jsonl"))
        other = await run("fetch", *options, "--output", str(tmp_path / "b.jsonl"))
        assert simulator.verdict().requests == 12
    assert other.code == 2
    assert "a.jsonl" in other.err


async def test_a_run_that_another_process_works_on_is_left_alone(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=1, apis=("interactions",), faults={"0": FAULTS["hang"]}, limit=1)
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), "--run", "november"]
        async with command("fetch", *options) as first:
            while not simulator.verdict().in_flight_now:
                await asyncio.sleep(0.01)
            second = await run("fetch", *options)
            first.kill()
    assert second.code == 2
    assert "november" in second.err


async def test_a_name_and_resume_exclude_each_other(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        done = await run("fetch", *written(simulator, secret_store), "--run", "a", "--resume")
        assert simulator.verdict().requests == 0
    assert done.code == 2


# --- kills --------------------------------------------------------------------------------


async def test_a_run_that_was_killed_goes_on_where_it_was(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(SLOW) as simulator:
        options = [*written(simulator, secret_store), "--output", str(output), "--run", "november", *HASTE]
        options += ["--interval", "0", "--per-server", "2"]
        for calls in (2, 5, 8):
            async with command("fetch", *options) as process:
                while not (output.exists() and output.read_bytes().count(b'{"type":"call"') >= calls):
                    assert process.returncode is None
                    await asyncio.sleep(0.005)
                process.send_signal(signal.SIGKILL)
                await process.wait()
        done = await run("fetch", *options)
        verdict = simulator.verdict()
    assert done.code == 0, done.err
    assert verdict.ok, verdict
    records = read(output)
    assert outcomes(records) == {"ok": 12}
    assert set(rows_by_call(records).values()) == {1}
    assert records[-1]["ok"] == 12
    assert verdict.requests <= 12 + 3 * 2 * 2  # what was in flight, or answered and not written yet


async def test_two_processes_share_the_work(secret_store: Path, tmp_path: Path) -> None:
    profile = Profile(servers=2, operations=40, apis=("interactions", "gamification"), latency=Fixed(0.02))
    outputs = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    async with Simulator(profile) as simulator:
        options = written(simulator, secret_store)
        done = await asyncio.gather(*(run("fetch", *options, "--output", str(output)) for output in outputs))
        verdict = simulator.verdict()
    assert verdict.ok, verdict
    assert verdict.requests == 80
    assert [one.code for one in done] == [0, 0]
    counted = [outcomes(read(output)) for output in outputs]
    assert counted[0]["ok"] + counted[1]["ok"] == 80
    assert all(count.total() == 80 for count in counted)


# --- what the vendor refused -----------------------------------------------------------------


async def test_a_refused_token_is_not_tried_again_until_it_is_forgiven(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=2, apis=("interactions",), faults={"0": FAULTS["refused"]}, interval=0)
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), "--interval", "0", "--log-level", "error"]
        first, second = await run("fetch", *options), await run("fetch", *options)
        assert simulator.verdict().requests == 3
        simulator.break_token(0, ())
        simulator.forgive_refusals()
        third = await run("fetch", *options, "--retry-refused")
        assert simulator.verdict().ok, simulator.verdict()
    assert outcomes(first.records) == {"ok": 1, "failed forbidden": 1}
    assert (second.code, outcomes(second.records)) == (1, {"ok": 1, "skipped held": 1})
    assert (third.code, outcomes(third.records)) == (0, {"ok": 2})


# --- the folder ---------------------------------------------------------------------------


async def test_a_state_folder_that_cannot_be_one_is_said_before_anything_is_called(
    secret_store: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file, not a folder")
    async with Simulator(SMALL) as simulator:
        done = await run("fetch", *written(simulator, secret_store), "--state", str(tmp_path / "state"))
        assert simulator.verdict().requests == 0
    assert (done.code, done.out) == (5, b"")
    assert str(tmp_path / "state") in done.err


async def test_no_token_is_in_the_state_folder(secret_store: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with Simulator(SMALL) as simulator:
        await run("fetch", *written(simulator, secret_store), "--state", str(state))
        texts = [text.encode() for text in simulator.environment().values()] or [
            path.read_bytes().strip() for path in secret_store.rglob("*") if path.is_file()
        ]
    files = [path for path in state.rglob("*") if path.is_file()]
    assert files
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert not [path for path in files for text in texts if len(text) < 600 and text in path.read_bytes()]


async def test_durable_records_are_the_same_records(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(SMALL) as simulator:
        done = await run("fetch", *written(simulator, secret_store), "--durability", "power", "--output", str(output))
    assert (done.code, outcomes(read(output))) == (0, {"ok": 12})


async def test_a_reader_that_went_away_gets_what_it_missed(secret_store: Path) -> None:
    profile = Profile(
        servers=1, operations=30, apis=("interactions",), rows=40, interval=0, latency=Fixed(0.02), limit=0.2
    )
    async with Simulator(profile) as simulator:
        options = [
            *written(simulator, secret_store),
            "--run",
            "november",
            "--interval",
            "0",
            "--per-server",
            "2",
            *HASTE,
        ]
        async with command("fetch", *options) as process:
            assert process.stdout is not None
            await process.stdout.readline()
            process.stdout._transport.close()  # type: ignore[attr-defined]
            assert await process.wait() == 4
        done = await run("fetch", *options)
    # All that was written within the last second counts as not read.
    assert (done.code, outcomes(done.records)) == (0, {"ok": 30})
