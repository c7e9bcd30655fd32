"""The numbers of the report are those of the simulator's own books, to the unit, and so are the amounts."""

from __future__ import annotations

import asyncio
import csv
import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.virtual_month import TURN
from tests.apps.commands import run, written
from wolkvox_async.adapters.state import MemoryState
from wolkvox_async.apps.reporting.program import Order, make
from wolkvox_async.catalog import Catalog
from wolkvox_async.planning import Subscription, Wanted
from wolkvox_async.settings.composition import Parts, assemble
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options
from wolkvox_async.statements import Line, Report, State, month_named
from wolkvox_async.testing import (
    Answered,
    Asked,
    Effect,
    Fixed,
    InProcess,
    Profile,
    SimulatedOperation,
    Simulator,
    VirtualClock,
    VirtualLoop,
    parse_script,
)

APIS = ("interactions", "ivr_minutes", "chat_licenses", "gamification")
PRICES = {
    "currency": "COP",
    "rounding": {"decimals": 1, "mode": "half-up"},
    "endpoints": {
        "interactions": {
            "tiers": [{"up_to": 5000, "price": "0.37"}, {"up_to": 20000, "price": "0.31"}, {"price": "0.29"}]
        },
        "ivr_minutes": {"price": "1.15", "per": 7},
        "chat_licenses": {"price": 45.55},
    },
}


def expected(api: str, items: int) -> Decimal | None:
    """Work an amount out by hand, as the prices above have it."""
    match api:
        case "interactions":
            exact = Decimal("0.37") * min(items, 5000)
            exact += Decimal("0.31") * min(max(items - 5000, 0), 15000) + Decimal("0.29") * max(items - 20000, 0)
        case "ivr_minutes":
            exact = Decimal("1.15") * items / 7
        case "chat_licenses":
            exact = Decimal("45.55") * items
        case _:
            return None
    return exact.quantize(Decimal("0.1"), ROUND_HALF_UP)


def lines_of(report: Report, month: str) -> dict[tuple[str, str], Line]:
    """Return a month's lines by operation and endpoint."""
    return {
        (f"{line.key.tenant}/{line.key.operation}", line.key.api): line
        for statement in report.statements
        if statement.month == month_named(month)
        for line in statement.lines
    }


def check_amounts(report: Report, csv_file: Path) -> None:
    """Expect every amount and every total to be what is worked out from the lines' numbers, on the sheet too."""
    grand = Decimal(0)
    for statement in report.statements:
        own = [expected(line.key.api, int(line.value)) for line in statement.lines if line.value is not None]
        assert statement.amount == sum(amount for amount in own if amount is not None)
        grand += statement.amount
    rows = list(csv.DictReader(csv_file.read_text().splitlines()))
    assert sum(Decimal(row["amount"] or 0) for row in rows) == grand


@pytest.mark.usefixtures("own_state")
async def test_a_pass_over_the_simulator_is_billed_to_the_unit(secret_store: Path, tmp_path: Path) -> None:
    faults = {"3": parse_script("not-found"), "5": parse_script("unavailable*1,ok"), "7": parse_script("refused")}
    profile = Profile(servers=3, operations=12, tenants=3, apis=APIS, faults=faults)
    usage, prices, sheet = tmp_path / "usage.jsonl", tmp_path / "prices.json", tmp_path / "r.csv"
    prices.write_bytes(orjson.dumps(PRICES))
    async with Simulator(profile) as simulator:
        await run("fetch", *written(simulator, secret_store), "--output", str(usage), "--backoff", "0.01")
        sent = simulator.verdict().sent
    now = round(datetime.now(UTC).timestamp() * 1000)
    order = Order((str(usage),), str(tmp_path / "r.html"), now, csv=str(sheet), prices=str(prices))
    report = make(order).report
    (month,) = {f"{statement.month // 12}-{statement.month % 12 + 1:02}" for statement in report.statements}
    lines = lines_of(report, month)
    books = {
        (operation.path, api): told
        for operation in simulator.operations
        for api, told in sent.get(operation.token.id, {}).items()
    }
    answered = {key: told.items for key, told in books.items() if told.rows}
    assert len(answered) == 40
    assert {key: line.value for key, line in lines.items() if line.value is not None} == answered
    assert all(lines[simulator.operations[3].path, api].value is None for api in APIS)
    assert sum(line.failed + line.skipped for line in lines.values()) == len(APIS)
    assert all(
        line.charge is None or line.charge.amount == expected(api, int(line.value or 0))
        for (_, api), line in lines.items()
    )
    check_amounts(report, sheet)


