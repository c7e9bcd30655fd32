"""Every program of docs/embedding.md does what the guide says; those that serve are in test_services.py."""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import prometheus_client
import pytest

import wolkvox_async
from wolkvox_async import DateRange, Tenants, load_tenants
from wolkvox_async.errors import OutputError
from wolkvox_async.testing import FAULTS, Profile, Report, Simulator

from .guide import APPS, blocks, cells, program
from .test_services import TARGETS

SERVED = {f"{target.partition(':')[0]}.py" for target in TARGETS} | {"usage.py"}
RUN_HERE = {"campaign.py", "worker.py", "table.py", "metrics.py", "tracing.py", "logs.py", "vault.py", "notebook"}
COLLECTED = {"test_service.py", "test_virtual_time.py"}  # by pytest, in apps/


@pytest.fixture
async def vendor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """Serve the operations of the tenants file in the current folder, instead of the vendor."""
    async with Simulator(Profile(servers=2, operations=4, faults={"1": FAULTS["html"]})) as simulator:
        simulator.write_tenants(tmp_path)
        monkeypatch.chdir(tmp_path)
        opened = partial(wolkvox_async.open_engine, base_url=simulator.base_url)
        monkeypatch.setattr(wolkvox_async, "open_engine", opened, raising=False)
        gathered = partial(wolkvox_async.fetch_all, base_url=simulator.base_url)
        monkeypatch.setattr(wolkvox_async, "fetch_all", gathered, raising=False)
        yield simulator


@pytest.fixture
def tenants(vendor: Simulator) -> Tenants:
    assert vendor.operations
    return load_tenants("tenants.json")


