"""Where machines that share tokens agree: keys that are changed by comparing, and a stream of records.

Nothing in it is a lock: no clock of the store, no expiry and no closed connection takes part in
anything that has to be right. What is asked of a store is little, so that several can be one:

- a *key* has a value and a revision, which grows with every write; `cas` writes if the revision
  is the expected one, and tells the new one;
- the *stream* has messages, each of one token, numbered over all tokens by a growing sequence.
  `append` writes a message if the token's last one is the expected one. The last message of a
  token is what is known of it, so it is kept for good; a full store refuses, and drops nothing.

Every method but `close` raises `StoreUnavailableError` when no answer came in time. What was to be
written is then unknown: it may have been written, and may yet be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Held:
    """The value of a key, and its revision."""

    revision: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the stream."""

    sequence: int
    partition: int
    token: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """A message to be appended, if the token's last one has the sequence `expected` (0: it has none)."""

    partition: int
    token: str
    expected: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """It was written, and has this number: a revision, or a sequence."""

    number: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """It was not written: what was expected is not so."""


@dataclass(frozen=True, slots=True)
class Full:
    """It was not written: the store takes nothing more."""


Appended: TypeAlias = Stored | Conflict | Full


class Store(Protocol):
    """Keys and a stream; partitions are numbers from 0 up, tokens are token ids."""

    async def keys(self) -> Mapping[str, Held]:
        """Return all keys; they may be a little old, because `cas` decides.

        After the connection was lost it raises `StoreUnavailableError` once, even if there is a
        new one: a store that came back may have forgotten what it confirmed last, and whoever
        watches keys has to begin anew. Until it has, `cas` raises as well; see there.
        """
        ...

    async def cas(self, key: str, expected: int, value: bytes) -> Stored | Conflict:
        """Write a key whose revision is `expected` (0: it does not exist).

        The write goes over the connection that brought the last keys, or not at all: what rests on
        what a store said before it went away is not to reach it when it has come back, for it may
        have forgotten that, and give the same revisions to others.
        """
        ...

    def load(self, partition: int) -> AsyncIterator[Message]:
        """Yield the last message of each token of a partition."""
        ...

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        """Append messages, no two of one token; what became of each stands at its place."""
        ...

    async def last(self, partition: int, token: str) -> Message | None:
        """Return the last message of a token, as it is now."""
        ...

    async def tail(self, after: int, most: int) -> Sequence[Message]:
        """Return the messages behind the sequence `after` in their order, at most so many; none when there are none."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...
