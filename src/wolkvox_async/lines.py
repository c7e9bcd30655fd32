"""Records as lines of bytes, which an output is written from.

What all records of a call share is serialised once and the rest is put behind it, because
a dictionary for each row costs several times as much. That both ways give the same record
is for the tests to see.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from .model import Call, CallError, Failed, Skipped
from .records import Record, Settlement, items_of, outcome_name, rows_of

_json: Final = orjson.dumps

_WITH_MICROSECONDS: Final = len('"2026-11-21T21:43:47.120000Z"')
_TO_MILLISECONDS: Final = len('"2026-11-21T21:43:47.120')


def line(record: Record) -> bytes:
    """Write one record as a line."""
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def call_lines(run: str, settlement: Settlement) -> bytes:
    """Return the lines of a settled call: its rows, then its `call` record."""
    call, rows = settlement.call, rows_of(settlement.outcome)
    shared = _shared(run, call, stamp(settlement.at))
    if not rows:
        return _call_line(settlement, shared, 0)
    start = b'{"type":"row",%b"n":' % shared.ids
    middle = b',%b"api":%b,"slot":null,"at":%b,"items":' % (shared.operation, shared.api, shared.at)
    parts = [
        b'%b%d%b%b,"row":%b}\n' % (start, n, middle, _json(items_of(row)), _json(row)) for n, row in enumerate(rows, 1)
    ]
    parts.append(_call_line(settlement, shared, len(rows)))
    return b"".join(parts)


def stamp(moment: datetime) -> bytes:
    """Write an aware moment as JSON: UTC, cut off (never rounded) to the millisecond."""
    text = _json(moment if moment.tzinfo is UTC else moment.astimezone(UTC), option=orjson.OPT_UTC_Z)
    if len(text) == _WITH_MICROSECONDS:
        return text[:_TO_MILLISECONDS] + b'Z"'
    return text[:-2] + b'.000Z"'  # whole seconds are written without a fraction


@dataclass(slots=True)
class _Shared:
    """What the records of a call have in common, as parts of lines."""

    ids: bytes
    operation: bytes
    api: bytes
    at: bytes


def _shared(run: str, call: Call, at: bytes) -> _Shared:
    operation = call.operation
    return _Shared(
        b'"run":%b,"call":%b,' % (_json(run), _json(call.id)),
        b'"tenant":%b,"operation":%b,"server":%b,'
        % (_json(operation.tenant), _json(operation.name), _json(operation.server)),
        _json(call.api),
        at,
    )


def _call_line(settlement: Settlement, shared: _Shared, rows: int) -> bytes:
    call, outcome = settlement.call, settlement.outcome
    window = call.window
    if isinstance(outcome, Skipped):
        status = code = msg = None
    else:
        status, code, msg = outcome.status, outcome.code, outcome.msg
    due = settlement.due
    return (
        b'{"type":"call",%b%b"token":"%b","api":%b,"window":%b,"params":%b,"slot":null,"closing":false,'
        b'"outcome":"%b","rows":%d,"attempts":%d,"at":%b,"seconds":%b,'
        b'"status":%b,"code":%b,"msg":%b,"error":%b,"next_at":%b}\n'
    ) % (
        shared.ids,
        shared.operation,
        call.operation.token.id.encode("ascii"),
        shared.api,
        b"null" if window is None else _json({"from": window.date_ini, "to": window.date_end}),
        _json(dict(call.params)) if call.params else b"null",
        outcome_name(outcome).encode("ascii"),
        rows,
        settlement.attempts,
        shared.at,
        _json(round(settlement.seconds, 3)),
        _json(status),
        _json(code),
        _json(msg),
        _error(outcome.error) if isinstance(outcome, Failed | Skipped) else b"null",
        b"null" if due is None else stamp(due),
    )


def _error(error: CallError) -> bytes:
    return _json({"kind": error.kind.value, "message": error.message, "retryable": error.retryable})
