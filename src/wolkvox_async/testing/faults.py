"""What a token's server does wrong, as data.

A `Fault` says what is answered (status, headers, body) and how it goes over the wire.
Bodies and headers are templates: the marks below stand for what the vendor would have
sent. A fault holds for all calls of a token, or stands in a *script*: what happens to
its first call, its second, ...; when the script is over, nothing is wrong any more.

The wire shapes are plain values too; `deliveries.py` turns them into bytes and pauses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

USUAL: Final = b"@USUAL@"
"""The body that the vendor would have sent."""
ROW: Final = b"@ROW@"
"""The first row of that body."""
OPERATION: Final = b"@OPERATION@"
"""The vendor's own name for the operation."""
LENGTH: Final = b"@LENGTH@"
"""The length of the usual body, in a `Raw` answer."""
TRAP: Final = "@TRAP@"
"""In a header: an address that nobody may ever go to."""
LATER: Final = "@LATER@"
"""In a header: an HTTP date about two seconds from now."""

Coding: TypeAlias = Literal["gzip", "deflate", "zstd"]


class Effect(Enum):
    """What an answer means for what the token may do next."""

    GRANTED = "granted"
    """A good answer, perhaps an empty one: the same call is not due again before its interval is over."""
    REFUSED = "refused"
    """The token was refused: nothing more is to be sent with it."""
    NEITHER = "neither"


class Ending(Enum):
    """What becomes of the connection after the last byte."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Whole:
    """Head and body at once, as HTTP wants it."""

    ending: Ending = Ending.KEEP


WHOLE: Final = Whole()


@dataclass(frozen=True, slots=True)
class Silence:
    """Never a byte; the connection stays open."""


@dataclass(frozen=True, slots=True)
class Drip:
    """The head, or the body after a quick head, comes `size` bytes each `every` seconds."""

    part: Literal["head", "body"] = "body"
    size: int = 1
    every: float = 1.0


@dataclass(frozen=True, slots=True)
class Endless:
    """Headers, or a chunked body, without an end; as fast as the client reads when `every` is 0."""

    part: Literal["head", "body"] = "body"
    every: float = 0.0


@dataclass(frozen=True, slots=True)
class Cut:
    """The answer ends after `after` bytes (of head and body; a float below 1 is a share of them).

    The connection is closed, or reset.
    """

    after: int | float = 0
    ending: Ending = Ending.CLOSE


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes instead of an answer; the marks `USUAL`, `ROW`, `OPERATION` and `LENGTH` are filled in.

    `whole` tells that the vendor is done with the call once they are sent; otherwise it
    counts as at work until its limit, for nobody could tell.
    """

    answer: bytes
    ending: Ending = Ending.KEEP
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Unasked:
    """A good answer, and then `extra`, which nobody asked for, `after` seconds later (0: in the same write)."""

    extra: bytes
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Huge:
    """A well-formed answer of at least `size` bytes of rows, made while it is read."""

    size: int = 300_000_000


@dataclass(frozen=True, slots=True)
class Bomb:
    """A small compressed answer that unpacks to at least `size` bytes."""

    coding: Literal["gzip", "zstd"] = "gzip"
    size: int = 300_000_000


Wire: TypeAlias = Whole | Silence | Drip | Endless | Cut | Raw | Unasked | Huge | Bomb
"""How an answer comes over the wire."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can be wrong with an answer.

    `rows` is how many rows a careful reader takes from it (None: as many as usual),
    `about` a line for people.
    """

    name: str
    about: str
    status: int = 200
    body: bytes = USUAL
    headers: tuple[tuple[str, str], ...] = ()
    coding: Coding | None = None
    wire: Wire = WHOLE
    effect: Effect = Effect.NEITHER
    rows: int | None = 0


Script: TypeAlias = Fault | Sequence[Fault | None]
"""A fault for every call, or what each call after the other meets (None: nothing wrong); then all is well."""


def fault_of_call(script: Script | None, number: int) -> Fault | None:
    """Return what is wrong with the `number`th call (from 0) of a token; None for nothing."""
    if script is None or isinstance(script, Fault):
        return script
    return script[number] if number < len(script) else None
