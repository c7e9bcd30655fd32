"""`status` and `why`, of state folders that real processes have left or are using."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.apps.commands import command, run, written
from wolkvox_async.adapters.state import SqliteState
from wolkvox_async.testing import FAULTS, Profile, Simulator, parse_script

TWO = ("interactions", "gamification")
HANGS = Profile(servers=1, operations=1, apis=TWO, faults={"0": parse_script("ok,hang")})
QUIET = ("--no-progress", "--log-level", "error")


async def why(tenant: str, *options: str) -> list[dict[str, Any]]:
    done = await run("why", tenant, "--json", *options)
    assert done.code == 0, done.err
    return done.records


async def why_once(tenant: str, *wanted: str) -> dict[str, Any]:
    """Ask until a token waits for what is `wanted`, and return that line."""
    seen = None
    for _ in range(200):
        seen = await run("why", tenant, "--json")
        for line in seen.records:
            if line["waits_for"] in wanted:
                return line
        await asyncio.sleep(0.05)
    raise AssertionError(f"no token waits for {wanted}: {seen}")


@contextmanager
def refusing(port: int) -> Iterator[None]:
    """Keep a port on which nobody listens any more from being given to somebody else."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        yield


def seconds_to(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()


# --- status -------------------------------------------------------------------------------


async def test_status_says_how_every_call_ended_and_when_it_is_due(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=2, apis=TWO, faults={"1": FAULTS["garbage"]})
    async with Simulator(profile) as simulator:
        fetched = await run("fetch", *written(simulator, secret_store), *QUIET, "--max-attempts", "1")
        good, bad = simulator.operations
    people, machines = await run("status"), await run("status", "--json")
    assert people.code == machines.code == 0
    assert not people.err
    known = {(line["tenant"], line["operation"], line["api"]): line for line in machines.records}
    ended = [one for one in fetched.records if one["type"] == "call" and one["outcome"] != "skipped"]
    assert len(known) == len(ended)
    for one in ended:
        line = known[one["tenant"], one["operation"], one["api"]]
        for name in ("server", "token", "outcome", "rows", "attempts", "at", "next_at", "run"):
            assert line[name] == one[name], name
        assert line["type"] == "call"
    head, *rows = people.out.decode().splitlines()
    assert head.split() == ["OPERATION", "ENDPOINT", "OUTCOME", "WHEN", "ROWS", "DUE", "RUN"]
    assert [row.split()[:3] for row in rows if row.startswith(good.path)] == [
        [good.path, "gamification", "ok"],
        [good.path, "interactions", "ok"],
    ]
    assert all(row.split()[3] == "(malformed)" for row in rows if row.startswith(bad.path))
    assert len({row.rindex(" ") for row in rows}) == 1, "columns stand below one another"


async def test_status_can_be_about_some_operations(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=3, tenants=3, apis=TWO)) as simulator:
        await run("fetch", *written(simulator, secret_store), *QUIET)
        first, second, _ = simulator.operations
    some = await run("status", "--json", "--only", first.tenant, "--only", second.path)
    assert {(line["tenant"], line["operation"]) for line in some.records} == {
        (first.tenant, first.name),
        (second.tenant, second.name),
    }
    none = await run("status", "--only", f"{first.tenant}x")
    assert none.code == 2
    assert f"did you mean '{first.tenant}'" in none.err


async def test_a_tenants_file_says_whose_calls_are_shown_and_brings_its_labels(
    secret_store: Path, tmp_path: Path
) -> None:
    async with Simulator(Profile(servers=1, operations=2, tenants=2, apis=TWO)) as simulator:
        await run("fetch", *written(simulator, secret_store), *QUIET)
        one, other = simulator.operations
    document = orjson.loads((secret_store / "tenants.json").read_bytes())
    mine = [tenant for tenant in document["tenants"] if tenant["name"] == one.tenant]
    mine[0]["labels"] = {"segment": "retail"}
    mine.append({"name": "new", "operations": [{"name": "main", "server": "0010", "token": {"env": "UNSET"}}]})
    mine[1]["operations"].append({"name": "second", "server": "0010", "token": {"env": "UNSET"}})
    (tmp_path / "mine.json").write_bytes(orjson.dumps({"tenants": mine}))
    options = ("--tenants", str(tmp_path / "mine.json"))
    all_of_it, shown = await run("status", "--json"), await run("status", "--json", *options)
    assert {line["tenant"] for line in all_of_it.records} == {one.tenant, other.tenant}
    assert {line["tenant"] for line in shown.records} == {one.tenant}
    assert "nothing is known of new/main and 1 more" in shown.err
    labelled = await run("status", "--json", *options, "--only", "segment=retail")
    assert (labelled.records, labelled.err) == (shown.records, "")
    (line,) = await why(one.tenant, *options)
    assert line["tenant"] == one.tenant
    unknown = await run("why", "new/main", *options)
    assert (unknown.code, unknown.out) == (0, b"")
    assert "nothing is known of new/main: no call was planned yet" in unknown.err
    assert (await run("why", other.tenant, *options)).code == 2
    by_environment = await run("status", "--json", env={"WOLKVOX_TENANTS": options[1]})
    assert by_environment.records == shown.records


