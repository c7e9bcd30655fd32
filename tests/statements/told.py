"""Records to try things with: what a test does not name is as usual."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from wolkvox_async.statements import Books, Calendar, Line, Report, Statement, Tariff, draw_up
from wolkvox_async.windows import timezone

ZONE = timezone("America/Bogota")
CALENDAR = Calendar(ZONE)
NOW = CALENDAR.moment("2027-01-10T12:00:00.000Z").at


def answer(at: str, *items: Any, **more: Any) -> list[dict[str, Any]]:
    """Return the rows of a call and its record; `at` is `2026-11-30 23:58` in Bogota."""
    call = told(at, **more)
    rows = [
        {
            "type": "row",
            **{name: call[name] for name in ("run", "call", "tenant", "operation", "server", "api", "slot", "at")},
            "n": n,
            "items": item if not isinstance(item, dict) else item.get("number"),
            "row": item["row"]
            if isinstance(item, dict)
            else {"operation": "X", "description": "D", "items": str(item)},
        }
        for n, item in enumerate(items, 1)
    ]
    call.setdefault("rows", len(rows))
    return [*rows, call]


def told(at: str, **more: Any) -> dict[str, Any]:
    """Return a `call` record."""
    stamp = utc(at)
    return {
        "type": "call",
        "run": "R",
        "call": f"C{at}",
        "tenant": "acme",
        "operation": "bogota",
        "server": "0010",
        "token": "tk_000000000000",
        "api": "interactions",
        "window": None,
        "params": None,
        "slot": None,
        "closing": False,
        "outcome": "ok",
        "at": stamp,
        "seconds": 0.2,
        "error": None,
        **more,
    }


def failed(at: str, kind: str = "server_error", **more: Any) -> dict[str, Any]:
    """Return the record of a call that brought nothing."""
    error = {"kind": kind, "message": "m", "retryable": True}
    return told(at, **{"outcome": "failed", "rows": 0, "error": error, **more})


def gap(at: str, reason: str = "down", **more: Any) -> dict[str, Any]:
    """Return a `gap` record."""
    call = told(at)
    names = ("run", "tenant", "operation", "server", "api")
    return {"type": "gap", **{n: call[n] for n in names}, "slot": utc(at), "reason": reason, "closing": False, **more}


def run(event: str, at: str = "2026-11-01 00:00", **more: Any) -> dict[str, Any]:
    """Return a `run` record."""
    return {"type": "run", "schema": 1, "run": "R", "event": event, "at": utc(at), **more}


def item(label: str, number: Any, operation: str = "X") -> dict[str, Any]:
    """Return a row of its own name; its `items` are those that a record would have."""
    return {"number": number, "row": {"operation": operation, "description": label, "items": str(number)}}


def utc(at: str) -> str:
    """Write a time of Bogota as records do."""
    return datetime.fromisoformat(at).replace(tzinfo=ZONE).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def books(*records: Any, tenant: str | None = None) -> Books:
    """Take records in; lists of them as well."""
    taken = Books(CALENDAR, tenant=tenant)
    for record in records:
        for one in record if isinstance(record, list) else [record]:
            taken.add(one)
    taken.end()
    return taken


def report(*records: Any, now: int = NOW, tariff: Tariff | None = None, tenant: str | None = None) -> Report:
    """Draw up everything."""
    return draw_up(books(*records, tenant=tenant), now=now, tariff=tariff)


def statement(*records: Any, month: str = "2026-11", now: int = NOW, tariff: Tariff | None = None) -> Statement:
    """Return the one statement of a month."""
    number = int(month[:4]) * 12 + int(month[5:]) - 1
    (found,) = [one for one in report(*records, now=now, tariff=tariff).statements if one.month == number]
    return found


def line(*records: Any, month: str = "2026-11", now: int = NOW, tariff: Tariff | None = None) -> Line:
    """Return the one line of a month."""
    (found,) = statement(*records, month=month, now=now, tariff=tariff).lines
    return found
