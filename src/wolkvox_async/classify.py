"""What an answer means: one table over everything that is known of the service.

The HTTP status and the body's `code` may disagree; the worse of the two counts, in the
order 401, 403, 429, 5xx, 400, 404, 2xx. Texts are matched by fragment, whatever their
case, because the vendor's wording varies. Where a line rests on a guess it says so.

Empty is not proof of nothing: ok, empty and failed stay three things, and an empty
answer that complains under `error` is a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from .envelopes import Code, Envelope, NotAnEnvelope, open_envelope
from .model import Answer, AttemptOutcome, Breakdown, CallError, Empty, ErrorKind, Failed, Ok

_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})
_SAID: Final = 300


@dataclass(frozen=True, slots=True)
class Meaning:
    """One line of the table: which statuses and texts it covers, and what they mean."""

    statuses: range
    fragments: tuple[str, ...]
    kind: ErrorKind
    advice: str

    def covers(self, status: int, said: str) -> bool:
        """Tell whether this line speaks of that status and text (folded)."""
        return status in self.statuses and (not self.fragments or any(f in said for f in self.fragments))


def _on(first: int, last: int | None = None) -> range:
    return range(first, (last or first) + 1)


# The first line that covers an answer wins.
MEANINGS: Final[tuple[Meaning, ...]] = (
    Meaning(_on(401), (), ErrorKind.UNAUTHORIZED, "the vendor saw no valid token: check the token's reference"),
    Meaning(
        _on(403),
        ("simultaneous",),
        ErrorKind.TOKEN_BUSY,
        "somebody else is using this token right now: look for another program or person that has it",
    ),
    Meaning(_on(403), ("limit exceeded",), ErrorKind.QUOTA, "the token's daily quota is used up"),
    Meaning(
        _on(403),
        ("validate token", "validate the token", "incorrect", "expired", "malformed"),
        ErrorKind.FORBIDDEN,
        "the vendor refused the token: generate a new one in wolkvox Manager and update its reference",
    ),
    # GUESS: a 403 that names no other reason is a maintenance or backup window.
    Meaning(_on(403), (), ErrorKind.MAINTENANCE, "the vendor is probably in a maintenance or backup window"),
    Meaning(_on(429), (), ErrorKind.RATE_LIMITED, "the server asks for fewer calls"),
    Meaning(_on(500, 599), (), ErrorKind.SERVER_ERROR, "the server could not answer"),
    Meaning(
        _on(400), ("does not exist",), ErrorKind.UNKNOWN_API, "this server has no such endpoint: check its spelling"
    ),
    Meaning(_on(400), (), ErrorKind.BAD_REQUEST, "the server did not accept the request's parameters"),
    Meaning(_on(402, 499), (), ErrorKind.BAD_REQUEST, "the server did not accept the request"),
)

_SEVERITY: Final[tuple[Callable[[int], bool], ...]] = (
    lambda status: status == 401,
    lambda status: status == 403,
    lambda status: status == 429,
    lambda status: 500 <= status <= 599,
    lambda status: status != 404 and 400 <= status <= 499,
    lambda status: status == 404,
    lambda status: 200 <= status <= 299,
)

RETRYABLE: Final = frozenset(
    {
        ErrorKind.TOKEN_BUSY,
        ErrorKind.MAINTENANCE,
        ErrorKind.RATE_LIMITED,
        ErrorKind.SERVER_ERROR,
        ErrorKind.SERVER_DOWN,
        ErrorKind.TIMEOUT,
        ErrorKind.CONNECT,
        ErrorKind.DISCONNECTED,
        ErrorKind.PROTOCOL,
    }
)


def error(kind: ErrorKind, message: str) -> CallError:
    """Build a record's error; whether it may be tried again follows from its kind."""
    return CallError(kind, message, kind in RETRYABLE)


def classify(met: Answer | Breakdown, *, now: datetime) -> AttemptOutcome:
    """Return what one attempt's result means; `now` (aware) resolves a dated `Retry-After`."""
    if isinstance(met, Breakdown):
        return Failed(error(met.kind, met.message))
    if 300 <= met.status <= 399:
        return Failed(error(ErrorKind.REDIRECT, _redirect_message(met)), met.status)
    envelope = open_envelope(met.body)
    if isinstance(envelope, NotAnEnvelope):
        return _without_envelope(met, envelope, now)
    return _with_envelope(met, envelope, now)


