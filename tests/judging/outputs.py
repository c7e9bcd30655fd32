"""Outputs as the judge reads them: lines, and what is wrong with them as lines. Pure but for `read_output`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

from .rules import Violation

Record: TypeAlias = dict[str, Any]
Question: TypeAlias = tuple[str, str, str]  # token id, endpoint, query beside it

_TYPES: Final = frozenset({"run", "row", "call", "gap"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `record` is None when it is no record, `number` counts from 1."""

    number: int
    record: Record | None


@dataclass(frozen=True, slots=True)
class Output:
    """What stands in one output."""

    name: str
    lines: tuple[Line, ...]

    def records(self, *types: str) -> Iterator[Record]:
        """Yield the records of those types, in order."""
        return (line.record for line in self.lines if line.record is not None and line.record["type"] in types)


def read_output(path: Path) -> Output:
    """Read the file; one that is not there is empty."""
    return parse(path.name, path.read_bytes() if path.exists() else b"")


def parse(name: str, data: bytes) -> Output:
    """Take an output's bytes apart; what stands behind the last line end is no record, whatever it says."""
    *whole, rest = data.split(b"\n")
    lines = [Line(number, _record(line)) for number, line in enumerate(whole, 1)]
    if rest:
        lines.append(Line(len(lines) + 1, None))
    return Output(name, tuple(lines))


def _record(line: bytes) -> Record | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("type") in _TYPES else None


def question(record: Record) -> Question:
    """Return what a `call` record says was asked."""
    window, params = record["window"] or {}, record["params"] or {}
    asked = {**params}
    if window:
        asked |= {"date_ini": window["from"], "date_end": window["to"]}
    return record["token"], record["api"].rpartition("/")[2], urlencode(sorted(asked.items()))


def torn_lines(output: Output) -> Iterator[Violation]:
    """A line is no whole record."""
    for line in output.lines:
        if line.record is None:
            yield Violation("torn line", output.name, f"line {line.number} is no record")


def uncommitted_rows(output: Output) -> Iterator[Violation]:
    """Rows do not stand together, counted from 1, before the `call` record that commits them."""
    rows: list[Record] = []
    for record in output.records(*_TYPES):
        if record["type"] == "row" and _continues(rows, record):
            rows.append(record)
            continue
        if not _commits(rows, record):
            yield Violation("uncommitted rows", output.name, _describe(rows, record))
        rows = [record] if record["type"] == "row" else []
    if rows:
        yield Violation("uncommitted rows", output.name, _describe(rows, None))


def _continues(rows: Sequence[Record], row: Record) -> bool:
    if not rows:
        return bool(row["n"] == 1)
    return (row["run"], row["call"], row["n"]) == (rows[-1]["run"], rows[-1]["call"], rows[-1]["n"] + 1)


def _commits(rows: Sequence[Record], mark: Record) -> bool:
    if mark["type"] != "call":
        return mark["type"] != "row" and not rows
    return len(rows) == mark["rows"] and all(_key(row) == _key(mark) for row in rows)


def _key(record: Record) -> tuple[Any, ...]:
    return tuple(record[name] for name in ("run", "call", "tenant", "operation", "server", "api"))


def _describe(rows: Sequence[Record], mark: Record | None) -> str:
    before = f"{len(rows)} rows of call {rows[-1]['call']}" if rows else "no rows"
    if mark is None:
        return f"{before}, then the end"
    what = f"{mark['type']} {mark.get('call', mark['run'])}"
    return f"{before}, then {what}" + (f" that says {mark['rows']}" if mark["type"] == "call" else "")


def committed(output: Output) -> Iterator[tuple[Record, list[Record]]]:
    """Yield each `call` record with the rows that stand right before it."""
    rows: list[Record] = []
    for line in output.lines:
        record = line.record
        if record is None or record["type"] in ("run", "gap"):
            rows = []
        elif record["type"] == "row":
            rows.append(record)
        else:
            yield record, rows
            rows = []


def miscounted(output: Output) -> Iterator[Violation]:
    """The record that closes a run says other numbers than the last record of each of its calls."""
    last: dict[tuple[str, str], Record] = {}
    for record in output.records("run", "call"):
        if record["type"] == "call":
            last[record["run"], record["call"]] = record
        elif record["event"] in ("finished", "stopped"):
            calls = [call for (run, _), call in last.items() if run == record["run"]]
            for name in ("ok", "empty", "failed", "skipped"):
                found = sum(call["outcome"] == name for call in calls)
                if record[name] != found:
                    text = f"{record['event']} says {record[name]} {name}, its calls {found}"
                    yield Violation("miscounted", f"run {record['run']}", text)
            if record["rows"] != sum(call["rows"] for call in calls):
                yield Violation("miscounted", f"run {record['run']}", f"{record['event']} says {record['rows']} rows")
