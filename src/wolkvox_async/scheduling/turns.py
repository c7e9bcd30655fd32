"""A token's turn: it has a slot, and makes its ready calls to one server back to back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from .decisions import Attempt, Limits
from .places import Places
from .queues import Budget, SerialQueue, State
from .servers import Server


# A turn that has begun may go on while its lane has so many times its room in use: a reader
# that is a little late must not cost every turn its connection.
_OVERDRAFT: Final = 2


class Turns:
    """Starts turns, goes on with them, and ends them."""

    def __init__(self, places: Places, limits: Limits) -> None:
        self.slots: Final = Budget(limits.max_in_flight)
        self._places: Final = places
        self._limits: Final = limits

    def start(self, queue: SerialQueue, server: Server, now: float) -> Attempt:
        """Give `queue`, which was admitted, a slot; return its first attempt."""
        self.slots.used += 1
        server.used += 1
        if server.is_down:
            server.start_probe(queue)
        queue.turn_started, queue.turn_calls = now, 0
        self._places.move(queue, State.IN_FLIGHT)
        return self._launch(queue, server, now)

    def go_on(self, queue: SerialQueue, server: Server, now: float) -> Attempt | None:
        """Return the next attempt of the turn; None when that was its end."""
        if self._goes_on(queue, server, now):
            return self._launch(queue, server, now)
        self.end(queue, server, now)
        return None

    def end(self, queue: SerialQueue, server: Server, now: float) -> None:
        """Take the slot back and have the token queue last."""
        self.slots.used -= 1
        server.used -= 1
        if server.probing is queue:
            server.probing = None
        # Those who waited are woken before the token queues again; due earlier, they also go before it.
        self._places.wake_server(server, now)
        self._places.place(queue, now, since=now)

    def in_flight(self, attempt: Attempt) -> SerialQueue:
        """Return the queue of an attempt; raises `ValueError` when that is not in flight, or no longer."""
        queue = self._places.queues.get(attempt.call.operation.token)
        if queue is not None and queue.state is State.IN_FLIGHT:
            entry = queue.entries[0]
            if entry.call is attempt.call and entry.attempts + 1 == attempt.number:
                return queue
        raise ValueError("this attempt is not in flight")

    def call_off(self, queue: SerialQueue, server: Server) -> None:
        """Undo that the attempt was launched: it is not made after all."""
        entry = queue.head
        if entry.trials.owes:
            server.retries -= 1
        self._places.give_back(entry.lane.budget)

    def _launch(self, queue: SerialQueue, server: Server, now: float) -> Attempt:
        entry = queue.entries[0]
        entry.lane.budget.used += 1
        queue.turn_calls += 1
        if entry.trials.owes:
            if server.probing is queue:
                entry.trials = replace(entry.trials, owes=False)
            else:
                server.retries += 1
        if server.crowded:
            self._places.wake_server(server, now)
        return Attempt(entry.call, entry.lane, entry.attempts + 1)

    def _goes_on(self, queue: SerialQueue, server: Server, now: float) -> bool:
        if not queue.entries or queue.turn_calls >= self._limits.turn_calls:
            return False
        entry = queue.entries[0]
        return (
            queue.head_due() <= now
            and now - queue.turn_started < self._limits.turn_seconds
            and entry.call.operation.server == server.name
            and entry.lane.budget.used < _OVERDRAFT * entry.lane.budget.limit
            and server.goes_on_with(queue, entry)
        )
