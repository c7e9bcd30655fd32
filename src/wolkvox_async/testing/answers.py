"""The vendor's answers in the vendor's words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from .faults import WHOLE, Effect, Wire

FOUND: Final = "Information found for the current month"
SIMULTANEOUS: Final = "EXCEEDS THE LIMIT OF SIMULTANEOUS REQUESTS PER TOKEN"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it goes over the wire.

    `rows` and `items` are what it delivers: how many rows, and the sum of their items.
    """

    status: int
    body: bytes
    effect: Effect = Effect.NEITHER
    rows: int = 0
    items: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    wire: Wire = WHOLE


def envelope(code: Any, error: Any, msg: str, data: Any = None) -> bytes:
    """Return the vendor's wrapping as JSON."""
    return orjson.dumps({"code": code, "error": error, "msg": msg, "data": data})


def _said(status: int, error: str, msg: str, effect: Effect = Effect.NEITHER) -> Reply:
    return Reply(status, envelope(status, error, msg), effect)


NO_TOKEN: Final = _said(401, "UNAUTHORIZED", "PLEASE ENTER THE WOLKVOX-TOKEN", Effect.REFUSED)
REFUSED: Final = _said(403, "FORBIDDEN", "PLEASE VALIDATE TOKEN", Effect.REFUSED)
BUSY: Final = _said(403, "FORBIDDEN", SIMULTANEOUS)
NO_PARAMETERS: Final = _said(400, "BAD REQUEST", "SOME PARAMETERS ARE REQUIRED")
NO_METHOD: Final = _said(405, "METHOD NOT ALLOWED", "ONLY GET IS ALLOWED")
NOT_FOUND: Final = Reply(404, b"<html><head><title>404 Not Found</title></head><body>Not Found</body></html>")
NO_REQUEST: Final = Reply(400, b"<html><head><title>400 Bad Request</title></head><body>Bad Request</body></html>")


def refused_range(days: int) -> Reply:
    """Refuse a range of dates that is longer than so many days (GUESS: nobody says in which words)."""
    return _said(400, "BAD REQUEST", f"THE RANGE OF DATES EXCEEDS {days} DAYS")


def unknown_api(api: str) -> Reply:
    """Refuse an endpoint that is not there."""
    return _said(400, "BAD REQUEST", f"THE API {api[:100].upper()} DOES NOT EXIST")
