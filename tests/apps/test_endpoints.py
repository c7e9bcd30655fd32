"""Endpoints beyond billing, as a person has them: the example file, ranges, cut answers, kills."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
import pytest

from tests.apps.commands import command, run, written
from wolkvox_async.testing import Fixed, Profile, Simulator
from wolkvox_async.testing.reports import Report, rows
from wolkvox_async.windows import Window

EXAMPLE: Final = Path(__file__).parents[2] / "docs" / "endpoints.example.json"
ZONE: Final = ZoneInfo("America/Bogota")
CDR: Final = Report("reports_manager/cdr_1", rows=40, most_rows=25)
CUT: Final = Profile(
    servers=1, operations=2, apis=(CDR.name,), reports=(CDR,), latency=Fixed(0.02), interval=0, limit=0.2
)
HASTE: Final = ("--server-limit", "1.5", "--timeout", "1.5", "--connect-timeout", "1.5", "--no-progress")
RANGE: Final = ("--from", "2026-09-20", "--to", "2026-10-03")
WHOLE: Final = Window(datetime(2026, 9, 20, tzinfo=ZONE), datetime(2026, 10, 4, tzinfo=ZONE))


def read(output: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in output.read_bytes().splitlines()]


def delivered(records: list[dict[str, Any]]) -> Counter[bytes]:
    return Counter(
        orjson.dumps([one["tenant"], one["operation"], one["row"]]) for one in records if one["type"] == "row"
    )


def books(simulator: Simulator, report: Report, window: Window | None) -> Counter[bytes]:
    return Counter(
        orjson.dumps([of.tenant, of.name, row]) for of in simulator.operations for row in rows(report, of, window)
    )


def windows(records: list[dict[str, Any]], operation: str) -> list[tuple[datetime, datetime]]:
    found = [one["window"] for one in records if one["type"] == "call" and one["operation"] == operation]
    return sorted((_moment(one["from"]), _moment(one["to"])) for one in found)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=ZONE)


def tiles(found: list[tuple[datetime, datetime]]) -> bool:
    return all(other[0] - one[1] == timedelta(seconds=1) for one, other in pairwise(found))


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_range_is_fetched_whole_though_answers_are_cut_off(secret_store: Path, workers: str) -> None:
    async with Simulator(CUT) as simulator:
        options = [*written(simulator, secret_store), *RANGE, "--interval", "0", "--workers", workers, "--no-progress"]
        done = await run("fetch", *options)
        verdict = simulator.verdict()
    assert done.code == 0, done.err
    assert verdict.ok, verdict
    assert delivered(done.records) == books(simulator, CDR, WHOLE)
    assert all(tiles(windows(done.records, of.name)) for of in simulator.operations)
    last = done.records[-1]
    assert (last["event"], last["attempts"]) == ("finished", verdict.requests)
    assert last["rows"] == sum(books(simulator, CDR, WHOLE).values())


async def test_a_range_that_was_killed_in_the_middle_is_whole_once_it_is_taken_up(
    secret_store: Path, tmp_path: Path
) -> None:
    output = tmp_path / "usage.jsonl"
    async with Simulator(CUT) as simulator:
        options = [*written(simulator, secret_store), *RANGE, "--output", str(output), *HASTE, "--interval", "0"]
        for calls in (3, 11):
            async with command("fetch", *options, *(() if calls == 3 else ("--resume",))) as process:
                while not (output.exists() and output.read_bytes().count(b'{"type":"call"') >= calls):
                    assert process.returncode is None
                    await asyncio.sleep(0.005)
                process.send_signal(signal.SIGKILL)
                await process.wait()
        done = await run("fetch", *options, "--resume")
        again = await run("fetch", *options, "--resume")
        verdict = simulator.verdict()
    assert (done.code, again.code) == (0, 2), done.err  # nothing is left to resume
    assert verdict.ok, verdict
    records = read(output)
    assert delivered(records) == books(simulator, CDR, WHOLE)
    assert all(tiles(windows(records, of.name)) for of in simulator.operations)
    ended = Counter(one["call"] for one in records if one["type"] == "call")
    assert set(ended.values()) == {1}


async def test_a_backfill_lets_another_process_call_in_between(secret_store: Path, tmp_path: Path) -> None:
    daily = Report("reports_manager/agent_1", rows=3, days=1)
    profile = Profile(
        servers=1, operations=1, apis=(daily.name, "interactions"), reports=(daily,), latency=Fixed(0.1), interval=0
    )
    output = tmp_path / "backfill.jsonl"
    async with Simulator(profile) as simulator:
        options = [*written(simulator, secret_store), *HASTE]
        years = ("--from", "2025-01-01", "--to", "2025-12-31", "--api", daily.name, "--output", str(output))
        async with command("fetch", *options, *years) as backfill:
            while not output.exists() or output.stat().st_size < 1_000:
                await asyncio.sleep(0.01)
            live = await run("fetch", *options, "--api", "interactions")
            assert backfill.returncode is None
            before = output.stat().st_size
            while output.stat().st_size == before:
                await asyncio.sleep(0.01)
        verdict = simulator.verdict()
    assert live.code == 0, live.err
    assert [one["outcome"] for one in live.records if one["type"] == "call"] == ["ok"]
    assert verdict.ok, verdict


async def test_plan_knows_how_ranges_are_split_and_what_the_lists_come_to(secret_store: Path) -> None:
    document = {
        "defaults": {"apis": ["campaign/detail"]},
        "tenants": [{"name": "acme", "operations": [{"name": "a", "server": "0010", "token": "made-up-token-1"}]}],
        "endpoints": [
            {"file": "campaign", "api": "detail", "dates": "required", "days": 31,
             "params": {"type_campaign": "predictive", "campaign_id": ["7", "8"]}}
        ],
    }  # fmt: skip
    file = secret_store / "tenants.json"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(orjson.dumps(document))
    file.chmod(0o600)
    plan = await run("plan", "--tenants", str(file), "--calls", "--from", "2026-08-01", "--to", "2026-10-15")
    apis = await run("apis", "--tenants", str(file), "--json")
    assert plan.code == 0, plan.err
    found = [(one["params"]["campaign_id"], one["window"]["from"], one["window"]["to"]) for one in plan.records]
    assert found == [
        (campaign, first, last)
        for campaign in ("7", "8")
        for first, last in (
            ("20260801000000", "20260831235959"),
            ("20260901000000", "20261001235959"),
            ("20261002000000", "20261015235959"),
        )
    ]
    last = apis.records[-1]
    assert (last["api"], last["days"], last["params"]["campaign_id"]) == ("campaign/detail", 31, ["7", "8"])


@pytest.mark.parametrize("command", [("fetch", "--workers", "2"), ("plan",), ("watch",)])
async def test_what_needs_dates_and_has_none_is_said_before_anything_is_called(
    secret_store: Path, command: tuple[str, ...]
) -> None:
    async with Simulator(CUT) as simulator:
        done = await run(*command, *written(simulator, secret_store))
        verdict = simulator.verdict()
    assert (done.code, verdict.requests, done.out) == (2, 0, b"")
    assert f"the endpoint {CDR.name} needs dates: name them with --from and --to or in its entry of apis" in done.err


async def test_check_warns_of_what_can_only_be_called_with_dates(secret_store: Path) -> None:
    async with Simulator(CUT) as simulator:
        done = await run("check", *written(simulator, secret_store))
    assert done.code == 0
    assert f"the endpoint {CDR.name} needs dates" in done.err


# --- the example ----------------------------------------------------------------------------


async def test_the_example_is_without_mistakes_and_the_simulator_answers_all_of_it(
    secret_store: Path, tmp_path: Path
) -> None:
    profile = Profile(servers=1, operations=1, apis=("information/token_info",), interval=0)
    async with Simulator(profile) as simulator:
        example = orjson.loads(EXAMPLE.read_bytes())
        server, variables = simulator.operations[0].server, simulator.environment()
        ((variable, _),) = variables.items()
        example["tenants"][0]["operations"][0] |= {"server": server, "token": {"env": variable}}
        file = tmp_path / "tenants.json"
        file.write_bytes(orjson.dumps(example))
        options = ["--tenants", str(file), "--base-url", simulator.base_url]
        check = await run("check", *options, env=variables)
        state = ("--state", str(secret_store / "state"))
        dated = ("--from", "2026-10-01", "--to", "2026-11-02", "--interval", "0")
        done = await run("fetch", *options, *state, *dated, "--no-progress", env=variables)
        verdict = simulator.verdict()
    assert (check.code, done.code) == (0, 0), check.err + done.err
    assert verdict.ok, verdict
    calls = [one for one in done.records if one["type"] == "call"]
    asked = {f"{one['file']}/{one['api']}" for one in example["endpoints"]}
    assert {one["api"] for one in calls} == asked
    assert {one["outcome"] for one in calls} == {"ok"}
    assert len(asked) >= 10
    assert len({one["file"] for one in example["endpoints"]}) >= 4
