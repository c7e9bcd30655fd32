"""What the fault server saw, as facts, and the journal that they are written into.

A journal is a file of JSON lines to which facts are only ever added, each as it happens,
in one write: whoever reads it while the server runs sees whole lines, and a server that is
killed has lost nothing. Times are monotonic seconds, which all processes of a machine share.

Tokens stand in it by their id, as contract and records write it; never by their text.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeAlias


class Effect(StrEnum):
    """What a whole answer means, by what the server put into it."""

    OK = "ok"
    EMPTY = "empty"
    REFUSED = "refused"
    BUSY = "busy"
    QUOTA = "quota"
    MAINTENANCE = "maintenance"
    ERROR = "error"
    GARBLED = "garbled"


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection was accepted on `port`."""

    at: float
    connection: int
    port: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The last byte of a request was read; its first at `began`.

    `token` is the id in its header, "" when there is none; `home` the server that the token
    was given out for, "" when nobody gave it out. `query` is what is asked beside `api`,
    sorted. `strays` names the places, other than that header, where a token stood.
    """

    at: float
    connection: int
    request: int
    began: float
    server: str
    token: str
    home: str
    api: str
    query: str
    strays: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Halted:
    """`sent` bytes of the answer are out, and the server pauses in the middle of it."""

    at: float
    request: int
    sent: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The last byte of an answer was handed over; its first at `began`.

    Its rows are known by the serial number `answer` and count from 1 to `rows`.
    """

    at: float
    request: int
    began: float
    status: int
    effect: Effect
    answer: int
    rows: int


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The connection ended before the answer was complete; `sent` bytes of it were out."""

    at: float
    request: int
    sent: int


@dataclass(frozen=True, slots=True)
class Unasked:
    """An answer went out that nobody had asked for; `token` is the one that the connection served."""

    at: float
    connection: int
    token: str
    answer: int
    rows: int


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection ended; `begun` says that a request had begun to arrive that never became whole."""

    at: float
    connection: int
    begun: bool


@dataclass(frozen=True, slots=True)
class StoodStill:
    """The vendor itself came to nothing, or too late, from `since` to `at`: what it read then may have lain there."""

    at: float
    since: float


Fact: TypeAlias = Opened | Asked | Halted | Answered | Unanswered | Unasked | Closed | StoodStill

_KINDS: Final[dict[str, type[Fact]]] = {
    kind.__name__: kind for kind in (Opened, Asked, Halted, Answered, Unanswered, Unasked, Closed, StoodStill)
}


def token_id(text: str) -> str:
    """Return what may be printed of a token."""
    return "tk_" + hashlib.sha256(text.encode()).hexdigest()[:12]


def as_line(fact: Fact) -> bytes:
    """Write a fact as it stands in the journal."""
    return json.dumps({"fact": type(fact).__name__, **asdict(fact)}).encode() + b"\n"


def from_line(line: bytes | str) -> Fact:
    """Read a fact back."""
    fields: dict[str, Any] = json.loads(line)
    kind = _KINDS[fields.pop("fact")]
    if "strays" in fields:
        fields["strays"] = tuple(fields["strays"])
    if "effect" in fields:
        fields["effect"] = Effect(fields["effect"])
    return kind(**fields)


class Journal:
    """Facts in the order in which they happened: in memory, and in a file when it has a `path`."""

    def __init__(self, path: Path | None = None) -> None:
        self.facts: list[Fact] = []
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = None if path is None else os.open(path, flags, 0o600)

    def note(self, fact: Fact) -> None:
        """Add one fact; with a file it is kept there alone."""
        if self._descriptor is None:
            self.facts.append(fact)
        else:
            os.write(self._descriptor, as_line(fact))

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_journal(path: Path) -> list[Fact]:
    """Return the facts of a journal's file."""
    return list(_facts(path))


def _facts(path: Path) -> Iterator[Fact]:
    with path.open("rb") as file:
        for line in file:
            yield from_line(line)
