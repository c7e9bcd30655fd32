"""What happened at the vendor's door, as values: the only thing the judge sees.

Moments are monotonic seconds of one clock. Requests and connections are numbered over
all servers; tokens appear by their ids alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .faults import Effect


# Those that every request has are not frozen: that would double what making one costs. Nobody changes them.
@dataclass(slots=True, unsafe_hash=True)
class Asked:
    """A request came in, to its last byte.

    `tokens` are the ids of the tokens in its headers; `home` is the server that the token
    belongs to, None for a token that nobody gave out; `query` tells one call of a token
    from another.
    """

    at: float
    request: int
    connection: int
    server: str
    method: str
    tokens: tuple[str, ...]
    home: str | None
    api: str
    query: str
    credential_in_url: bool = False
    has_body: bool = False
    trapped: bool = False


@dataclass(slots=True, unsafe_hash=True)
class Answered:
    """The last bytes of an answer are about to be written: the vendor is done with the request."""

    at: float
    request: int
    status: int
    effect: Effect
    rows: int = 0
    items: int = 0


@dataclass(frozen=True, slots=True)
class Dropped:
    """A request will get no whole answer, yet the vendor works on it until `until`."""

    at: float
    request: int
    until: float


@dataclass(frozen=True, slots=True)
class Overhasty:
    """Bytes came in before the answer to the request before them was complete."""

    at: float
    connection: int
    server: str


@dataclass(frozen=True, slots=True)
class Gibberish:
    """Bytes came in that are no HTTP request."""

    at: float
    connection: int
    server: str


@dataclass(slots=True, unsafe_hash=True)
class Disconnected:
    """A connection is gone."""

    at: float
    connection: int


@dataclass(frozen=True, slots=True)
class Crashed:
    """The simulator itself failed; `what` says where."""

    at: float
    server: str
    what: str


Event: TypeAlias = Asked | Answered | Dropped | Overhasty | Gibberish | Disconnected | Crashed
"""What a simulator notes in its journal, in the order in which it happened."""
