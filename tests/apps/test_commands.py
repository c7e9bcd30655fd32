"""The other commands: each starts fast, says what it says on standard output, and ends well."""

import asyncio
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import orjson
import pytest

from tests.apps.commands import command, run, written
from wolkvox_async.catalog import BILLING
from wolkvox_async.testing import Profile, Simulator

HEAVY = ("aiohttp", "structlog", "anyio", "rich", "wolkvox_async.engine")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["completion", "bash"],
        ["apis"],
        ["schema", "records"],
        ["schema", "tenants"],
        ["check", "--help"],
        ["check", "--tenants", "nowhere.json"],
        ["fetch", "--help"],
        ["status", "--help"],
        ["status", "--state", "nowhere"],
        ["why", "--help"],
        ["why", "acme", "--state", "nowhere"],
    ],
)
def test_a_quick_command_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    program = f"""
import sys
from wolkvox_async.apps.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


async def test_apis_lists_the_catalogue() -> None:
    people, machines = await run("apis"), await run("apis", "--json")
    assert people.code == machines.code == 0
    assert len(people.out.splitlines()) == len(BILLING) == 27
    assert [orjson.loads(line)["api"] for line in machines.out.splitlines()] == [e.name for e in BILLING]


async def test_the_schemas_are_schemas_and_fit(secret_store: Path) -> None:
    tenants, records = await run("schema", "tenants"), await run("schema", "records")
    async with Simulator(Profile(servers=1, operations=2)) as simulator:
        done = await run("fetch", *written(simulator, secret_store))
    judge = jsonschema.Draft202012Validator(orjson.loads(records.out))
    assert [error.message for record in done.records for error in judge.iter_errors(record)] == []
    jsonschema.Draft202012Validator.check_schema(orjson.loads(tenants.out))
    document = orjson.loads((secret_store / "tenants.json").read_bytes())
    assert list(jsonschema.Draft202012Validator(orjson.loads(tenants.out)).iter_errors(document)) == []


async def test_plan_calls_nothing_and_says_what_it_takes(secret_store: Path) -> None:
    async with Simulator(Profile(servers=2, operations=6)) as simulator:
        options = written(simulator, secret_store)
        people, machines = await run("plan", *options), await run("plan", *options, "--calls")
        assert simulator.verdict().requests == 0
    assert people.code == machines.code == 0
    assert people.out.startswith(b"12 calls: 6 operations, 6 tokens, 2 servers\n")
    assert b"at least 2.0 s" in people.out
    assert len(machines.out.splitlines()) == 12


async def test_plan_shows_apart_what_the_state_knows_to_be_not_due(secret_store: Path, tmp_path: Path) -> None:
    state = ("--state", str(tmp_path / "state"))
    async with Simulator(Profile(servers=1, operations=3)) as simulator:
        options = [*written(simulator, secret_store), *state]
        before = await run("plan", *options)
        assert before.out.startswith(b"6 calls: 3 operations")
        assert not (tmp_path / "state").exists()
        await run("fetch", *options, "--only", simulator.operations[0].path)
        after, listed = await run("plan", *options), await run("plan", *options, "--calls")
        nothing = await run("plan", *options, "--only", simulator.operations[0].path)
        at_once = await run("plan", *options, "--interval", "0")
        patient = await run("plan", *options, "--wait", "300")
        elsewhere = await run("plan", *options[:-1], str(tmp_path / "other"))
    assert after.out.startswith(b"4 calls: 2 operations")
    assert b"2 calls would be skipped: not due" in after.out
    assert nothing.out.startswith(b"0 calls")
    assert b"at least" not in nothing.out
    assert [(call["skipped"], call["due"] is None) for call in listed.records].count(("not_due", False)) == 2
    assert [(call["skipped"], call["due"] is None) for call in listed.records].count((None, True)) == 4
    assert at_once.out == elsewhere.out == before.out
    assert patient.out.startswith(b"6 calls: 3 operations")
    assert b"2 calls would be waited for" in patient.out


async def test_a_state_folder_that_plan_cannot_read_ends_it_with_code_5(secret_store: Path, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"garbage" * 1_000)
    async with Simulator(Profile(servers=1, operations=1)) as simulator:
        done = await run("plan", *written(simulator, secret_store), "--state", str(tmp_path))
    assert (done.code, done.out) == (5, b"")
    assert "damaged" in done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion_is_for_the_shell(shell: str) -> None:
    done = await run("completion", shell)
    assert done.code == 0
    assert b"_WOLKVOX_ASYNC_COMPLETE" in done.out


async def test_simulate_judges_its_clients_also_when_interrupted(secret_store: Path) -> None:
    arguments = ["simulate", "--port", "0", "--operations", "3", "--servers", "1", "--write", str(secret_store)]
    async with command(*arguments) as process:
        assert process.stdout is not None
        ready = orjson.loads(await process.stdout.readline())
        done = await run("fetch", "--tenants", ready["tenants"], "--base-url", ready["base_url"])
        assert done.code == 0
        process.send_signal(signal.SIGINT)
        verdict = orjson.loads(await process.stdout.read())
        assert await process.wait() == 0
    assert verdict["ok"]
    assert verdict["requests"] == 6
    assert verdict["summary"] == "3 operations, 1 servers, 0 overlaps"


async def test_simulate_exits_1_when_a_client_broke_a_rule(secret_store: Path) -> None:
    arguments = ["simulate", "--port", "0", "--operations", "1", "--servers", "1", "--write", str(secret_store)]
    async with command(*arguments) as process:
        assert process.stdout is not None
        ready = orjson.loads(await process.stdout.readline())
        reader, writer = await asyncio.open_connection("127.0.0.1", int(ready["servers"][0]))
        writer.write(b"GET /api/v2/billing.php?api=interactions HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        process.send_signal(signal.SIGINT)
        verdict = orjson.loads(await process.stdout.read())
        assert await process.wait() == 1
    assert verdict["violations"] == {"token-missing": 1}


async def test_the_demonstration_ends_with_a_verdict(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = await run("demo", "--operations", "30", "--servers", "3", "--folder", str(folder))
    assert done.code == 0, done.err
    assert b"the simulator's verdict: 30 operations, 3 servers, 0 overlaps" in done.out
    lines = (folder / "usage.jsonl").read_bytes().splitlines()
    assert sum(b'"type":"call"' in line for line in lines) == 90
    (told,) = [line for line in done.out.decode().splitlines() if line.startswith("a statement for one tenant: ")]
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    name, *arguments = shlex.split(told.partition(": ")[2])
    assert name == "wolkvox-async"
    statement = await run(*arguments)
    assert statement.code == 0, statement.err
    assert "USD" in Path(arguments[-1]).read_text()
