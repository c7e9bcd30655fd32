"""Records as lines of bytes, which an output is written from.

The records are built as for those who read dictionaries. Two things are faster here:
moments are written by the serialiser, and what the rows of a call share is serialised once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson

from .fields import items_of
from .records import Times, WatchRecord, call_record, gap_record, row_record, rows_of
from .settlements import Gap, Item, Settlement

_WITH_MICROSECONDS: Final = len('"2026-11-21T21:43:47.120000Z"')
_TO_MILLISECONDS: Final = len('"2026-11-21T21:43:47.120')


def line(record: WatchRecord) -> bytes:
    """Write one record as a line."""
    return orjson.dumps(record, None, orjson.OPT_APPEND_NEWLINE)


def item_lines(run: str, item: Item) -> bytes:
    """Return the lines of an item: those of a settled call, or that of a gap."""
    return line(gap_record(run, item)) if isinstance(item, Gap) else call_lines(run, item)


def call_lines(run: str, settlement: Settlement) -> bytes:
    """Return the lines of a settled call: its rows, then its `call` record; none if parts replaced it."""
    if settlement.cut_id is not None:
        return b""
    rows, due = rows_of(settlement.outcome), settlement.due
    slot, at = settlement.call.slot, orjson.Fragment(_stamp(settlement.at))
    next_at = None if due is None else orjson.Fragment(_stamp(due))
    times = at, next_at, None if slot is None else slot.text
    commit = line(call_record(run, settlement, times))
    if len(rows) > 1:
        return b"".join((*_row_lines(run, settlement, times, rows), commit))
    return line(row_record(run, settlement, times, 1, rows[0])) + commit if rows else commit


def _row_lines(run: str, settlement: Settlement, times: Times, rows: list[Any]) -> list[bytes]:
    shared = orjson.dumps(row_record(run, settlement, times, 0, None))
    before, _, rest = shared.partition(b'"n":0')
    between = rest.removesuffix(b'"items":null,"row":null}')
    before, write, newline = before + b'"n":', orjson.dumps, orjson.OPT_APPEND_NEWLINE
    return [
        b"%b%d%b%b" % (before, n, between, write({"items": items_of(row), "row": row}, None, newline)[1:])
        for n, row in enumerate(rows, 1)
    ]


def _stamp(moment: datetime) -> bytes:
    """Write an aware moment as JSON: UTC, cut off (never rounded) to the millisecond."""
    text = orjson.dumps(moment if moment.tzinfo is UTC else moment.astimezone(UTC), None, orjson.OPT_UTC_Z)
    if len(text) == _WITH_MICROSECONDS:
        return text[:_TO_MILLISECONDS] + b'Z"'
    return text[:-2] + b'.000Z"'  # whole seconds are written without a fraction
