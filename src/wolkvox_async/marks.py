"""What is remembered of a call: a mark, from its settlement or from its `call` record.

Every `call` record is a commit mark. Read back from an output, it says the same as what
the state was told when the call settled, so that a program that was killed between the
two loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlencode

import orjson

from .fields import OutcomeName, outcome_name
from .model import Failed, Ok, Outcome, Params, Skipped, question
from .settlements import Gap, Item, Settlement
from .windows import Window

CUT: Final = "cut"
"""What became of a call that was replaced by its parts."""

DONE: Final = frozenset({"ok", "empty", CUT})  # what a run never repeats, and what arms the interval

MarkedOutcome: TypeAlias = OutcomeName | Literal["cut"]

_MONTH: Final = 6  # characters of a date that name its month
_TAIL: Final = 16  # characters of a call's id that tell it from the others of its run


@dataclass(slots=True)
class Mark:
    """A call that ended, or was replaced by its parts, `at` that time (Unix seconds, as all times here).

    `sent` is when its last request had left, at the latest; `due` is when it may be made again;
    `watched` says that it was made for a slot.
    """

    run: str
    call: str
    tenant: str
    operation: str
    server: str
    token: str
    question: str
    outcome: MarkedOutcome
    kind: str | None
    message: str | None
    rows: int
    attempts: int
    at: float
    sent: float
    due: float | None = None
    watched: bool = False

    @property
    def remembered(self) -> bool:
        """Whether its run remembers it, so as not to repeat it: a slot never comes again."""
        return self.outcome in DONE and not self.watched

    @property
    def done(self) -> bool:
        """Whether the vendor answered, be it with nothing."""
        return self.outcome in DONE


@dataclass(slots=True, unsafe_hash=True)
class SlotMark:
    """A slot that ended, due at Unix milliseconds.

    `month` (YYYYmm) where dates are asked for, else empty; behind it `?` and the parameters, if there are any.
    """

    tenant: str
    operation: str
    api: str
    month: str
    due: int
    closing: bool = False


def slot_mark(item: Item) -> SlotMark | None:
    """Return the mark of a slot that ended, be it with a call or a gap; None outside of watching."""
    if isinstance(item, Gap):
        whose = item.operation.tenant, item.operation.name, item.api
        return SlotMark(*whose, _month(item.window) + asked_beside(item.params), item.slot.due, item.slot.closing)
    call = item.call
    if call.slot is None:
        return None
    whose = call.operation.tenant, call.operation.name, call.api
    return SlotMark(*whose, _month(call.window) + asked_beside(call.params), call.slot.due, call.slot.closing)


def last_marks(items: Iterable[Item]) -> list[SlotMark]:
    """Return the marks of the last slots that ended, and of the last closing ones, of each subject."""
    return latest(mark for item in items if (mark := slot_mark(item)) is not None)


def latest(marks: Iterable[SlotMark]) -> list[SlotMark]:
    """Return of each subject the last mark, and the last one of a closing slot; its marks stand in their order."""
    return list({(m.tenant, m.operation, m.api, m.month, m.closing): m for m in marks}.values())


def _month(window: Window | None) -> str:
    return "" if window is None else window.date_ini[:_MONTH]


def asked_beside(params: Params) -> str:
    """Return what stands behind the month where what is watched has parameters."""
    return f"?{urlencode(params)}" if params else ""


def read_slot_mark(line: bytes) -> SlotMark | None:
    """Return the mark of the slot that a `call` or `gap` line ends; None for any other line."""
    try:
        record = orjson.loads(line)
        if record["type"] not in ("call", "gap") or record["slot"] is None:
            return None
        window, due = record.get("window"), round(datetime.fromisoformat(record["slot"]).timestamp() * 1000)
        month = "" if window is None else window["from"][:_MONTH]
        month += asked_beside(tuple((record.get("params") or {}).items()))
        return SlotMark(record["tenant"], record["operation"], record["api"], month, due, bool(record["closing"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def tail(call: str) -> str:
    """Return the part of a call's id that tells it from the others of its run."""
    return call[-_TAIL:]


def mark_of(run: str, settlement: Settlement) -> Mark:
    """Return the mark of a settled call."""
    call, outcome = settlement.call, settlement.outcome
    operation, at = call.operation, settlement.at.timestamp()
    sent = at - settlement.ago
    error = None
    if isinstance(outcome, Failed) or isinstance(outcome, Skipped):  # noqa: SIM101 - a union takes ten times as long
        error = outcome.error
    return Mark(
        run,
        settlement.cut_id or call.id,
        operation.tenant,
        operation.name,
        operation.server,
        operation.token.id,
        call.question,
        outcome_name(outcome) if settlement.cut_id is None else "cut",
        None if error is None else error.kind.value,
        None if error is None else error.message,
        len(outcome.rows) if isinstance(outcome, Ok) else 0,
        settlement.attempts,
        at,
        sent,
        sent + call.interval if error is None else _comes_due(outcome),
        call.slot is not None,
    )


def _comes_due(outcome: Outcome) -> float | None:
    due = outcome.due if isinstance(outcome, Skipped) else None
    return None if due is None else due.timestamp()


def read_mark(line: bytes) -> Mark | None:
    """Return the mark that a `call` line holds; None when it is no `call` record."""
    try:
        record = orjson.loads(line)
        return _of_record(record) if record["type"] == "call" else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _of_record(record: Mapping[str, Any]) -> Mark:
    error = record["error"] or {}
    at = datetime.fromisoformat(record["at"]).timestamp()
    return Mark(
        run=record["run"],
        call=record["call"],
        tenant=record["tenant"],
        operation=record["operation"],
        server=record["server"],
        token=record["token"],
        question=question(record["api"], _asked(record)),
        outcome=record["outcome"],
        kind=error.get("kind"),
        message=error.get("message"),
        rows=record["rows"],
        attempts=record["attempts"],
        at=at,
        sent=at,  # the record does not say when the request left: not later than its answer
        due=None if record["next_at"] is None else datetime.fromisoformat(record["next_at"]).timestamp(),
        watched=record.get("slot") is not None,
    )


def _asked(record: Mapping[str, Any]) -> Params:
    params: Params = tuple((record["params"] or {}).items())
    window = record["window"]
    return params if window is None else (*params, ("date_ini", window["from"]), ("date_end", window["to"]))