async def test_a_tenants_file_that_is_wrong_is_said_and_nothing_is_shown(secret_store: Path, tmp_path: Path) -> None:
    async with Simulator(Profile(servers=1, operations=1, apis=TWO)) as simulator:
        await run("fetch", *written(simulator, secret_store), *QUIET)
    (tmp_path / "wrong.json").write_text('{"tenants": [{"name": "acme", "operation": []}]}')
    for arguments in (("status",), ("why", "acme")):
        missing = await run(*arguments, "--tenants", str(tmp_path / "missing.json"))
        wrong = await run(*arguments, "--tenants", str(tmp_path / "wrong.json"))
        assert (missing.code, wrong.code, missing.out, wrong.out) == (2, 2, b"", b"")
        assert "missing.json" in missing.err
        assert "wrong.json:1:" in wrong.err


async def test_status_shows_live_runs_above_the_table_and_survives_a_closed_pipe(secret_store: Path) -> None:
    async with (
        Simulator(HANGS) as simulator,
        command("fetch", *written(simulator, secret_store), *QUIET, "--run", "november") as fetch,
    ):
        await why_once(simulator.operations[0].tenant, "in_flight")
        people, machines = await run("status"), await run("status", "--json")
        async with command("status") as reading:
            assert reading.stdout is not None
            reading.stdout._transport.close()  # type: ignore[attr-defined]
            await reading.wait()
            assert reading.stderr is not None
            assert await reading.stderr.read() == b""
        fetch.kill()
    first, empty, head, *_ = people.out.decode().splitlines()
    assert "november" in first
    assert (empty, head[:9]) == ("", "OPERATION")
    assert machines.records[0]["type"] == "run"
    assert (machines.records[0]["name"], machines.records[0]["ok"]) == ("november", 1)


async def test_long_and_odd_names_keep_the_table_in_shape(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=2, apis=("interactions",))) as simulator:
        options = written(simulator, secret_store)
        file = secret_store / "tenants.json"
        name = "北京" * 15 + "-" + "x" * 29
        file.write_text(file.read_text().replace(f'"{simulator.operations[0].name}"', f'"{name}"'))
        done = await run("fetch", *options, *QUIET)
        assert done.code == 0, done.err
    people, machines = await run("status"), await run("status", "--json")
    assert max(map(len, people.out.decode().splitlines())) < 160
    assert name in {line["operation"] for line in machines.records}
    assert "..." in people.out.decode()


@pytest.mark.parametrize("arguments", [("status",), ("why", "acme")])
async def test_without_a_usable_folder_there_is_nothing_to_tell(arguments: tuple[str, ...], tmp_path: Path) -> None:
    missing = await run(*arguments, "--state", str(tmp_path / "nowhere"))
    assert missing.code == 5
    assert "--state" in missing.err
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "state.db").write_bytes(b"garbage" * 1_000)
    damaged = await run(*arguments, "--state", str(tmp_path))
    assert damaged.code == 5
    assert "damaged" in damaged.err


async def test_where_nothing_was_planned_status_says_so(tmp_path: Path) -> None:
    async with await SqliteState.open(tmp_path):
        pass
    done = await run("status", "--state", str(tmp_path))
    assert (done.code, done.out) == (0, b"")
    assert "nothing is known yet" in done.err


@pytest.mark.parametrize("interval", [(), ("--interval", "0")])
async def test_a_first_call_is_known_while_it_is_in_flight_and_once_it_is_lost(
    interval: tuple[str, ...], secret_store: Path
) -> None:
    profile = Profile(servers=1, operations=1, apis=TWO, faults={"0": FAULTS["hang"]})
    async with Simulator(profile) as simulator:
        one = simulator.operations[0]
        async with command("fetch", *written(simulator, secret_store), *QUIET, *interval) as fetch:
            while not simulator.verdict().in_flight_now:
                await asyncio.sleep(0.01)
            in_flight = await why_once(one.tenant, "in_flight")
            fetch.kill()
            await fetch.wait()
        (lost,) = await why(one.path)
    assert (in_flight["waits_for"], in_flight["token"]) == ("in_flight", one.token.id)
    assert (lost["waits_for"], lost["operations"]) == ("lost_call", [one.name])
    people, machines = await run("status"), await run("status", "--json")
    assert [(line["api"], line["outcome"], line["at"], line["rows"]) for line in machines.records] == [
        (api, None, None, 0) for api in sorted(TWO)
    ]
    assert [row.split()[1:6] for row in people.out.decode().splitlines()[1:]] == [
        [api, "never", "-", "0", "-"] for api in sorted(TWO)
    ]


async def test_a_token_that_was_never_called_waits_for_a_slot(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=2, tenants=2, apis=("interactions",), faults={"0": FAULTS["hang"]})
    async with Simulator(profile) as simulator:
        first, second = simulator.operations
        options = [*written(simulator, secret_store), *QUIET, "--max-in-flight", "1"]
        async with command("fetch", *options) as fetch:
            while not simulator.verdict().in_flight_now:
                await asyncio.sleep(0.01)
            busy, waiting = await why_once(first.tenant, "in_flight"), await why_once(second.tenant, "slot")
            fetch.kill()
            await fetch.wait()
    assert (busy["waits_for"], waiting["waits_for"]) == ("in_flight", "slot")


