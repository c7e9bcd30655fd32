"""What can be observed of the engine, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from wolkvox_async.fields import OutcomeName, outcome_name
from wolkvox_async.model import Call, ErrorKind, GapReason, Operation, Outcome, Slot


# There is one for every call, so it is not frozen at run time, where that would double what making it costs.
@dataclass(slots=True)
class CallSettled:
    """A call ended; `seconds` is how long its last attempt took."""

    call: Call
    outcome: Outcome
    attempts: int
    seconds: float

    @property
    def ended(self) -> OutcomeName:
        """`ok`, `empty`, `failed` or `skipped`."""
        return outcome_name(self.outcome)


@dataclass(frozen=True, slots=True)
class CallCut:
    """An answer was cut off, or too large to keep: its `rows` are dropped, and its call goes on as the parts of it.

    `attempts` requests were made for it, the last of which took so many `seconds`. It ends
    with no `CallSettled`: its parts do.
    """

    call: Call
    rows: int
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


@dataclass(frozen=True, slots=True)
class SlotMissed:
    """While watching, nothing was captured in a slot, and why."""

    operation: Operation
    api: str
    slot: Slot
    reason: GapReason


Event: TypeAlias = CallSettled | CallCut | AttemptFailed | TokenClosed | SlotMissed
"""What a hook hears of; more kinds may be added, so a hook passes over those it does not know."""


class Hook(Protocol):
    """Observes the engine; must not block, and what it raises is reported, not obeyed."""

    def observe(self, event: Event) -> None:
        """Take notice of `event`."""
        ...
