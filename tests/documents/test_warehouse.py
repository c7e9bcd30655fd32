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


def call(name: str, at: str, outcome: str, rows: int) -> dict[str, Any]:
    end = {"closing": False, "outcome": outcome, "rows": rows, "error": {"kind": "timeout"} if not rows else None}
    return {**row(name, at, 0), "type": "call", **end}


def test_the_last_call_record_of_a_call_counts_and_rows_only_with_theirs(tmp_path: Path, ask: Ask) -> None:
    early, late = "2026-11-21T10:00:00.000Z", "2026-11-21T11:00:00.000Z"
    failed_first = [call("A", early, "failed", 0), row("A", late, 1), call("A", late, "ok", 1)]
    told_twice = 2 * [row("B", early, 2), row("B", early, 3, n=2), call("B", early, "ok", 2)]
    asked_twice = [row("C", early, 4), call("C", early, "ok", 1), row("C", late, 5), call("C", late, "ok", 1)]
    torn = [row("D", late, 6)]
    lines = b"".join(orjson.dumps(one) + b"\n" for one in (*failed_first, *told_twice, *asked_twice, *torn))
    with pyarrow.output_stream(tmp_path / "usage-2026-11-21.jsonl.zst") as file:
        file.write(lines)
    ask(recipe("create or replace view lines"))
    assert ask("select call, n, items from readings order by all") == [
        ("A", 1, 1),
        ("B", 1, 2),
        ("B", 2, 3),
        ("C", 1, 5),
    ]
    assert ask("select call, outcome from calls order by all") == [("A", "ok"), ("B", "ok"), ("C", "ok")]


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
