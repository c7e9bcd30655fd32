"""`tap-wolkvox` without a target: what it hands on, again after a STATE, and what it refuses."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.singer.pipeline import HASTE, TAP, config_of, ran, started, tapped, written
from wolkvox_async import __version__
from wolkvox_async.identity import moment, ulid
from wolkvox_async.testing import Fixed, Profile, Simulator

SMALL = Profile(servers=2, operations=4, apis=("interactions", "gamification"), rows=2)


async def test_what_a_target_has_not_confirmed_is_handed_on_again_and_not_asked_for_again(
    secret_store: Path, tmp_path: Path
) -> None:
    async with Simulator(SMALL) as simulator:
        config = config_of(simulator, secret_store, state=str(tmp_path / "state"))
        first = await tapped(config)
        middle = next(one["value"] for one in first.messages if one.get("value", {}).get("calls") == 3)
        second = await tapped(config, middle)
        third = await tapped(config, second.state)
        requests = simulator.verdict().requests
    assert (first.code, second.code, third.code, requests) == (0, 0, 0, 8), first.err + second.err + third.err
    assert len(first.records("rows")) == 16
    assert second.records("rows") == first.records("rows")[6:]
    # Then a run of its own, in which nothing is due.
    assert Counter(one["outcome"] for one in second.records("calls")) == {"ok": 5, "skipped": 8}
    assert {run["version"] for run in second.records("runs")} == {__version__}
    assert second.state["run"] != first.state["run"]
    assert Counter(one["outcome"] for one in third.records("calls")) == {"skipped": 8}
    assert [path.name for path in tmp_path.glob("state/singer/*/*")] == [third.state["batch"]]


async def test_a_target_that_said_nothing_gets_the_last_run_again_and_another_tap_does_not(secret_store: Path) -> None:
    async with Simulator(SMALL) as simulator:
        config = config_of(simulator, secret_store)
        first, second = await tapped(config), await tapped(config)
        other = await tapped(config_of(simulator, secret_store, name="other"))
        assert simulator.verdict().requests == 8
    assert second.records("rows") == first.records("rows")
    assert Counter(one["outcome"] for one in other.records("calls")) == {"skipped": 8}


async def test_nothing_is_given_up_that_a_target_was_told_of_and_never_confirmed(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=1, apis=("interactions",), interval=0)
    async with Simulator(profile) as simulator:
        config = config_of(simulator, secret_store, interval=0)
        confirmed = (await tapped(config)).state
        owed = [await tapped(config, confirmed) for _ in range(3)]
    assert [len(told.records("rows")) for told in owed] == [1, 2, 3]


async def test_a_clock_that_was_set_back_makes_nothing_be_given_up(secret_store: Path, tmp_path: Path) -> None:
    profile = Profile(servers=1, operations=1, apis=("interactions",), interval=0)
    async with Simulator(profile) as simulator:
        config = config_of(simulator, secret_store, state=str(tmp_path / "state"), interval=0)
        first = await tapped(config)
        (batch,) = tmp_path.glob("state/singer/*/*")
        tomorrow = ulid(moment(batch.name) + 86_400_000, 0)
        batch.rename(batch.with_name(f"{tomorrow}.jsonl"))
        later = await tapped(config, first.state | {"batch": f"{tomorrow}.jsonl"})
        owed = await tapped(config, first.state | {"batch": f"{tomorrow}.jsonl"})
    assert later.state["batch"] > f"{tomorrow}.jsonl"
    assert [len(told.records("rows")) for told in (first, later, owed)] == [1, 1, 2]


async def test_what_was_read_last_is_said_without_a_state_until_something_else_was_read(
    secret_store: Path, tmp_path: Path
) -> None:
    async with Simulator(Profile(servers=1, operations=1, apis=("interactions",), interval=0)) as simulator:
        config = config_of(simulator, secret_store, state=str(tmp_path / "state"))
        told = [await tapped(config) for _ in range(3)]
        told += [await tapped(config_of(simulator, secret_store, state=str(tmp_path / "state"), interval=0))]
    assert [len(one.records("rows")) for one in told] == [1, 1, 1, 2]
    assert len(list(tmp_path.glob("state/singer/*/*"))) == 3


async def test_a_target_that_goes_away_ends_it_with_code_4_and_the_next_one_gets_everything(secret_store: Path) -> None:
    profile = Profile(servers=1, operations=6, latency=Fixed(0.1), limit=0.2, interval=0)
    async with Simulator(profile) as simulator:
        config = config_of(simulator, secret_store, max_in_flight=2, **HASTE)
        tap = await started(*TAP, "--config", str(config))
        assert tap.stdout is not None
        await tap.stdout.readline()
        tap.stdout._transport.close()  # type: ignore[attr-defined]  # as a target does that ends
        assert await tap.wait() == 4
        done = await tapped(config)
        assert simulator.verdict().ok, simulator.verdict()
    rows = [(row["call"], row["n"]) for row in done.records("rows")]
    assert len(set(rows)) == len(rows) == 12
    assert (done.code, {run["run"] for run in done.records("runs")}) == (0, {done.state["run"]})


async def test_a_state_of_another_machine_begins_a_run_here_be_it_by_several_processes(secret_store: Path) -> None:
    foreign = {"run": "01M8094P7A81VQNPQ9ZYKSYNZV", "calls": 3, "batch": "../../tenants.json", "position": 70}
    async with Simulator(SMALL) as simulator:
        done = await tapped(config_of(simulator, secret_store, workers=2), foreign)
    assert (done.code, len(done.records("rows"))) == (0, 16), done.err
    assert (secret_store / "tenants.json").exists()


async def test_only_what_the_catalogue_selects_is_said(secret_store: Path) -> None:
    found = json.loads((await ran(*TAP, "--discover")).out)
    found["streams"] = [stream for stream in found["streams"] if stream["stream"] == "rows"]
    async with Simulator(SMALL) as simulator:
        config = config_of(simulator, secret_store)
        done = await tapped(config, None, "--catalog", str(written(secret_store / "catalog.json", found)))
    assert {one["stream"] for one in done.messages if one["type"] != "STATE"} == {"rows"}
    assert len(done.records("rows")) == 16


async def test_it_says_what_it_can_do() -> None:
    about = json.loads((await ran(*TAP, "--about")).out)
    assert about["capabilities"] == ["about", "catalog", "discover", "state"]
    assert {"tenants", "api", "only", "state", "workers", "from", "to"} <= {one["name"] for one in about["settings"]}
    assert "output" not in {one["name"] for one in about["settings"]}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"tenant": "x"}, "--config: there is no setting 'tenant': did you mean 'tenants'?"),
        ({"output": "x"}, "--config: there is no setting 'output'"),
        ({"api": {"a": 1}}, "--config: api is an object: write text or a number"),
        ({"workers": 0}, "--workers '0': write a whole number from 1 to 256"),
    ],
)
async def test_wrong_settings_are_refused(tmp_path: Path, settings: dict[str, Any], complaint: str) -> None:
    config = {"tenants": str(tmp_path / "none.json"), **settings}
    done = await tapped(written(tmp_path / "config.json", config))
    assert done.code == 2
    assert complaint in done.err


async def test_the_state_of_a_target_that_has_said_none_is_an_empty_file(secret_store: Path) -> None:
    (secret_store / "state.json").touch()
    async with Simulator(Profile(servers=1, operations=1)) as simulator:
        config = config_of(simulator, secret_store)
        done = await ran(*TAP, "--config", str(config), "--state", str(secret_store / "state.json"))
    assert (done.code, len(done.records("rows"))) == (0, 2), done.err


async def test_all_that_is_wrong_with_its_files_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "catalog.json").write_text("{}")
    (tmp_path / "state.json").write_text("[]")
    given = [f"--{what}={tmp_path / what}.json" for what in ("config", "state", "catalog")]
    done = await ran(*TAP, *given)
    assert (done.code, len(done.err.splitlines())) == (2, 3)
    assert "this is no JSON" in done.err
    assert "this is a list and not an object" in done.err
    assert "this is no Singer catalogue" in done.err
