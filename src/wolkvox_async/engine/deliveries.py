"""From an answer to its settlement: what is not delivered yet, and what everybody is told once it is.

Between its answer and its settlement a call keeps its token: another process that asked
meanwhile would not know that it was asked already. What is never delivered is as if it had
never been asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from wolkvox_async.errors import StateError
from wolkvox_async.marks import Mark
from wolkvox_async.model import Call
from wolkvox_async.ports import State
from wolkvox_async.scheduling.queues import Lane

from .holding import Holder


class Deliveries:
    """Settles what was delivered; `broke` is told when the state cannot be used any more."""

    def __init__(self, state: State, holder: Holder, broke: Callable[[StateError], None]) -> None:
        self._state: Final = state
        self._holder: Final = holder
        self._broke: Final = broke
        self._kept: Final[dict[Lane, deque[Call]]] = {}  # with answers that are not settled, in the order of delivery

    def keep(self, lane: Lane, call: Call) -> None:
        """Hold the token of an answer until it is delivered or forgotten."""
        self._holder.keep(call.operation.token.id)
        kept = self._kept.get(lane)
        if kept is None:
            kept = self._kept[lane] = deque()
        kept.append(call)

    def drop(self, call: Call) -> None:
        """Forget an answer that nobody reads."""
        self._state.disarm(call.operation.token.id, call.question)

    def delivered(self, lane: Lane, run: str, marks: Sequence[Mark], position: int | None) -> None:
        """Settle calls of `run`; their tokens are given back once everybody knows."""
        kept = self._kept.get(lane) or deque()
        tokens = [kept.popleft().operation.token.id for mark in marks if mark.done and kept]

        def done(error: StateError | None) -> None:
            for token in tokens:
                self._holder.drop(token)
            if error is not None:
                self._broke(error)

        self._state.settle(run, marks, position, done)

    def undelivered(self, run: str, marks: Sequence[Mark]) -> None:
        """Take back that calls were delivered."""
        self._state.unsettle(run, marks)

    def forget(self, lane: Lane) -> None:
        """Forget answers that are kept, and give back their tokens: nobody reads them any more."""
        for call in self._kept.pop(lane, ()):
            self.drop(call)
            self._holder.drop(call.operation.token.id)