def _with_envelope(answer: Answer, envelope: Envelope, now: datetime) -> AttemptOutcome:
    status = _worse(answer.status, envelope.code)
    said = f"{envelope.complaint} {envelope.msg or ''}"
    if status is None:
        return _malformed(answer, envelope, f"the body's code is {str(envelope.code)[:40]!r}, which is no known status")
    if status == 404:
        return _absent(answer, envelope)
    if 200 <= status <= 299:
        return _success(answer, envelope)
    return _failure(answer, status, said, now, envelope.code, envelope.msg)


def _without_envelope(answer: Answer, found: NotAnEnvelope, now: datetime) -> Failed:
    status = answer.status
    if status >= 400 and status != 404:
        return _failure(answer, status, found.beginning, now)
    began = f": it begins {found.beginning!r}" if found.beginning else ""
    return Failed(error(ErrorKind.MALFORMED, f"{found.reason}{began}"), status)


def _success(answer: Answer, envelope: Envelope) -> AttemptOutcome:
    if "data" not in envelope.fields:
        return _malformed(answer, envelope, "the answer reports success but has no data field")
    data = envelope.fields["data"]
    if any(data == nothing and type(data) is type(nothing) for nothing in _NOTHING):
        if envelope.complaint:
            return _malformed(answer, envelope, f"no data, no error status, but error says {envelope.complaint[:80]!r}")
        return Empty(answer.status, envelope.code, envelope.msg)
    if isinstance(data, list):
        return Ok(data, answer.status, envelope.code, envelope.msg)
    if isinstance(data, dict):
        return Ok([data], answer.status, envelope.code, envelope.msg)
    return _malformed(answer, envelope, f"data is neither a list nor an object but {type(data).__name__}")


def _absent(answer: Answer, envelope: Envelope) -> AttemptOutcome:
    # SEEN: 404 says that there is nothing to return, or that this server lacks the endpoint.
    if "code" in envelope.fields:
        return Empty(answer.status, envelope.code, envelope.msg)
    return _malformed(answer, envelope, "404 without the vendor's envelope: is the address right?")


def _failure(answer: Answer, status: int, said: str, now: datetime, code: Code = None, msg: Any = None) -> Failed:
    meaning = next((m for m in MEANINGS if m.covers(status, _folded(said))), None)
    if meaning is None:
        return Failed(error(ErrorKind.MALFORMED, f"status {status} is not one of HTTP's"), answer.status, code, msg)
    quoted = " ".join(said.split())[:_SAID]
    message = f"{status}: {meaning.advice}" + (f" (it said: {quoted})" if quoted else "")
    pause = retry_after(answer.retry_after, now)
    return Failed(error(meaning.kind, message), answer.status, code, msg, retry_after=pause)


def _malformed(answer: Answer, envelope: Envelope, reason: str) -> Failed:
    return Failed(error(ErrorKind.MALFORMED, reason), answer.status, envelope.code, envelope.msg)


def _folded(said: str) -> str:
    return " ".join(said.split()).casefold()


def _worse(status: int, code: Code) -> int | None:
    """Return the worse of both statuses, or None when the body's code is none."""
    if code is None or code == 0:
        return status
    if not isinstance(code, int | float) or _severity(int(code)) is None:
        return None if _severity(status) == len(_SEVERITY) - 1 else status
    return min(status, int(code), key=lambda s: len(_SEVERITY) if (rank := _severity(s)) is None else rank)


def _severity(status: int) -> int | None:
    return next((rank for rank, matches in enumerate(_SEVERITY) if matches(status)), None)


def _redirect_message(answer: Answer) -> str:
    try:
        host = urlsplit(answer.location or "").hostname
    except ValueError:
        host = None
    target = f" to {host}" if host else ""
    return f"{answer.status}: the server redirects{target}, which is never followed: check the base URL and any proxy"


def retry_after(text: str | None, now: datetime) -> float | None:
    """Return the pause in seconds that a `Retry-After` header asks for; None when it is absurd."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:12])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
