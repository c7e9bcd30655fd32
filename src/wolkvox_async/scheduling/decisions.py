"""What goes into the scheduler and what comes out of it.

Two or three values come out for every call. So those are not frozen at run time, where
that makes each three times as dear (1.0 us for 0.3): the type checker holds them frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar, dataclass_transform

from wolkvox_async.model import Call, ErrorKind, Failed, Outcome

from .queues import Lane, State

T = TypeVar("T")
AfterFailure: TypeAlias = Literal["hold", "continue"]


@dataclass_transform(eq_default=True, frozen_default=True)
def _value(kind: type[T]) -> type[T]:
    """Make a slotted dataclass that is frozen to the type checker."""
    return dataclass(slots=True)(kind)


@dataclass_transform(eq_default=False, frozen_default=True)
def _leave(kind: type[T]) -> type[T]:
    """Make one that is equal to nothing but itself."""
    return dataclass(slots=True, eq=False)(kind)


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls in flight in all and per server; a turn's length; pauses in seconds."""

    max_in_flight: int = 1000
    per_server: int = 32
    turn_calls: int = 32
    turn_seconds: float = 5.0
    token_gap: float = 0.0


@_leave
class Attempt:
    """Leave to make one request, once: the call, and which attempt of it this is (from 1)."""

    call: Call
    lane: Lane
    number: int


@_value
class Ended:
    """How one call ended, after how many attempts."""

    call: Call
    lane: Lane
    outcome: Outcome
    attempts: int


@_value
class Settled:
    """The attempt's call ended, and with it those in `skipped`; `following` is next in the turn.

    A call whose attempt was made takes up room of its lane until it is released; one that
    ended without it (`postpone`, `dismiss`) and those in `skipped` take up none.
    """

    ended: Ended
    skipped: tuple[Ended, ...]
    following: Attempt | None


@_value
class Requeued:
    """The call keeps its place and is due again at `ready_at`; `following` is next in the turn."""

    failure: Failed
    ready_at: float
    following: Attempt | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is to see.

    Tokens by state, calls not settled yet (those in flight included), attempts in flight,
    waiting tokens by the failure that they wait after, attempts in flight by server; for
    servers that are down the time of their next probe, and for those whose retries are used
    up the time by which all calls that wait for one have had it.
    """

    tokens: Mapping[State, int]
    queued: int
    in_flight: int
    waiting_after: Mapping[ErrorKind, int]
    servers: Mapping[str, int]
    down: Mapping[str, float]
    short: Mapping[str, float] = field(default_factory=dict)
