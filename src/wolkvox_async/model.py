"""The values that everything else speaks in.

A `Token` is the key by which calls are serialised, and poison in print: it never shows
its text, cannot be pickled, and gives it away only through `reveal`, which the place
that writes the request header calls and nobody else.

Words (`call`, `attempt`, `turn`, `outcome`, ...) mean what the glossary in
`docs/architecture.md` says, everywhere.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeAlias
from urllib.parse import urlencode

from .windows import DEFAULT_TIMEZONE, Window

TOKEN_LENGTH: Final = range(8, 513)

_VISIBLE_ASCII: Final = re.compile(r"[!-~]+")
_SERVER_SPELLING: Final = re.compile(
    r"(?:https?://)?wv([a-z0-9-]+)(?:\.wolkvox\.com(?::\d+)?(?:[/?#].*)?)?", re.IGNORECASE | re.ASCII
)


# What JSON may write as an escape although it need not, and any escape at all.
_ESCAPED_ASCII: Final = re.compile(rb"\\u00[2-7]")
_ESCAPE: Final = re.compile(rb"\\(?:u00([2-7][0-9A-Fa-f])|.)", re.DOTALL)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    """Write an escaped ASCII character as shortly as JSON allows; other escapes stay."""
    if escape[1] is None:
        return escape[0]
    character = bytes.fromhex(escape[1].decode())
    return b"\\" + character if character in b'"\\' else character


class Token:
    """An API credential that never shows itself.

    Two tokens are equal when their texts are; `id` is what may be printed.
    """

    __slots__ = ("_hash", "_text", "id")

    def __init__(self, text: str) -> None:
        """Wrap `text`: 8 to 512 visible ASCII characters.

        Raises `ValueError` (without the text) for anything else.
        """
        if len(text) not in TOKEN_LENGTH:
            raise ValueError(f"a token has 8 to 512 characters, this one has {len(text)}")
        if not _VISIBLE_ASCII.fullmatch(text):
            raise ValueError("a token has visible ASCII characters only: no spaces, no control characters")
        self._text: Final = text
        self.id: Final = "tk_" + hashlib.sha256(text.encode()).hexdigest()[:12]
        self._hash: Final = hash(self.id)

    def reveal(self) -> str:
        """Return the text, for the request header and for nothing else."""
        return self._text

    def redact(self, data: bytes) -> bytes:
        """Return `data` with the token's id wherever an answer repeats its text, as JSON escapes it too."""
        # Escapes apart, a token of letters and digits is only ever spelled one way.
        if data.find(b"\\") < 0 or (self._text.isalnum() and not _ESCAPED_ASCII.search(data)):
            text = self._text.encode("ascii")
            return data if data.find(text) < 0 else data.replace(text, self.id.encode("ascii"))
        if _ESCAPED_ASCII.search(data):
            plain = _ESCAPE.sub(_unescaped, data)
            redacted = self._redact(plain)
            return data if redacted == plain else redacted
        return self._redact(data)

    def _redact(self, data: bytes) -> bytes:
        escaped = self._text.replace("\\", "\\\\").replace('"', '\\"')
        for spelling in {self._text, escaped, escaped.replace("/", "\\/")}:
            data = data.replace(spelling.encode("ascii"), self.id.encode("ascii"))
        return data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and other._text == self._text

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Token({self.id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is neither pickled nor copied: hand over its reference instead")


def normalise_server(text: str) -> str:
    """Return the server's name as text: `wv0010` and `https://wv0010.wolkvox.com/` give `0010`."""
    spelled = _SERVER_SPELLING.fullmatch(text)
    return spelled.group(1) if spelled else text


@dataclass(frozen=True, slots=True)
class Operation:
    """One wolkvox operation: a server and a token, owned by a tenant."""

    tenant: str
    name: str
    server: str
    token: Token
    timezone: str = DEFAULT_TIMEZONE

    @property
    def path(self) -> str:
        """The name by which people and `engine.call` address it."""
        return f"{self.tenant}/{self.name}"


Params: TypeAlias = tuple[tuple[str, str], ...]
DateNames: TypeAlias = tuple[str, str]

DATE_NAMES: Final[DateNames] = ("date_ini", "date_end")

# DOC: so many records come down per consumption; whether a cut is signalled is not known.
MOST_ROWS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Reach:
    """How much an answer may hold, and whether less may be asked for instead.

    An answer of `most_rows` may have been cut off. Then a window with `dates` (the names
    of its first and its last second) is halved. `part_of` is the planned call, by its id,
    that a half belongs to.
    """

    most_rows: int = MOST_ROWS
    dates: DateNames | None = None
    part_of: str | None = None


def utc_text(at: int) -> str:
    """Write a moment (Unix milliseconds) as records do."""
    seconds, milliseconds = divmod(at, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{milliseconds:03}Z"


@dataclass(frozen=True, slots=True)
class Slot:
    """One due time of what is watched; times in Unix milliseconds.

    `place` is where it stands on its grid, and is not moved. In a `dropped` slot nothing is
    asked: it follows a closing reading within one interval. `closed` is the turn of the
    month whose closing slot was the last so far, this one included.
    """

    place: int
    due: int
    closing: bool = False
    dropped: bool = False
    closed: int | None = None

    @property
    def at(self) -> datetime:
        """The due time (UTC)."""
        return datetime.fromtimestamp(self.due / 1000, UTC)

    @property
    def text(self) -> str:
        """The due time as records write it."""
        return utc_text(self.due)


class GapReason(StrEnum):
    """Why nothing was captured in a slot.

    `overrun`: what is before it takes too long, be it the same call or another of its token;
    `down`: its server; `held`, `quota`: the vendor refuses the token, or its quota is used up;
    `busy`: another process has the token; `sink`: the output takes nothing; `suspended`: the
    machine or the process stood still, or its clock was set forward; `stopped`: the program
    did not run; `infeasible`: more is asked than may be in flight; `closing`: a closing
    reading was taken less than an interval before.
    """

    OVERRUN = "overrun"
    DOWN = "down"
    HELD = "held"
    QUOTA = "quota"
    BUSY = "busy"
    SINK = "sink"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    INFEASIBLE = "infeasible"
    CLOSING = "closing"


# Of the values that every call has, those made by the million are not frozen: that would double what making
# one costs. They are changed nowhere all the same.
@dataclass(slots=True, unsafe_hash=True)
class Call:
    """The unit of work: one operation, endpoint, window and parameters.

    `api` is the endpoint as records write it (`interactions`, `information/token_info`);
    `query` is what goes into the address behind `?`, and `interval` the least time, in
    seconds, before the same is asked of the same token again; a call that is not `paced`
    is made all the same. While watching it is of a `slot`. Without a `reach` its window is
    never cut.
    """

    id: str
    operation: Operation
    api: str
    file: str
    query: Params
    window: Window | None = None
    params: Params = ()
    interval: float = 300.0
    paced: bool = True
    slot: Slot | None = None
    remembered: str | None = None
    reach: Reach | None = None

    @property
    def most_rows(self) -> int:
        """How many rows its answer has at most; one with so many may have been cut off."""
        return MOST_ROWS if self.reach is None else self.reach.most_rows

    @property
    def is_closing(self) -> bool:
        """Whether it is the last reading of a month."""
        return self.slot is not None and self.slot.closing

    @property
    def question(self) -> str:
        """What is asked of the token: endpoint, window and parameters, as one text; or as what it is remembered."""
        if self.remembered is not None:
            return self.remembered
        return self.api if len(self.query) == 1 else question(self.api, self.query[1:])


def question(api: str, asked: Params) -> str:
    """Return the text under which it is remembered when `asked` was last asked of a token."""
    return f"{api}?{urlencode(asked)}" if asked else api


@dataclass(slots=True)
class Answer:
    """What one attempt brought back, read whole; the body is decoded but not parsed.

    `kept` says that its connection had answered before; `sent_at` when the last request
    byte left (monotonic seconds), where the transport knows.
    """

    status: int
    body: bytes
    retry_after: str | None = None
    location: str | None = None
    kept: bool = field(default=False, compare=False)
    sent_at: float | None = field(default=None, compare=False)


class ErrorKind(StrEnum):
    """Why a call did not end well; the names are those of the records."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    QUOTA = "quota"
    TOKEN_BUSY = "token_busy"  # noqa: S105 - the name of a refusal
    MAINTENANCE = "maintenance"
    BAD_REQUEST = "bad_request"
    UNKNOWN_API = "unknown_api"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    SERVER_DOWN = "server_down"
    TIMEOUT = "timeout"
    CONNECT = "connect"
    DISCONNECTED = "disconnected"
    TLS = "tls"
    REDIRECT = "redirect"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    PROTOCOL = "protocol"
    HELD = "held"
    NOT_DUE = "not_due"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Breakdown:
    """An attempt that brought no answer.

    `unanswered_since` is when the last request byte left (monotonic seconds): since then
    the vendor may be working on it. None means that it certainly is not, because the
    request never left or the answer was read whole. `status` is that of an answer which
    began and could not be read.
    """

    kind: ErrorKind
    message: str
    unanswered_since: float | None
    status: int | None = None


WITHHELD: Final = Breakdown(
    ErrorKind.TOKEN_BUSY, "the right to use the token ran out before the request left: nothing was sent", None
)
"""What came of a request that was not sent, because it may not be any more. That is no attempt."""


@dataclass(frozen=True, slots=True)
class CallError:
    """What a record says under `error`."""

    kind: ErrorKind
    message: str
    retryable: bool


@dataclass(slots=True)
class Ok:
    """The vendor answered with rows, exactly as sent."""

    rows: list[Any]
    status: int
    code: int | float | str | None
    msg: Any


@dataclass(slots=True)
class Empty:
    """The vendor answered that there is nothing."""

    status: int
    code: int | float | str | None
    msg: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed; `retry_after` is the pause in seconds that the server asked for."""

    error: CallError
    status: int | None = None
    code: int | float | str | None = None
    msg: Any = None
    retry_after: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Skipped:
    """The call was never sent in this run, and why; `due` is when it may be made, if only time is missing."""

    error: CallError
    due: datetime | None = None


AttemptOutcome: TypeAlias = Ok | Empty | Failed
Outcome: TypeAlias = Ok | Empty | Failed | Skipped
