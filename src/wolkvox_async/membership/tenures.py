"""A partition on its way through a member's hands.

    asked for -> loading -> taken -> finishing -> released -> (written free)

It is *asked for* until the store confirms it, and *loading* until the last messages of its tokens
are read; only then may its owner use it. It is *finishing* from when the owner was told to,
and *released* when he says that nothing is in flight or unstored. From everywhere it can be lost.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from math import inf

from wolkvox_async.clustering.holder import Holder

from .owner import Board


class Stage(Enum):
    """How far it has come."""

    ASKED = "asked"
    LOADING = "loading"
    TAKEN = "taken"
    FINISHING = "finishing"
    RELEASED = "released"


@dataclass(slots=True, eq=False)
class Tenure:
    """One of them; a partition that is taken again gets another."""

    partition: int
    holder: Holder
    stage: Stage = Stage.ASKED
    load: asyncio.Task[None] | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether it is not being given back."""
        return self.stage in (Stage.ASKED, Stage.LOADING, Stage.TAKEN)

    @property
    def is_used(self) -> bool:
        """Whether its owner was told of it, and has not finished."""
        return self.stage in (Stage.TAKEN, Stage.FINISHING)

    @property
    def is_confirmed(self) -> bool:
        """Whether the store has confirmed that it is ours."""
        return self.holder.valid_until > -inf

    def publish(self, board: Board) -> None:
        """Have the board say what is so."""
        if self.stage is Stage.TAKEN and self.holder.may_go_on:
            board.permit(self.partition, self.holder.valid_until)
        elif self.is_used:
            board.revoke(self.partition)

    def stop_loading(self) -> None:
        """Give up reading, if it is being read."""
        if self.load is not None:
            self.load.cancel()
            self.load = None
