"""A child's state without its parent: what it sends is kept, and stored when the test says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from wolkvox_async.apps.joined.board import LeaseBoard
from wolkvox_async.apps.joined.frames import unpacked
from wolkvox_async.apps.joined.post import Outgoing
from wolkvox_async.apps.joined.state import Ground, JoinedState
from wolkvox_async.apps.joined.tenancies import partition_of
from wolkvox_async.catalog import Endpoint
from wolkvox_async.clustering.messages import Entry
from wolkvox_async.errors import StateError
from wolkvox_async.model import Call, Ok, Operation, Outcome, Slot, Token
from wolkvox_async.planning import Question
from wolkvox_async.settlements import Settlement
from wolkvox_async.testing import ManualClock

PARTITIONS: Final = 8
RUN: Final = "01M8094P7A81VQNPQ9ZYKSYNZV"
OPERATION: Final = Operation("acme", "bogota", "0010", Token("a-token-of-nobody"))
TOKEN: Final = OPERATION.token.id
PARTITION: Final = partition_of(TOKEN, PARTITIONS)
SECONDS: Final = 72.0


@dataclass
class Desk:
    """One state, a board that it looks at, and what it has sent."""

    clock: ManualClock = field(default_factory=ManualClock)
    board: LeaseBoard = field(default_factory=lambda: LeaseBoard(PARTITIONS))
    sent: list[tuple[list[Any], bytes]] = field(default_factory=list)
    settled: list[StateError | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.outgoing = Outgoing(self._post, 0.0)
        ground = Ground(self.board, lambda: self.clock.now() + 1000, self.clock, SECONDS, PARTITIONS)
        self.state = JoinedState(ground, self.outgoing)

    def _post(self, *head: Any, tail: bytes = b"") -> None:
        self.sent.append(([*head], tail))

    async def take(self, *, for_seconds: float = 120.0, epoch: int = 3) -> None:
        """Have the token's partition be ours."""
        self.board.permit(PARTITION, self.clock.now() + 1000 + for_seconds)
        self.state.tenancies.take(PARTITION, epoch)
        await self.state.look((TOKEN,))

    async def deliver(self, *settlements: Settlement) -> None:
        """Hand over what ended, as the engine does."""
        from wolkvox_async.marks import mark_of  # noqa: PLC0415

        await self.state.take(RUN, list(settlements))
        self.state.settle(RUN, [mark_of(RUN, one) for one in settlements], None, self.settled.append)

    def entries(self) -> list[tuple[list[Any], Entry]]:
        """Return what was sent as parts."""
        return [
            (list(label), entry)
            for head, tail in self.sent
            if head[0] == "parts"
            for label, entry in unpacked(head[2], tail)
        ]

    def call(self, slot: Slot | None = None) -> Call:
        """Return a call of the token."""
        made = Question.of(Endpoint("interactions"), None, 300.0).call(OPERATION, RUN[:10] + "0" * 16)
        made.slot = slot
        return made

    def settlement(self, outcome: Outcome | None = None, slot: Slot | None = None) -> Settlement:
        """Return how a call ended just now, whose request left two seconds ago."""
        ok = Ok([{"items": "1"}], 200, 200, "found")
        return Settlement(self.call(slot), outcome or ok, 1, self.clock.utc() - timedelta(0), 1.0, 2.0)
