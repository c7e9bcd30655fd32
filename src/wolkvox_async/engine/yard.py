"""What a run is made of, and what it needs of its engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from wolkvox_async.marks import Mark, SlotMark
from wolkvox_async.model import Call, GapReason
from wolkvox_async.ports import Clock, OpenRun, RunOrder
from wolkvox_async.scheduling.queues import Lane

from .spare import Spare

if TYPE_CHECKING:
    from .passes import Run


class Yard(Protocol):
    """What a pass needs of its engine."""

    async def open(self, records: Run[Any], order: RunOrder) -> OpenRun:
        """Begin or take up a run, which from now on is told when it is to stop."""

    async def queue(self, records: Run[Any], calls: list[Call]) -> None:
        """Read what is known of the tokens of `calls`, and queue these on the pass's lane."""

    async def appetite(self, records: Run[Any]) -> None:
        """Wait until more calls of the pass are of use."""

    def room(self, lane: Lane, units: int) -> None:
        """Give `units` of room back to `lane`."""

    def delivered(self, records: Run[Any], marks: Sequence[Mark], position: int | None) -> None:
        """Settle calls that were delivered; the output ends at `position` behind them."""

    def ended(self, marks: Sequence[SlotMark]) -> None:
        """Note slots whose end was delivered."""

    def give_up(self, records: Run[Any], call: Call) -> GapReason | None:
        """Take back a call of a slot; return what it waited for if it was never sent."""

    def undelivered(self, records: Run[Any], marks: Sequence[Mark]) -> None:
        """Take back that calls were delivered."""

    def end(self, records: Run[Any]) -> None:
        """Forget what is queued of the pass."""

    async def close(self, records: Run[Any]) -> None:
        """Let go of the pass's run."""


class Supply(Protocol):
    """Where the calls of a pass come from."""

    @property
    def begun(self) -> int:
        """How many calls were queued."""

    @property
    def spared(self) -> int:
        """How many calls the run has settled before."""

    @property
    def is_over(self) -> bool:
        """Whether there will be no more."""

    async def begin(self) -> None:
        """Queue the first calls, and go on in the background."""

    def stop(self) -> None:
        """Queue nothing more: the pass was left."""

    async def ended(self) -> None:
        """Return when nothing goes on in the background any more."""


@dataclass(frozen=True, slots=True)
class PassParts:
    """What a pass is made of; `counts` (of calls, by operation) and `supply` are called when it is entered."""

    order: RunOrder
    lane: Lane
    clock: Clock
    version: str
    counts: Callable[[OpenRun], Iterator[int]]
    supply: Callable[[Any, OpenRun], Supply]  # to the run, as it was opened
    spare: Spare | None = None  # of a backfill: what it may take of the quotas
