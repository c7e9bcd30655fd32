"""Journals and outputs made by hand, for tests of the rules."""

from __future__ import annotations

import json
from typing import Any

from .answers import identity
from .evidence import Owner
from .facts import Answered, Asked, Effect, Fact
from .outputs import Output, Record, parse

A, B = "tk_a", "tk_b"
OWNERS = {A: Owner("acme", "main", "0001"), B: Owner("globex", "main", "0001")}


def asked(at: float, request: int, token: str = A, **changes: Any) -> Asked:
    """Return a request as it should be, on a connection of its own."""
    fields = {"connection": request, "began": at, "server": "0001", "home": "0001", "api": "interactions", "query": ""}
    return Asked(at=at, request=request, token=token, **{**fields, **changes})


def answered(at: float, request: int, effect: Effect = Effect.OK, *, answer: int = 100, rows: int = 2) -> Answered:
    """Return the answer to `request`."""
    return Answered(at, request, at, 200, effect, answer, rows)


def exchange(at: float, request: int, token: str = A, effect: Effect = Effect.OK, **changes: Any) -> list[Fact]:
    """Return a request and, half a second later, its answer, whose number is 100 more."""
    rows = 2 if effect is Effect.OK else 0
    return [asked(at, request, token, **changes), answered(at + 0.5, request, effect, answer=request + 100, rows=rows)]


def row(n: int, answer: int, token: str = A, *, place: int | None = None, **changes: Any) -> Record:
    """Return the record of a row: the `n`-th of its call."""
    owner = OWNERS[token]
    said = {"description": identity(token, answer, place or n)}
    fields = {"type": "row", "run": "R", "call": f"C{token}", "n": n, "tenant": owner.tenant, "row": said}
    return {**fields, "operation": owner.operation, "server": owner.server, "api": "interactions", **changes}


def mark(outcome: str = "ok", token: str = A, *, rows: int = 0, attempts: int = 1, **changes: Any) -> Record:
    """Return a `call` record."""
    owner = OWNERS[token]
    fields = {"type": "call", "run": "R", "call": f"C{token}", "token": token, "outcome": outcome, "rows": rows}
    whose = {"tenant": owner.tenant, "operation": owner.operation, "server": owner.server}
    asked_for = {"api": "interactions", "window": None, "params": None}
    return {**fields, **whose, **asked_for, "attempts": attempts, **changes}


def ended(event: str = "finished", **counters: int) -> Record:
    """Return the record that closes the run."""
    zero = dict.fromkeys(("ok", "empty", "failed", "skipped", "rows"), 0)
    return {"type": "run", "run": "R", "event": event, **zero, **counters}


def whole_call(answer: int, token: str = A, **changes: Any) -> list[Record]:
    """Return the records of a call that brought the two rows of `answer`."""
    rows = [row(n, answer, token) for n in (1, 2)]
    return [{**record, **changes} for record in [*rows, mark(token=token, rows=2)]]


def output(*records: Record, rest: str = "") -> Output:
    """Return the output in which those records stand."""
    return parse("usage.jsonl", "".join(f"{json.dumps(record)}\n" for record in records).encode() + rest.encode())
