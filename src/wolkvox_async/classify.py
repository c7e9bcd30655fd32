"""What an answer means: one table over everything that is known of the service.

The HTTP status and the body's `code` may disagree; the worse of the two counts, in the
order 401, 403, 429, 5xx, 400, 404, 2xx. Texts are matched by fragment, whatever their
case and spacing, because the vendor's wording varies. Where a line rests on a guess it
says so.

Empty is not proof of nothing: ok, empty and failed stay three things, and an empty
answer that complains under `error` is a failure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from .envelopes import Code, Envelope, NotAnEnvelope, as_text, open_envelope
from .errors import one_line
from .model import Answer, AttemptOutcome, Breakdown, CallError, Empty, ErrorKind, Failed, Ok

_READ: Final = 65_536
_QUOTED: Final = 300
_ESCAPED_SPACE: Final = re.compile(r"\\[nrt]")  # a message that is a list or an object is read as JSON text
_LONGEST_PAUSE: Final = 366 * 86_400.0


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
    Meaning(_on(403), ("limit exceeded",), ErrorKind.QUOTA, "the token's daily quota is used up: call again tomorrow"),
    Meaning(
        _on(403),
        ("validate token", "validate the token", "incorrect", "expired", "malformed"),
        ErrorKind.FORBIDDEN,
        "the vendor refused the token: generate a new one in wolkvox Manager and update its reference",
    ),
    # GUESS: a 403 that names no other reason is a maintenance or backup window.
    Meaning(
        _on(403),
        (),
        ErrorKind.MAINTENANCE,
        "the vendor is probably in a maintenance or backup window: call again later",
    ),
    Meaning(_on(429), (), ErrorKind.RATE_LIMITED, "the server asks for fewer calls: call again later"),
    Meaning(_on(500, 599), (), ErrorKind.SERVER_ERROR, "the server could not answer: call again later"),
    Meaning(
        _on(400), ("does not exist",), ErrorKind.UNKNOWN_API, "this server has no such endpoint: check its spelling"
    ),
    Meaning(_on(400), (), ErrorKind.BAD_REQUEST, "the server did not accept the request's parameters: check them"),
    Meaning(
        _on(402, 499),
        (),
        ErrorKind.BAD_REQUEST,
        "the server did not accept the request: check the base URL and any proxy",
    ),
)

# Worst first, and 0 is the body's way to say 200. A status that is not here says nothing:
# it must not pass for empty or for success, so it ranks before them.
_RANKS: Final[Mapping[Code, int]] = MappingProxyType(
    {
        **dict.fromkeys((0, *range(200, 300)), 8),
        **dict.fromkeys(range(400, 500), 5),
        **dict.fromkeys(range(500, 600), 3),
        401: 0,
        403: 1,
        429: 2,
        400: 4,
        404: 7,
    }
)
_rank: Final = _RANKS.get
_UNKNOWN: Final = 6

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


_REFUSING: Final = (401, 403)


def error(kind: ErrorKind, message: str) -> CallError:
    """Build a record's error; whether it may be tried again follows from its kind."""
    return CallError(kind, message, kind in RETRYABLE)


def classify(met: Answer | Breakdown, *, now: datetime) -> AttemptOutcome:
    """Return what one attempt's result means; `now` (aware) resolves a dated `Retry-After`."""
    if isinstance(met, Breakdown):
        return _broken(met, now)
    envelope = open_envelope(met.body)
    if 300 <= met.status <= 399 and not _refuses(envelope):
        return Failed(error(ErrorKind.REDIRECT, _redirect_message(met)), met.status)
    if isinstance(envelope, NotAnEnvelope):
        return _without_envelope(met, envelope, now)
    return _with_envelope(met, envelope, now)


def _broken(met: Breakdown, now: datetime) -> Failed:
    if met.status in _REFUSING:
        # The refusal arrived, though what it says about itself did not.
        return _failure(Answer(met.status, b""), met.status, "", now)
    return Failed(error(met.kind, one_line(_folded(met.message)) or met.kind.value), met.status)


def _refuses(envelope: Envelope | NotAnEnvelope) -> bool:
    return isinstance(envelope, Envelope) and envelope.code in _REFUSING


