"""Real targets: what a tap says arrives, whatever was killed meanwhile, and nothing arrives twice."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Database
from tests.singer.pipeline import HASTE, Ran, config_of, documented, killed, ran, tapped, target, written
from wolkvox_async.testing import Fixed, Profile, Simulator
from wolkvox_async.testing.journal import Answered, Asked

# The judge minds no call that comes early: one that was answered while the tap was killed is made again.
SLOW = Profile(
    servers=2, operations=6, apis=("interactions", "gamification"), rows=2, latency=Fixed(0.1), limit=0.2, interval=0,
    journal=True,
)  # fmt: skip
PACE = {"max_in_flight": 2, **HASTE}


def books(simulator: Simulator) -> dict[tuple[str, str, str], set[int]]:
    """Return what the simulator answered, by its own journal: the sums of items, by operation and endpoint."""
    names = {operation.token.id: operation for operation in simulator.operations}
    asked = {event.request: event for event in simulator.journal if isinstance(event, Asked)}
    found = defaultdict(set)
    for event in simulator.journal:
        if isinstance(event, Answered):
            operation = names[asked[event.request].tokens[0]]
            found[operation.path, operation.vendor_name, asked[event.request].api].add(event.items)
    return found


def agree(simulator: Simulator, loaded: list[tuple[Any, ...]]) -> None:
    """Compare with the books what was loaded: path, vendor's name, endpoint, number of rows, their items."""
    expected = books(simulator)
    assert {(path, name, api) for path, name, api, _, _ in loaded} == expected.keys()
    assert len(loaded) == len(expected) == 12
    for path, name, api, rows, items in loaded:
        assert rows == 2
        assert items in expected[path, name, api]
    assert simulator.verdict().ok, simulator.verdict()


SUMMED = """
    select tenant || '/' || operation, row_operation, api, count(*)::int, sum(items)::int
    from wolkvox.rows group by run, call, tenant, operation, row_operation, api
"""


async def loaded(program: str, config: Path, tap: Ran) -> dict[str, Any]:
    """Have a target take what a tap said, and return the state that it prints last."""
    done = await ran(program, "--config", str(config), stdin=tap.out)
    assert done.code == 0, done.err
    state: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return state


@pytest.mark.timeout(200)  # it starts in some seconds, and the machine may be busy
async def test_postgres_has_every_row_once_whatever_is_killed_or_repeated(
    secret_store: Path, tmp_path: Path, database: Database
) -> None:
    program = target("target-postgres")
    where = {name: getattr(database, name) for name in ("host", "port", "user", "password")}
    into = written(tmp_path / "target.json", {**where, "database": database.name, "default_target_schema": "wolkvox"})
    async with Simulator(SLOW) as simulator:
        config = config_of(simulator, secret_store, **PACE)
        first = await killed(config, after=5)
        state = await loaded(program, into, first)
        assert database.rows("select count(*) from wolkvox.rows") == [(2 * state["calls"],)]
        # Nobody kept that state: everything comes again, and the rest of the run.
        second = await tapped(config)
        assert second.code == 0, second.err
        assert await loaded(program, into, second) == second.state
        agree(simulator, database.rows(SUMMED))
    assert database.rows("select run, event, calls, ok from wolkvox.runs") == [(state["run"], "finished", 12, 12)]
    assert database.rows("select count(*), sum(rows) from wolkvox.calls where outcome = 'ok'") == [(12, 24)]
    readings, missing = (database.rows(query) for query in documented("sql") if "wolkvox." in query)
    assert (len(readings), missing) == (24, [])
    assert {len(month) for month, *_ in readings} == {len("2026-11")}
    sent = database.rows("select \"row\"::jsonb ->> 'description', row_description from wolkvox.rows")
    assert {one == other for one, other in sent} == {True}


async def test_a_target_without_keys_gets_every_row_once_if_its_state_is_kept(
    secret_store: Path, tmp_path: Path
) -> None:
    program = target("target-jsonl")
    config = written(tmp_path / "target.json", {"destination_path": str(tmp_path), "do_timestamp_file": False})
    async with Simulator(SLOW) as simulator:
        settings = config_of(simulator, secret_store, **PACE)
        state = await loaded(program, config, await killed(settings, after=5))
        state = await loaded(program, config, await tapped(settings, state))
        await loaded(program, config, await tapped(settings, state))
        rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
        summed: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for row in rows:
            path = f"{row['tenant']}/{row['operation']}"
            summed[row["call"], path, row["row_operation"], row["api"]].append(row["items"])
        agree(simulator, [(*where, len(items), sum(items)) for (_, *where), items in summed.items()])
    assert len({(row["call"], row["n"]) for row in rows}) == len(rows) == 24
