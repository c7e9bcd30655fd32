"""What a line looks like: schema 1.

A call's last record is its `call` record, the commit mark; its rows stand together
before it. Here they are dictionaries; `lines` has the same as bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal, NotRequired, TypeAlias, TypedDict

from .counters import Counters
from .envelopes import Code
from .fields import (
    OUTCOME_NAMES,
    ErrorField,
    OutcomeName,
    WindowField,
    error_field,
    items_of,
    timestamp,
    window_field,
)
from .model import Failed, Ok, Outcome, Skipped
from .settlements import Gap, Item, Settlement

SCHEMA: Final = 1

RunEvent: TypeAlias = Literal["started", "resumed", "stopped", "finished"]


class RunRecord(TypedDict):
    """A run began or ended; the counters cover the whole run."""

    type: Literal["run"]
    schema: int
    run: str
    event: RunEvent
    at: str
    version: NotRequired[str]
    calls: NotRequired[int]
    ok: NotRequired[int]
    empty: NotRequired[int]
    failed: NotRequired[int]
    skipped: NotRequired[int]
    rows: NotRequired[int]
    attempts: NotRequired[int]
    seconds: NotRequired[float]
    gaps: NotRequired[int]


class RowRecord(TypedDict):
    """One row of an answer; `row` is the vendor's, as sent."""

    type: Literal["row"]
    run: str
    call: str
    n: int
    tenant: str
    operation: str
    server: str
    api: str
    slot: str | None
    at: str
    items: int | float | None
    row: Any


class CallRecord(TypedDict):
    """The commit mark of a call.

    `truncated` stands where the answer was as large as answers get, and could not be asked
    for in parts; `part_of` where the window is a part of a planned call's, whose id it is.
    """

    type: Literal["call"]
    run: str
    call: str
    tenant: str
    operation: str
    server: str
    token: str
    api: str
    window: WindowField | None
    params: dict[str, str] | None
    slot: str | None
    closing: bool
    outcome: OutcomeName
    rows: int
    attempts: int
    at: str
    seconds: float
    status: int | None
    code: Code
    msg: Any
    error: ErrorField | None
    next_at: str | None
    truncated: NotRequired[bool]
    part_of: NotRequired[str]


class GapRecord(TypedDict):
    """A slot in which nothing was captured; `window` and `params` only where they are asked for."""

    type: Literal["gap"]
    run: str
    tenant: str
    operation: str
    server: str
    api: str
    slot: str
    reason: str
    closing: bool
    window: NotRequired[WindowField]
    params: NotRequired[dict[str, str]]


Record: TypeAlias = RunRecord | RowRecord | CallRecord
"""What a pass gives: a dictionary, told apart by its `type`."""

WatchRecord: TypeAlias = Record | GapRecord
"""What a watch gives: a dictionary, told apart by its `type`."""


def run_started(run: str, at: datetime, *, version: str, calls: int, resumed: bool = False) -> RunRecord:
    """Build the record that opens a run, or takes it up again."""
    return {
        "type": "run",
        "schema": SCHEMA,
        "run": run,
        "event": "resumed" if resumed else "started",
        "at": timestamp(at),
        "version": version,
        "calls": calls,
    }


def run_ended(
    run: str, at: datetime, event: Literal["stopped", "finished"], counters: Counters, seconds: float
) -> RunRecord:
    """Build the record that closes a run; gaps are told of where there were any."""
    record: RunRecord = {
        "type": "run",
        "schema": SCHEMA,
        "run": run,
        "event": event,
        "at": timestamp(at),
        "ok": counters.ok,
        "empty": counters.empty,
        "failed": counters.failed,
        "skipped": counters.skipped,
        "rows": counters.rows,
        "attempts": counters.attempts,
        "seconds": round(seconds, 3),
    }
    if counters.gaps:
        record["gaps"] = counters.gaps
    return record


def item_records(run: str, item: Item) -> Iterator[RowRecord | CallRecord | GapRecord]:
    """Yield the records of an item; the last one is what says that it is over."""
    if isinstance(item, Gap):
        yield gap_record(run, item)
    else:
        yield from call_records(run, item)


def call_records(run: str, settlement: Settlement) -> Iterator[RowRecord | CallRecord]:
    """Yield a settled call's rows, then its `call` record; nothing for one that was replaced by its parts."""
    if settlement.cut_id is not None:
        return
    slot, due = settlement.call.slot, settlement.due
    next_at = None if due is None else timestamp(due)
    times = timestamp(settlement.at), next_at, None if slot is None else slot.text
    for n, row in enumerate(rows_of(settlement.outcome), 1):
        yield row_record(run, settlement, times, n, row)
    yield call_record(run, settlement, times)


def rows_of(outcome: Outcome) -> list[Any]:
    """Return the rows that an outcome brought."""
    return outcome.rows if isinstance(outcome, Ok) else []


Times: TypeAlias = tuple[Any, Any, str | None]
"""`at`, `next_at` and `slot` of a call, as its records are to have them."""


def row_record(run: str, settlement: Settlement, times: Times, n: int, row: Any) -> RowRecord:
    """Build the record of the n-th row."""
    call = settlement.call
    at, _, slot = times
    return {
        "type": "row",
        "run": run,
        "call": call.id,
        "n": n,
        "tenant": call.operation.tenant,
        "operation": call.operation.name,
        "server": call.operation.server,
        "api": call.api,
        "slot": slot,
        "at": at,
        "items": items_of(row),
        "row": row,
    }


def call_record(run: str, settlement: Settlement, times: Times) -> CallRecord:
    """Build the commit mark."""
    call, outcome = settlement.call, settlement.outcome
    operation, window = call.operation, call.window
    at, next_at, slot = times
    rows, error, status, code, msg = 0, None, None, None, None
    if isinstance(outcome, Ok):
        rows, status, code, msg = len(outcome.rows), outcome.status, outcome.code, outcome.msg
    elif isinstance(outcome, Skipped):
        error = error_field(outcome.error)
    else:
        status, code, msg = outcome.status, outcome.code, outcome.msg
        error = error_field(outcome.error) if isinstance(outcome, Failed) else None
    record: CallRecord = {
        "type": "call",
        "run": run,
        "call": call.id,
        "tenant": operation.tenant,
        "operation": operation.name,
        "server": operation.server,
        "token": operation.token.id,
        "api": call.api,
        "window": None if window is None else window_field(window),
        "params": dict(call.params) or None,
        "slot": slot,
        "closing": call.is_closing,
        "outcome": OUTCOME_NAMES[type(outcome)],
        "rows": rows,
        "attempts": settlement.attempts,
        "at": at,
        "seconds": round(settlement.seconds, 3),
        "status": status,
        "code": code,
        "msg": msg,
        "error": error,
        "next_at": next_at,
    }
    if call.reach is not None and call.reach.part_of is not None:
        record["part_of"] = call.reach.part_of
    if rows >= call.most_rows:
        record["truncated"] = True
    return record


def gap_record(run: str, gap: Gap) -> GapRecord:
    """Build the record of a slot in which nothing was captured."""
    operation = gap.operation
    record: GapRecord = {
        "type": "gap",
        "run": run,
        "tenant": operation.tenant,
        "operation": operation.name,
        "server": operation.server,
        "api": gap.api,
        "slot": gap.slot.text,
        "reason": gap.reason.value,
        "closing": gap.slot.closing,
    }
    if gap.window is not None:
        record["window"] = window_field(gap.window)
    if gap.params:
        record["params"] = dict(gap.params)
    return record
