"""What a line looks like: schema 1.

A call's last record is its `call` record, the commit mark; its rows stand together
before it. Here they are dictionaries; `lines` has the same as bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, NotRequired, TypeAlias, TypedDict, assert_never

from .envelopes import Code
from .model import Call, CallError, Empty, Failed, GapReason, Ok, Operation, Outcome, Params, Skipped, Slot
from .windows import Window

SCHEMA: Final = 1

_PLAIN_DIGITS: Final = 15
_PLAIN_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]+)?")

OutcomeName: TypeAlias = Literal["ok", "empty", "failed", "skipped"]
_NAMES: Final[Mapping[type[Outcome], OutcomeName]] = MappingProxyType(
    {Ok: "ok", Empty: "empty", Failed: "failed", Skipped: "skipped"}
)
RunEvent: TypeAlias = Literal["started", "resumed", "stopped", "finished"]


# `from` is a keyword, hence the functional form.
WindowField = TypedDict("WindowField", {"from": str, "to": str})


class ErrorField(TypedDict):
    """Why a call failed or was skipped."""

    kind: str
    message: str
    retryable: bool


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


@dataclass(slots=True)
class Settlement:
    """How a call ended: `at` (UTC) the answer was complete, `seconds` the last attempt took.

    `asked` seconds before `at` the request had left, where that is known. A call that was
    replaced by its parts has no records; that it was is remembered under `cut_id`.
    """

    call: Call
    outcome: Outcome
    attempts: int
    at: datetime
    seconds: float
    asked: float | None = None
    cut_id: str | None = None

    @property
    def ago(self) -> float:
        """How many seconds before `at` the moment was from which the interval counts."""
        return self.seconds if self.asked is None else self.asked

    @property
    def due(self) -> datetime | None:
        """The moment (UTC) from which the call may be made again, where it was made or came too early."""
        outcome = self.outcome
        if isinstance(outcome, Skipped):
            return outcome.due
        if isinstance(outcome, Failed):
            return None
        return self.at + timedelta(0, self.call.interval - self.ago)


@dataclass(frozen=True, slots=True)
class Gap:
    """A slot in which nothing was captured; `window` and `params` are what would have been asked for."""

    operation: Operation
    api: str
    slot: Slot
    reason: GapReason
    window: Window | None = None
    params: Params = ()


Item: TypeAlias = Settlement | Gap
"""What a reader gets: how a call ended or, while watching, that there was none."""


@dataclass(slots=True)
class Counters:
    """What a run has come to so far; `not_due` of the skipped come due until `due` (UTC).

    `gaps` are counted while watching: slots in which nothing was captured.
    """

    ok: int = 0
    empty: int = 0
    failed: int = 0
    skipped: int = 0
    held: int = 0
    rows: int = 0
    attempts: int = 0
    not_due: int = 0
    due: datetime | None = None
    gaps: int = 0

    def count(self, settlement: Settlement) -> None:
        """Add one settled call."""
        self.attempts += settlement.attempts
        if settlement.cut_id is not None:
            return
        match settlement.outcome:
            case Ok(rows=rows):
                self.ok += 1
                self.rows += len(rows)
            case Empty():
                self.empty += 1
            case Failed():
                self.failed += 1
            case Skipped(error=error, due=due):
                self.skipped += 1
                if error.kind != "not_due":
                    self.held += 1
                else:
                    self.not_due += 1
                    self.due = max(filter(None, (self.due, due)), default=None)
            case _ as never:
                assert_never(never)


def timestamp(moment: datetime) -> str:
    """Write an aware moment as records do: UTC, cut off (never rounded) to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def items_of(row: Any) -> int | float | None:
    """Lift `items` out of a row: a JSON number, text that is plainly one, else None."""
    value = row.get("items") if type(row) is dict else None
    if type(value) is str:
        if len(value) <= _PLAIN_DIGITS and value.isdigit() and value.isascii():
            return int(value)
        if not _PLAIN_NUMBER.fullmatch(value):
            return None
        return float(value) if "." in value else int(value)
    return value if type(value) in (int, float) else None


def outcome_name(outcome: Outcome) -> OutcomeName:
    """Return the outcome as records write it."""
    return _NAMES[type(outcome)]


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
    at, next_at = timestamp(settlement.at), None if due is None else timestamp(due)
    times = Times(at, next_at, None if slot is None else slot.text)
    for n, row in enumerate(rows_of(settlement.outcome), 1):
        yield row_record(run, settlement, times, n, row)
    yield call_record(run, settlement, times)


def rows_of(outcome: Outcome) -> list[Any]:
    """Return the rows that an outcome brought."""
    return outcome.rows if isinstance(outcome, Ok) else []


class Times(NamedTuple):
    """The moments of a call as its records are to have them."""

    at: Any
    next_at: Any
    slot: Any


def row_record(run: str, settlement: Settlement, times: Times, n: int, row: Any) -> RowRecord:
    """Build the record of the n-th row."""
    call = settlement.call
    return {
        "type": "row",
        "run": run,
        "call": call.id,
        "n": n,
        "tenant": call.operation.tenant,
        "operation": call.operation.name,
        "server": call.operation.server,
        "api": call.api,
        "slot": times.slot,
        "at": times.at,
        "items": items_of(row),
        "row": row,
    }


def call_record(run: str, settlement: Settlement, times: Times) -> CallRecord:
    """Build the commit mark."""
    call, outcome = settlement.call, settlement.outcome
    operation, window = call.operation, call.window
    rows, error, status, code, msg = 0, None, None, None, None
    if isinstance(outcome, Ok):
        rows, status, code, msg = len(outcome.rows), outcome.status, outcome.code, outcome.msg
    elif isinstance(outcome, Skipped):
        error = _error_field(outcome.error)
    else:
        status, code, msg = outcome.status, outcome.code, outcome.msg
        error = _error_field(outcome.error) if isinstance(outcome, Failed) else None
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
        "slot": times.slot,
        "closing": call.is_closing,
        "outcome": _NAMES[type(outcome)],
        "rows": rows,
        "attempts": settlement.attempts,
        "at": times.at,
        "seconds": round(settlement.seconds, 3),
        "status": status,
        "code": code,
        "msg": msg,
        "error": error,
        "next_at": times.next_at,
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


def window_field(window: Window) -> WindowField:
    """Write a window as records do."""
    return {"from": window.date_ini, "to": window.date_end}


def _error_field(error: CallError) -> ErrorField:
    return {"kind": error.kind.value, "message": error.message, "retryable": error.retryable}