def _with_envelope(answer: Answer, envelope: Envelope, now: datetime) -> AttemptOutcome:
    code = envelope.code
    status = _worse(answer.status, code)
    if status is None:
        shown = one_line(str(code)[:40])
        return _malformed(
            answer, envelope, f"status {answer.status} with code {shown} in the body is neither yes nor no"
        )
    if status == 404:
        return _absent(answer, envelope)
    if status <= 299:
        return _success(answer, envelope, code)
    said = as_text(envelope.msg) if envelope.msg else ""
    spoken = _ESCAPED_SPACE.sub(" ", f"{envelope.complaint} {said}")
    return _failure(answer, status, spoken, now, code, envelope.msg)


def _without_envelope(answer: Answer, found: NotAnEnvelope, now: datetime) -> Failed:
    if answer.status != 404 and 400 <= answer.status <= 599:
        return _failure(answer, answer.status, found.beginning, now)
    began = f": it begins {_folded(found.beginning)[:60]!r}" if found.beginning else ""
    return Failed(error(ErrorKind.MALFORMED, f"{found.reason}{began}"), answer.status)


def _success(answer: Answer, envelope: Envelope, code: Code) -> AttemptOutcome:
    data = envelope.fields.get("data")
    if type(data) is list and data:
        return Ok(data, answer.status, code, envelope.msg)
    if "data" not in envelope.fields:
        return _malformed(answer, envelope, "the answer reports success but has no data field")
    if data is None or (isinstance(data, list | dict | str) and not data):
        if envelope.complaint:
            reason = f"no data and no error status, but error says {_folded(envelope.complaint)[:80]!r}"
            return _malformed(answer, envelope, reason)
        return Empty(answer.status, code, envelope.msg)
    if isinstance(data, dict):
        return Ok([data], answer.status, code, envelope.msg)
    return _malformed(answer, envelope, f"data is neither a list nor an object but {_folded(as_text(data))[:40]!r}")


def _absent(answer: Answer, envelope: Envelope) -> AttemptOutcome:
    # SEEN: 404 says that there is nothing to return, or that this server lacks the endpoint.
    if "code" in envelope.fields:
        return Empty(answer.status, envelope.code, envelope.msg)
    return _malformed(answer, envelope, "404 without the vendor's envelope: is the address right?")


def _failure(answer: Answer, status: int, said: str, now: datetime, code: Code = None, msg: Any = None) -> Failed:
    words = _folded(said)
    folded = words.casefold()
    meaning = next(m for m in MEANINGS if m.covers(status, folded))
    message = f"{status}: {meaning.advice}" + (f" (it said: {one_line(words[:_QUOTED])})" if words else "")
    pause = retry_after(answer.retry_after, now)
    return Failed(error(meaning.kind, message), answer.status, code, msg, retry_after=pause)


def _malformed(answer: Answer, envelope: Envelope, reason: str) -> Failed:
    return Failed(error(ErrorKind.MALFORMED, reason), answer.status, envelope.code, envelope.msg)


def _folded(said: str) -> str:
    return " ".join(said[:_READ].split())


def _worse(status: int, code: Code) -> int | None:
    """Return the worse of HTTP status and body code; None when that is one which says nothing."""
    worse: Code = status
    rank = _rank(status, _UNKNOWN)
    if code is not None and code != status and (other := _rank(code, _UNKNOWN)) < rank:
        worse, rank = code, other
    return None if rank == _UNKNOWN else int(worse)  # type: ignore[arg-type]


def _redirect_message(answer: Answer) -> str:
    try:
        host = urlsplit(answer.location or "").hostname
    except ValueError:
        host = None
    target = f" to {one_line(host[:_QUOTED])}" if host else ""
    return f"{answer.status}: the server redirects{target}, which is never followed: check the base URL and any proxy"


def retry_after(text: str | None, now: datetime) -> float | None:
    """Return the pause in seconds that a `Retry-After` header asks for, at most a year; None when it asks for none."""
    stripped = (text or "").strip()
    if not stripped:
        return None
    if stripped.isascii() and stripped.isdigit():
        return min(float(stripped), _LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(stripped)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), _LONGEST_PAUSE)