# --- why ----------------------------------------------------------------------------------


async def test_after_a_fetch_a_token_waits_for_the_interval(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=2, tenants=1, apis=TWO)) as simulator:
        fetched = await run("fetch", *written(simulator, secret_store), *QUIET)
        one, other = simulator.operations
    ends = [record for record in fetched.records if record["type"] == "call"]
    lines = await why(one.tenant)
    assert [(line["operations"], line["token"]) for line in lines] == sorted(
        ([op.name], op.token.id) for op in (one, other)
    )
    for line in lines:
        due = min(end["next_at"] for end in ends if end["token"] == line["token"])
        assert (line["waits_for"], line["until"]) == ("interval", due)
    people = await run("why", one.path)
    assert people.out.decode().startswith(f"{one.path} ({one.token.id}): interactions is due next")
    assert len(people.out.splitlines()) == 1
    assert len((await run("why", f"{one.tenant[:2]}*/*")).out.splitlines()) == 2


async def test_a_tenant_that_nobody_knows_is_a_mistake(secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=1, apis=TWO)) as simulator:
        await run("fetch", *written(simulator, secret_store), *QUIET)
        tenant = simulator.operations[0].tenant
    done = await run("why", f"{tenant}s")
    assert done.code == 2
    assert f"did you mean '{tenant}'" in done.err


async def test_in_flight_and_after_a_kill(secret_store: Path) -> None:
    async with Simulator(HANGS) as simulator:
        tenant = simulator.operations[0].tenant
        async with command("fetch", *written(simulator, secret_store), *QUIET) as fetch:
            line = await why_once(tenant, "in_flight")
            assert seconds_to(line["until"]) < 140
            fetch.send_signal(signal.SIGKILL)
            await fetch.wait()
        (lost,) = await why(tenant)
    assert lost["waits_for"] == "lost_call"
    assert lost["until"][:-5] == line["until"][:-5] or abs(seconds_to(lost["until"]) - seconds_to(line["until"])) < 1


async def test_a_call_that_was_given_up_leaves_its_token_to_the_server_limit(secret_store: Path) -> None:
    async with Simulator(HANGS) as simulator:
        haste = ("--timeout", "1.5", "--connect-timeout", "1.5", "--max-attempts", "1")
        await run("fetch", *written(simulator, secret_store), *QUIET, *haste)
        (line,) = await why(simulator.operations[0].tenant)
    assert line["waits_for"] == "server_limit"
    assert 0 < seconds_to(line["until"]) < 61


@pytest.mark.parametrize(
    ("options", "reason"), [(("--token-gap", "30"), "token_gap"), (("--interval", "0"), "nothing")]
)
async def test_after_a_pause_or_without_an_interval(options: tuple[str, ...], reason: str, secret_store: Path) -> None:
    async with Simulator(Profile(servers=1, operations=1, apis=("interactions",), interval=0)) as simulator:
        await run("fetch", *written(simulator, secret_store), *QUIET, *options)
        (line,) = await why(simulator.operations[0].tenant)
    assert line["waits_for"] == reason


@pytest.mark.parametrize(("fault", "reason"), [("refused", "refused"), ("quota", "quota")])
async def test_after_a_refusal_or_with_a_used_up_quota(fault: str, reason: str, secret_store: Path) -> None:
    profile = Profile(servers=1, operations=1, apis=TWO, faults={"0": FAULTS[fault]})
    async with Simulator(profile) as simulator:
        await run("fetch", *written(simulator, secret_store), *QUIET)
        one = simulator.operations[0]
    (line,) = await why(one.tenant)
    assert (line["waits_for"], line["token"]) == (reason, one.token.id)
    assert seconds_to(line["until"]) > 0


async def test_with_its_server_down_a_token_waits_for_the_next_probe(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=4, apis=("interactions",), interval=0)
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), *QUIET, "--interval", "0"]
        await run("fetch", *options)
        tenant, server = simulator.operations[0].tenant, simulator.operations[0].server
    with refusing(int(server)):
        async with command("fetch", *options) as fetch:
            line = await why_once(tenant, "circuit")
            shown = await run("status")
            fetch.kill()
    assert server in line["message"]
    assert seconds_to(line["until"]) < 60
    assert shown.code == 0


async def test_behind_others_a_token_waits_for_a_slot(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=2, tenants=2, apis=("interactions",), interval=0)
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), *QUIET, "--interval", "0"]
        await run("fetch", *options)
        first, second = simulator.operations
        simulator.break_token(0, (FAULTS["hang"],) * 5)
        async with command("fetch", *options, "--max-in-flight", "1", "--run", "november") as fetch:
            await why_once(first.tenant, "in_flight")
            (line,) = await why(second.tenant)
            fetch.kill()
    assert (line["waits_for"], line["until"]) == ("slot", None)
    assert "november" in line["message"]
