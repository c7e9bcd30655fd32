"""What the calls of a frame come to. Pure.

Marks say it of calls that were made. Of skipped ones nobody keeps marks, as there may be
very many; they are counted from their lines, which are read for that only where there are any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import orjson

from wolkvox_async.counters import Counters
from wolkvox_async.marks import CUT, Mark, tail

Counts: TypeAlias = list[Any]
"""The fields of `Counters` in their order; `due` in Unix seconds."""

_CALL = b'{"type":"call",'
_SKIPPED = b'"outcome":"skipped"'


def count(marks: Sequence[Mark], lines: bytes) -> tuple[Counts, str]:
    """Return what `lines` come to, whose made calls have `marks`, and the tails of the calls skipped in them."""
    counters, tails = Counters(), ""
    for mark in marks:
        _count_made(counters, mark)
    written = sum(mark.outcome != CUT for mark in marks)
    if lines.startswith(_CALL) + lines.count(b"\n" + _CALL) > written:
        tails = "".join(_count_skipped(counters, record) for record in _skipped(lines))
    due = None if counters.due is None else counters.due.timestamp()
    return [
        counters.ok,
        counters.empty,
        counters.failed,
        counters.skipped,
        counters.held,
        counters.rows,
        counters.attempts,
        counters.not_due,
        due,
    ], tails


def add(counters: Counters, counts: Counts) -> None:
    """Add what `count` returned."""
    ok, empty, failed, skipped, held, rows, attempts, not_due, due = counts
    counters.ok += ok
    counters.empty += empty
    counters.failed += failed
    counters.skipped += skipped
    counters.held += held
    counters.rows += rows
    counters.attempts += attempts
    counters.not_due += not_due
    if due is not None:
        moment = datetime.fromtimestamp(due, UTC)
        counters.due = moment if counters.due is None else max(counters.due, moment)


def _count_made(counters: Counters, mark: Mark) -> None:
    counters.attempts += mark.attempts
    if mark.outcome == "ok":
        counters.ok += 1
        counters.rows += mark.rows
    elif mark.outcome == "empty":
        counters.empty += 1
    elif mark.outcome != CUT:
        counters.failed += 1


def _skipped(lines: bytes) -> Iterator[dict[str, Any]]:
    found: Iterable[bytes] = (line for line in lines.splitlines() if line.startswith(_CALL) and _SKIPPED in line)
    for line in found:
        record = orjson.loads(line)
        if record["outcome"] == "skipped":
            yield record


def _count_skipped(counters: Counters, record: dict[str, Any]) -> str:
    counters.skipped += 1
    counters.attempts += record["attempts"]
    if record["error"]["kind"] != "not_due":
        counters.held += 1
    else:
        counters.not_due += 1
        if record["next_at"] is not None:
            due = datetime.fromisoformat(record["next_at"])
            counters.due = due if counters.due is None else max(counters.due, due)
    return tail(record["call"])
