"""What the engine needs from outside, as Protocols.

Adapters fulfil them for real, `wolkvox_async.testing` with doubles that one could ship,
and an embedding service with its own. No type of any library crosses a port.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from .model import Answer, Breakdown, Call, ErrorKind, Operation, Outcome, Token


class Alarm(Protocol):
    """A set alarm; cancelling one that has gone off does nothing."""

    def cancel(self) -> None:
        """Have it not ring."""
        ...


class Clock(Protocol):
    """Time: monotonic seconds for decisions, UTC for what people read."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    def utc(self) -> datetime:
        """Return the wall clock's time, aware, in UTC."""
        ...

    def alarm(self, when: float, ring: Callable[[], None]) -> Alarm:
        """Have `ring` called, from the event loop, once `now()` reaches `when`."""
        ...


class Turn(Protocol):
    """One token's turn: at most one connection, which serves no other token."""

    async def attempt(self, call: Call) -> Answer | Breakdown:
        """Make one attempt: at most one request on the wire, and the truth about it.

        Never raises for anything the network does. When cancelled, the connection is
        closed; the request may have left.
        """
        ...

    def distrust(self) -> None:
        """Close the connection, if there is one: the next attempt opens another."""
        ...


class Transport(Protocol):
    """Opens turns; owns whatever they share (TLS context, resolver)."""

    def turn(self, operation: Operation) -> AbstractAsyncContextManager[Turn]:
        """Open a turn of `operation`'s token; leaving it closes its connection."""
        ...

    async def close(self) -> None:
        """Close everything; nothing is left behind when this returns."""
        ...


class Sink(Protocol):
    """Where records go as bytes."""

    async def write(self, lines: bytes) -> None:
        """Deliver whole lines; when it returns they are delivered.

        Raises `OutputError` when they cannot be.
        """
        ...


class TokenSource(Protocol):
    """Resolves an operation's token reference again, after the vendor refused the token."""

    async def resolve(self, operation: Operation) -> Token | None:
        """Return the token that the reference gives now; None when it gives none."""
        ...


@dataclass(frozen=True, slots=True)
class CallSettled:
    """A call ended; `seconds` is how long its last attempt took."""

    call: Call
    outcome: Outcome
    attempts: int
    seconds: float


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """An attempt failed; `retry_in` is the pause in seconds, None when there is no retry."""

    call: Call
    kind: ErrorKind
    message: str
    number: int
    retry_in: float | None


@dataclass(frozen=True, slots=True)
class TokenClosed:
    """A token is out of use for `seconds`, because of `kind`."""

    operation: Operation
    kind: ErrorKind
    seconds: float


Event: TypeAlias = CallSettled | AttemptFailed | TokenClosed


class Hook(Protocol):
    """Observes the engine; must not block, and what it raises is reported, not obeyed."""

    def observe(self, event: Event) -> None:
        """Take notice of `event`."""
        ...
