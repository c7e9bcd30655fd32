"""The recipes of docs/warehouse.md where the records are not as the page's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow  # type: ignore[import-untyped,unused-ignore]
import pytest

from benchmarks.virtual_month import DAY
from benchmarks.warehouse import books, loaded, write_month

from .blocks import ROOT, blocks_of
from .worlds import bill, usage

Ask = Callable[[str], list[tuple[Any, ...]]]


def recipe(begins: str) -> str:
    (found,) = [one.text for one in blocks_of(ROOT / "docs" / "warehouse.md") if one.text.startswith(begins)]
    return found


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Ask a database, in the folder of the records."""
    monkeypatch.chdir(tmp_path)
    database = duckdb.connect()
    return lambda query: database.execute(query).fetchall()


def row(call: str, at: str, items: int, n: int = 1) -> dict[str, Any]:
    whose = {"tenant": "acme", "operation": "bogota", "server": "0010", "api": "interactions", "slot": None}
    return {"type": "row", "run": "R", "call": call, "n": n, **whose, "at": at, "items": items, "row": {}}


def call(name: str, at: str, outcome: str, rows: int, **fields: Any) -> dict[str, Any]:
    end = {"closing": False, "outcome": outcome, "rows": rows, "error": {"kind": "timeout"} if not rows else None}
    return {**row(name, at, 0), "type": "call", **end, **fields}


def write(folder: Path, *records: dict[str, Any]) -> None:
    with pyarrow.output_stream(folder / "usage-2026-11-21.jsonl.zst") as file:
        file.write(b"".join(orjson.dumps(one) + b"\n" for one in records))


def test_the_last_call_record_of_a_call_counts_and_rows_only_with_theirs(tmp_path: Path, ask: Ask) -> None:
    early, late = "2026-11-21T10:00:00.000Z", "2026-11-21T11:00:00.000Z"
    failed_first = [call("A", early, "failed", 0), row("A", late, 1), call("A", late, "ok", 1)]
    told_twice = 2 * [row("B", early, 2), row("B", early, 3, n=2), call("B", early, "ok", 2)]
    asked_twice = [row("C", early, 4), call("C", early, "ok", 1), row("C", late, 5), call("C", late, "ok", 1)]
    torn = [row("D", late, 6)]
    write(tmp_path, *failed_first, *told_twice, *asked_twice, *torn)
    ask(recipe("create or replace view lines"))
    assert ask("select call, n, items from readings order by all") == [
        ("A", 1, 1),
        ("B", 1, 2),
        ("B", 2, 3),
        ("C", 1, 5),
    ]
    assert ask("select call, outcome from calls order by all") == [("A", "ok"), ("B", "ok"), ("C", "ok")]


def test_what_is_missing_of_one_campaign_is_not_hidden_by_another(tmp_path: Path, ask: Ask) -> None:
    at = "2026-11-21T10:00:00.000Z"
    one, other = {"params": {"campaign_id": "1"}}, {"params": {"campaign_id": "2"}}
    gap = {**row("", at, 0), "type": "gap", "slot": at, "reason": "server_down", "closing": False}
    write(
        tmp_path,
        *[row("A", at, 1), call("A", at, "ok", 1, slot=at, **one), {**gap, **other}, {**gap, **one}],
        *[row("B", at, 1), call("B", at, "ok", 1, slot=at, api="chats"), {**gap, "api": "chats"}],
        *[row("C", at, 1), call("C", at, "ok", 1, truncated=True)],
        *[call(kind, at, "skipped", 0, error={"kind": kind}) for kind in ("quota", "not_due")],
    )
    ask(recipe("create or replace view lines"))
    missing = ask(recipe("select tenant, operation, api, reason, count(*) as slots"))
    assert sorted(reason for _, _, _, reason, *_ in missing) == ["quota", "server_down", "truncated"]
    assert {slots for *_, slots, _, _, _ in missing} == {1}


def test_a_window_that_was_asked_for_again_counts_once_and_is_of_its_own_month(tmp_path: Path, ask: Ask) -> None:
    early, late = "2026-11-21T10:00:00.000Z", "2026-11-21T11:00:00.000Z"
    window = {"window": {"from": "20261001000000", "to": "20261031235959"}}
    asked = [("A", early, window, "1"), ("B", late, window, "1"), ("C", early, window, "2"), ("D", late, {}, "1")]
    lines: list[dict[str, Any]] = []
    for name, at, dated, campaign in asked:
        lines += row(name, at, 1), call(name, at, "ok", 1, params={"campaign_id": campaign}, **dated)
    write(tmp_path, *lines)
    ask(recipe("create or replace view lines"))
    ask(recipe("create or replace view bill"))
    ask(recipe("create or replace view reports"))
    assert ask("select call, month from reports order by call") == [("B", "2026-10"), ("C", "2026-10")]
    bills = ask("select month, params ->> 'campaign_id', items from bill order by all")
    assert bills == [("2026-10", "1", 1), ("2026-10", "2", 1), ("2026-11", "1", 1)]


def test_a_decimal_that_comes_late_is_not_rounded(tmp_path: Path, ask: Ask) -> None:
    at = "2026-11-21T10:00:00.000Z"
    write(tmp_path, *[row("A", at, 1)] * 21_000, {**row("B", at, 0), "items": 99.5})
    assert ask("select max(items) from 'usage-*.jsonl.zst'") == [(100,)]  # why the recipe is not that
    ((_, _, _, _, items),) = ask(recipe("select tenant, operation, api, count(*) as readings"))
    assert items == 99.5


def test_a_file_that_was_cut_off_is_read_without_an_error_and_known_by_its_manifest(tmp_path: Path, ask: Ask) -> None:
    write_month(usage(before=DAY / 2, after=DAY / 8), tmp_path)
    file = tmp_path / "usage-2026-12-01.jsonl.zst"
    file.write_bytes(file.read_bytes()[:-200])
    assert ask("select count(*) > 0 from read_json('usage-*.jsonl.zst', union_by_name = true)") == [(True,)]
    assert ask(recipe("select m.file, coalesce(sha256")) == [
        ("usage-2026-12-01.jsonl.zst", False),
        *[(path.name, True) for path in sorted(tmp_path.glob("*.zst")) if path != file],
    ]


@pytest.mark.parametrize("only_changes", [False, True])
def test_the_bill_is_the_last_reading_whether_it_has_rows_or_not(only_changes: bool, tmp_path: Path, ask: Ask) -> None:
    verdict, vendor = write_month(usage(before=DAY / 2, after=DAY / 8, only_changes=only_changes), tmp_path)
    ask(recipe("create or replace view lines"))
    ask(recipe("create or replace view bill"))
    found = ask("select month, tenant, operation, api, items from bill")
    due = bill(tmp_path)
    assert {tuple(key): items for *key, items in found} == due
    assert {month for month, *_ in due} == {"2026-11", "2026-12"}
    assert len(found) == len(due) == 12
    assert verdict.ok
    with duckdb.connect() as connection:
        connection.execute("create table lines as from read_json('usage-*.jsonl.zst', union_by_name = true)")
        sent = {key: counted for key, counted in books(vendor).items() if counted[0]}
        assert (loaded(connection) == sent) is not only_changes
