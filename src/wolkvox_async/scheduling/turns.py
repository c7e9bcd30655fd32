"""A token's turn: it has a slot, and makes its ready calls to one server back to back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from .decisions import Attempt, Limits
from .places import Places
from .queues import Past, SerialQueue, at_least_one
from .servers import Server

# A turn that has begun may go on while its lane has so many times its room in use: a reader
# that is a little late must not cost every turn its connection.
_OVERDRAFT: Final = 2


@dataclass(slots=True, eq=False)
class Turn:
    """Whose it is and with which server, since when (monotonic seconds), and its attempts so far."""

    queue: SerialQueue
    server: Server
    started: float
    calls: int = 0


class Turns:
    """Starts turns, goes on with them, and ends them; `most` may be in flight at once."""

    def __init__(self, places: Places, limits: Limits) -> None:
        self.most = limits.max_in_flight
        self.in_flight: Final[dict[Attempt, Turn]] = {}
        self._places: Final = places
        self._longest: Final = limits.turn_calls
        self._seconds: Final = limits.turn_seconds

    def resize(self, most: int) -> None:
        """Let so many be in flight; turns end after their current call while there are more."""
        self.most = at_least_one(most)

    def start(self, queue: SerialQueue, server: Server, now: float) -> Attempt:
        """Give `queue`, which was admitted, a slot; return its first attempt."""
        server.used += 1
        if server.circuit.opened_at is not None:
            server.start_probe(queue)
        return self._launch(Turn(queue, server, now), now)

    def come_back(self, attempt: Attempt) -> Turn:
        """Return the turn of an attempt that is over; raises `ValueError` when it is not in flight, or no longer."""
        turn = self.in_flight.pop(attempt, None)
        if turn is None:
            raise ValueError("this attempt is not in flight")
        return turn

    def call_off(self, attempt: Attempt) -> Turn:
        """Undo that the attempt was launched: it is not made after all; raises `ValueError` as `come_back` does."""
        turn = self.come_back(attempt)
        if turn.queue.owes:
            turn.server.retries.give_back()
        self._places.give_back(attempt.lane.budget)
        return turn

    def go_on(self, turn: Turn, now: float) -> Attempt | None:
        """Return the next attempt of the turn; None when that was its end."""
        if self._goes_on(turn, now):
            return self._launch(turn, now)
        self.end(turn, now)
        return None

    def follow(self, turn: Turn, now: float) -> Attempt | None:
        """Go on after the turn's call is over."""
        if not turn.queue.advance(now):
            self._give_back(turn, now)
            self._places.leave(turn.queue, now)
        elif self._goes_on(turn, now):
            return self._launch(turn, now)
        else:
            self.end(turn, now)
        return None

    def end(self, turn: Turn, now: float) -> None:
        """Take the slot back and have the token queue last."""
        # Those who waited are woken before the token queues again; due earlier, they also go before it.
        self._give_back(turn, now)
        self._places.arm(turn.queue, now, since=now)

    def _give_back(self, turn: Turn, now: float) -> None:
        server = turn.server
        server.used -= 1
        if server.probing is turn.queue:
            server.probing = None
        if server.crowded and server.used < server.limit:
            self._places.wake_server(server, now)

    def _launch(self, turn: Turn, now: float) -> Attempt:
        queue, server = turn.queue, turn.server
        number, past = 1, queue.past
        if past is not None:
            number += past.attempts
            if past.trials.owes:
                self._draw(past, turn, now)
        queue.lane.budget.used += 1
        turn.calls += 1
        if server.crowded and server.used < server.limit:
            self._places.wake_server(server, now)
        attempt = Attempt(queue.call, queue.lane, number)
        self.in_flight[attempt] = turn
        return attempt

    def _draw(self, past: Past, turn: Turn, now: float) -> None:
        """Have a retry draw on its server's budget; the probe has nothing to pay."""
        if turn.server.probing is turn.queue:
            past.trials = replace(past.trials, owes=False)
        else:
            turn.server.retries.draw(now)

    def _goes_on(self, turn: Turn, now: float) -> bool:
        queue, server = turn.queue, turn.server
        lane = queue.lane
        budget = lane.budget
        return (
            turn.calls < self._longest
            and now - turn.started < self._seconds
            and (queue.past is None or queue.past.due <= now)
            and queue.call.operation.server == server.name
            and budget.used < _OVERDRAFT * budget.limit
            and len(self.in_flight) < self.most
            and server.goes_on_with(queue, now)
            and not (lane.yields and self._places.is_waited_for(server))
        )