def ledger(vendor: InProcess, begin: float) -> Iterator[tuple[tuple[str, str], float, int]]:
    """Yield what the vendor answered well: to which operation and endpoint, when (Unix seconds), which number."""
    owners: dict[str, SimulatedOperation] = {operation.token.id: operation for operation in vendor.operations}
    asked: dict[int, Asked] = {}
    for event in vendor.journal:
        if isinstance(event, Asked):
            asked[event.request] = event
        elif isinstance(event, Answered) and event.effect is Effect.GRANTED and event.rows:
            question = asked[event.request]
            yield (owners[question.tokens[0]].path, question.api), begin + event.at, event.items


class _File:
    """Takes the lines of a watch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0

    async def write(self, lines: bytes) -> int:
        with self.path.open("ab") as file:
            file.write(lines)
        self.size += len(lines)
        return self.size


async def watch_over_the_turn(output: Path, hours: float) -> tuple[InProcess, float]:
    """Watch until two hours after November is over."""
    begin = TURN - hours * 3600
    clock = VirtualClock(datetime.fromtimestamp(begin, UTC))
    profile = Profile(servers=2, operations=6, tenants=2, apis=APIS, latency=Fixed(0.4), journal=True)
    vendor = InProcess(profile, clock)
    wanted = tuple(Wanted(endpoint) for name in APIS if (endpoint := Catalog().get(name)) is not None)
    subscriptions = [Subscription(operation.as_operation(), wanted) for operation in vendor.operations]
    parts = Parts(transport=vendor, clock=clock, chance=lambda: 0.5, state=MemoryState(clock))
    engine = assemble(subscriptions, Tenants((), Catalog()), Options(interval=1800.0), parts)
    clock.at(TURN + 7200, engine.stop)
    async with engine, engine.watch(output="usage.jsonl") as records:
        await records.write_to(_File(output))
    return vendor, begin


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, InProcess, float]:
    """Return the records of a watch over the turn of a month, the vendor, and when it began."""
    output = tmp_path_factory.mktemp("watched") / "usage.jsonl"
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        vendor, begin = runner.run(watch_over_the_turn(output, 40.0))
    assert vendor.verdict().ok
    return output, vendor, begin


def test_a_watched_month_closes_with_what_the_vendor_said_last(
    watched: tuple[Path, InProcess, float], tmp_path: Path
) -> None:
    usage, vendor, begin = watched
    prices, sheet = tmp_path / "prices.json", tmp_path / "r.csv"
    prices.write_bytes(orjson.dumps(PRICES))
    order = Order((str(usage),), str(tmp_path / "r.html"), 0, csv=str(sheet), prices=str(prices))
    report = make(order).report
    november: dict[tuple[str, str], int] = {}
    december: dict[tuple[str, str], int] = {}
    for key, at, items in ledger(vendor, begin):
        (november if at < TURN else december)[key] = items
    assert len(november) == len(december) == 6 * len(APIS)
    closed, open_lines = lines_of(report, "2026-11"), lines_of(report, "2026-12")
    assert {key: line.value for key, line in closed.items()} == november
    assert {key: line.value for key, line in open_lines.items()} == december
    states = {api: {line.state for (_, one), line in closed.items() if one == api} for api in APIS}
    assert states == {api: {State.LAST if api == "gamification" else State.CLOSING} for api in APIS}
    assert not any(statement.outages for statement in report.statements)
    check_amounts(report, sheet)


def test_the_days_of_the_sparkline_are_those_of_the_vendor(
    watched: tuple[Path, InProcess, float], tmp_path: Path
) -> None:
    usage, vendor, begin = watched
    report = make(Order((str(usage),), str(tmp_path / "r.html"), 0)).report
    days: dict[tuple[str, str], dict[int, int]] = {}
    for key, at, items in ledger(vendor, begin):
        if at < TURN:
            day = (datetime.fromtimestamp(at, UTC) - timedelta(hours=5)).day
            days.setdefault(key, {})[day] = items
    for key, line in lines_of(report, "2026-11").items():
        assert {day: value for day, value in enumerate(line.days, 1) if value is not None} == days[key]


def test_the_numbers_on_the_page_are_the_same(watched: tuple[Path, InProcess, float], tmp_path: Path) -> None:
    usage, _, _ = watched
    page = tmp_path / "r.html"
    tenant = "acme"
    report = make(Order((str(usage),), str(page), 0, tenant=tenant, months=("2026-11",))).report
    text = html.unescape(page.read_text())
    shown = re.findall(r'<td class="n value-cell"><span class="value">([0-9,]+)</span>', text)
    told: list[Any] = [line.value for statement in report.statements for line in statement.lines]
    assert sorted(int(one.replace(",", "")) for one in shown) == sorted(told)
    assert "globex" not in text