Run = Callable[[str], Any]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what imports a program."""

    def imported(title: str) -> Any:
        module = ModuleType(title.removesuffix(".py"))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(program(title), title, "exec"), vars(module))  # noqa: S102 - our own guide
        return module

    return imported


async def run_cell(cell: str, found: dict[str, Any]) -> None:
    """Run a cell as notebooks do: `await` may stand anywhere in it."""
    running = eval(compile(cell, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), found)  # noqa: S307 - our own guide
    if inspect.iscoroutine(running):
        await running


# --- all of them ----------------------------------------------------------------------------


def test_every_block_is_a_program_that_some_test_runs() -> None:
    assert {block.language for block in blocks()} == {"python"}
    assert {block.title for block in blocks()} == SERVED | RUN_HERE | COLLECTED


@pytest.mark.parametrize("path", sorted(APPS.glob("[!_]*.py")), ids=lambda path: path.name)
def test_a_program_stands_in_the_guide_as_it_was_checked(path: Path) -> None:
    assert program(path.name) == path.read_text()


def test_every_program_but_the_shortest_was_checked() -> None:
    checked = {path.name for path in APPS.glob("[!_]*.py")}
    assert checked | {"usage.py", "notebook"} == SERVED | RUN_HERE | COLLECTED


def test_the_shortest_service_has_fifteen_lines() -> None:
    lines = program("usage.py").splitlines()
    assert len([line for line in lines if line.strip()]) == 15


# --- each of them ---------------------------------------------------------------------------


async def test_the_notebook_has_rows_and_what_is_missing(vendor: Simulator) -> None:
    found: dict[str, Any] = {}
    for cell in cells():
        await run_cell(cell, found)
    healthy = {(one.tenant, one.name) for n, one in enumerate(vendor.operations) if n != 1}
    broken = vendor.operations[1]
    assert set(found["usage"]) == healthy
    assert list(found["missing"]) == [(broken.tenant, broken.name)]
    assert dict(found["totals"]).keys() == {tenant for tenant, _ in healthy}
    assert sum(items for _, items in found["totals"]) == sum(found["usage"].values())
    await run_cell(cells()[0], found)
    assert (found["usage"], len(found["missing"])) == ({}, 4)
    assert vendor.verdict().ok, vendor.verdict()


async def test_a_task_that_is_delivered_twice_asks_once(vendor: Simulator, run: Run) -> None:
    worker, path = run("worker.py"), vendor.operations[0].path
    await worker.broker.startup()
    try:
        waiting = [await worker.usage.kiq(path, "interactions") for _ in range(2)]
        results = [(await task.wait_result(timeout=30)).return_value for task in waiting]
    finally:
        await worker.broker.shutdown()
    assert [result["outcome"] for result in results] == ["ok", "ok"]
    assert results[0]["rows"] == results[1]["rows"]
    assert vendor.verdict().requests == 1
    assert vendor.verdict().ok, vendor.verdict()


async def test_one_value_of_an_endpoint_is_read_for_some_days(run: Run) -> None:
    campaign, detail = run("campaign.py").campaign, {"file": "campaign", "api": "detail", "dates": "required"}
    params = {"type_campaign": "predictive", "campaign_id": ["1001", "1002"]}
    async with Simulator(Profile(1, 1, interval=0)) as vendor:
        document = vendor.tenants_document() | {"endpoints": [{**detail, "params": params}]}
        parts = wolkvox_async.Parts(environment=vendor.environment())
        async with wolkvox_async.open_engine(load_tenants(document), base_url=vendor.base_url, parts=parts) as engine:
            path = vendor.operations[0].path
            rows = await campaign(engine, path, "1003", "2026-10-01", "2026-10-02")
            again = await campaign(engine, path, "1003", "2026-10-01", "2026-10-02")
            other = await campaign(engine, path, "1001", "2026-10-01", "2026-10-02")
    assert (len(rows), again is rows, other == rows) == (2 * 20, True, False)
    assert vendor.verdict().requests == 2


async def test_a_sink_fills_a_table_and_says_when_it_cannot(vendor: Simulator, tenants: Tenants, run: Run) -> None:
    table = run("table.py")
    database = sqlite3.connect("readings.db", check_same_thread=False)
    async with wolkvox_async.open_engine(tenants) as engine:
        summary = await table.fill(engine, database)
    ((rows,),) = database.execute("select count(*) from readings").fetchall()
    assert rows == summary.counters.rows == 3 * 2
    ((line,),) = database.execute("select line from readings limit 1").fetchall()
    assert orjson.loads(line)["type"] == "row"
    sink = table.Table(database)
    database.close()
    with pytest.raises(OutputError, match="closed database"):
        await sink.write(b'{"type":"row","call":"c","n":1}\n')
    assert vendor.verdict().ok, vendor.verdict()


async def test_metrics_count_calls_and_failed_attempts(vendor: Simulator, tenants: Tenants, run: Run) -> None:
    registry = prometheus_client.CollectorRegistry()
    async with run("metrics.py").measured(tenants, registry) as engine:
        for operation in vendor.operations[:2]:
            await engine.read(operation.path, "interactions")
    ended = {
        outcome: registry.get_sample_value("wolkvox_calls_total", {"api": "interactions", "outcome": outcome})
        for outcome in ("ok", "failed")
    }
    assert ended == {"ok": 1, "failed": 1}
    assert registry.get_sample_value("wolkvox_failed_attempts_total", {"kind": "malformed"}) is not None
    assert registry.get_sample_value("wolkvox_call_seconds_count", {"api": "interactions"}) == 2


async def test_metrics_and_traces_count_the_requests_that_the_vendor_saw(run: Run) -> None:
    registry, tracing = prometheus_client.CollectorRegistry(), run("tracing.py")
    spans = wolkvox_async.TracingHook(wolkvox_async.LoopClock(), tracing.provider)
    hooks = (run("metrics.py").Metrics(registry), spans)
    report = Report("reports_manager/cdr_1", rows=50, most_rows=20)
    faults = {"1": FAULTS["server-error"]}
    async with Simulator(Profile(1, 2, apis=(report.name,), reports=(report,), faults=faults)) as vendor:
        parts = wolkvox_async.Parts(hooks=hooks, environment=vendor.environment())
        options = wolkvox_async.Options(base_url=vendor.base_url, max_attempts=2, backoff=0.001, interval=0)
        tenants, dates = load_tenants(vendor.tenants_document()), DateRange("2026-11-01", "2026-11-02")
        async with (
            wolkvox_async.open_engine(tenants, options, parts=parts) as engine,
            engine.fetch(dates=dates) as records,
        ):
            found = [record async for record in records]
    saw, made = vendor.verdict().requests, tracing.exporter.get_finished_spans()
    assert saw > sum(record["attempts"] for record in found if record["type"] == "call") > 8
    assert registry.get_sample_value("wolkvox_requests_total", {"api": report.name}) == saw
    assert sum(span.attributes["wolkvox.attempts"] for span in made) == saw
    tracing.provider.shutdown()


async def test_a_trace_has_a_span_for_every_call(vendor: Simulator, tenants: Tenants, run: Run) -> None:
    tracing = run("tracing.py")
    async with tracing.traced(tenants) as engine:
        results = [await engine.read(operation.path, "interactions") for operation in vendor.operations[:2]]
    spans = tracing.exporter.get_finished_spans()
    assert [span.attributes["wolkvox.outcome"] for span in spans] == [result.outcome for result in results]
    assert [span.attributes["wolkvox.operation"] for span in spans] == [one.name for one in vendor.operations[:2]]
    tracing.provider.shutdown()


async def test_log_lines_are_json_with_the_operation(vendor: Simulator, tenants: Tenants, run: Run) -> None:
    logger, written = logging.getLogger("wolkvox_async"), io.StringIO()
    handler = run("logs.py").handler
    try:
        handler.setStream(written)
        vendor.break_token(0, FAULTS["refused"])
        async with wolkvox_async.open_engine(tenants) as engine:
            await engine.read(vendor.operations[0].path, "interactions")
    finally:
        logger.removeHandler(handler)
    (line,) = [orjson.loads(line) for line in written.getvalue().splitlines() if "token closed" in line]
    assert (line["level"], line["operation"]) == ("warning", vendor.operations[0].path)


class Store:
    """A secret store whose first answer is out of date."""

    def __init__(self, tokens: dict[str, str]) -> None:
        self._tokens = tokens
        self.read_before: set[str] = set()

    async def read(self, path: str) -> str | None:
        await asyncio.sleep(0)
        if path in self.read_before:
            return self._tokens[path]
        self.read_before.add(path)
        return "a-token-of-last-week"


async def test_a_token_that_was_renewed_costs_no_failed_call(vendor: Simulator, run: Run) -> None:
    one = vendor.operations[0]
    store = Store({one.path: one.token.reveal()})
    async with await run("vault.py").opened(store, {one.path: one.server}) as engine:
        result = await engine.read(one.path, "interactions")
    assert (result.outcome, result.attempts) == ("ok", 2)
    assert result.rows[0]["operation"] == one.vendor_name
