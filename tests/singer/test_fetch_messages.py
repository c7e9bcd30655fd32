"""`fetch --format singer`: the same records as messages, to a file or a pipe, whatever happens to the program."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.singer.pipeline import ran, started
from wolkvox_async.testing import Fixed, Profile, Simulator

SMALL = Profile(servers=2, operations=4, apis=("interactions", "gamification"), rows=2)
SLOW = Profile(
    servers=1, operations=6, apis=("interactions", "gamification"), latency=Fixed(0.1), limit=0.2, interval=0
)
HASTE = ("--server-limit", "1.5", "--timeout", "1.5", "--connect-timeout", "1.5", "--max-in-flight", "2")


def fetching(simulator: Simulator, folder: Path, *options: str) -> tuple[str, ...]:
    """Return the command that fetches from the simulator."""
    reached = ("--tenants", str(simulator.write_tenants(folder)), "--base-url", simulator.base_url)
    return ("wolkvox-async", "fetch", "--format", "singer", *reached, *options)


def of_stream(messages: list[dict[str, Any]], stream: str) -> list[dict[str, Any]]:
    return [one["record"] for one in messages if one["type"] == "RECORD" and one["stream"] == stream]


async def test_several_processes_write_one_stream_of_messages(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        done = await ran(*fetching(simulator, secret_store, "--workers", "2"))
        assert simulator.verdict().ok, simulator.verdict()
    assert (done.code, done.err) == (0, "")
    assert Counter(one["type"] for one in done.messages) == {"SCHEMA": 3, "RECORD": 26, "STATE": 10}
    assert done.messages[-1]["value"]["calls"] == 8
    assert [one["event"] for one in of_stream(done.messages, "runs")] == ["started", "finished"]
    # A call's messages stand together: its rows, its record, a STATE.
    calls = [one["record"]["call"] if one["type"] == "RECORD" else None for one in done.messages[5:-2]]
    assert all(calls[at] == calls[at + 1] == calls[at + 2] and calls[at + 3] is None for at in range(0, len(calls), 4))


async def test_a_file_of_messages_is_gone_on_with_after_a_kill(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.singer"
    async with Simulator(SLOW) as simulator:
        command = fetching(simulator, secret_store, *HASTE, "--output", str(output))
        first = await started(*command)
        while not output.exists() or output.read_bytes().count(b'"STATE"') < 4:
            await asyncio.sleep(0.01)
        first.kill()
        await first.communicate()
        with output.open("ab") as file:  # as a killed program may leave it: a row without its call, and half a line
            file.write(b'{"type":"RECORD","stream":"rows","record":{"call":"x","n":1}}\n{"type":"RECORD","stre')
        second = await ran(*command, "--resume")
        assert simulator.verdict().ok, simulator.verdict()
    assert (second.code, second.out) == (0, b""), second.err
    messages = [json.loads(line) for line in output.read_text().splitlines()]
    rows, calls = of_stream(messages, "rows"), of_stream(messages, "calls")
    assert len({(row["call"], row["n"]) for row in rows}) == len(rows) == 12
    assert Counter(call["outcome"] for call in calls) == {"ok": 12}
    assert [one["event"] for one in of_stream(messages, "runs")] == ["started", "resumed", "finished"]


async def test_a_file_that_lost_messages_gets_them_again(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.singer"
    profile = Profile(servers=1, operations=3, apis=("interactions",), interval=0)
    async with Simulator(profile) as simulator:
        command = fetching(simulator, secret_store, "--output", str(output), "--run", "november")
        await ran(*command)
        whole = output.read_bytes().splitlines(keepends=True)
        output.write_bytes(b"".join(whole[:8]))  # schemas, the run and its STATE, one call and its STATE
        again = await ran(*command)
        assert simulator.verdict().requests == 5
    assert again.code == 0
    assert "2 calls that it does not hold are made again" in again.err
    messages = [json.loads(line) for line in output.read_text().splitlines()]
    assert len({row["call"] for row in of_stream(messages, "rows")}) == len(of_stream(messages, "rows")) == 3


async def test_a_closed_pipe_ends_it_with_code_4(secret_store: Path) -> None:
    async with Simulator(SLOW) as simulator:
        process = await started(*fetching(simulator, secret_store, *HASTE))
        assert process.stdout is not None
        assert (await process.stdout.readline()).startswith(b'{"type":"SCHEMA"')
        process.stdout._transport.close()  # type: ignore[attr-defined]  # as a target does that ends
        code = await process.wait()
        assert simulator.verdict().requests < 12
    assert code == 4


async def test_a_file_of_lines_is_not_gone_on_with_as_messages(secret_store: Path, tmp_path: Path) -> None:
    output = tmp_path / "usage.jsonl"
    output.write_bytes(b'{"type":"run","run":"r"}\n')
    async with Simulator(SMALL) as simulator:
        done = await ran(*fetching(simulator, secret_store, "--output", str(output)))
        assert simulator.verdict().requests == 0
    assert done.code == 2
    assert "no file of Singer messages" in done.err
    assert output.read_bytes() == b'{"type":"run","run":"r"}\n'


async def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WOLKVOX_FORMAT", "csv")
    done = await ran("wolkvox-async", "fetch", "--tenants", "none")
    assert (done.code, "--format 'csv': write one of jsonl, singer" in done.err) == (2, True)
