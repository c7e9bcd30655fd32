"""How calls end that are not sent, or not once more; they take up no room in their lane."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Final

from wolkvox_async.model import Failed, Skipped

from .decisions import Ended
from .places import Places
from .queues import Entry, Lane, SerialQueue
from .retry import RetryPolicy
from .servers import Server
from .skipping import CLOSING, NEVER_HOLD, held_by, unreachable


class Endings:
    """Ends calls that are queued; `queued` counts those that have not ended, in flight or not."""

    def __init__(self, places: Places, policy: RetryPolicy, *, holds: bool) -> None:
        self.queued = 0
        self._places: Final = places
        self._policy: Final = policy
        self._holds: Final = holds

    def take_out(self, queue: SerialQueue, lane: Lane | None, now: float) -> list[Entry]:
        """Remove what is queued of `lane` (None: of any)."""
        leaving = self._places.take_out(queue, lane, now)
        self.queued -= len(leaving)
        return leaving

    def after(self, failure: Failed, queue: SerialQueue, entry: Entry, now: float, *, holds: bool) -> tuple[Ended, ...]:
        """End the calls that must not follow that of `entry`: all of a closed token, or a held pass's."""
        leaving: list[Entry] = []
        if failure.error.kind in CLOSING:
            queue.closed_by = failure
            leaving = self.take_out(queue, None, now)
        elif holds and self._holds and failure.error.kind not in NEVER_HOLD:
            entry.lane.held[entry.call.operation.token] = failure
            leaving = self.take_out(queue, entry.lane, now)
        return tuple(Ended(each.call, each.lane, held_by(failure), each.attempts) for each in leaving)

    def out_of_patience(self, now: float) -> list[Ended]:
        """End the calls that have waited long enough for their server, or for one of its retries."""
        ended: list[Ended] = []
        while (found := self._places.out_of_patience(now)) is not None:
            server, queue = found
            opened_at = server.circuit.opened_at
            if opened_at is None:
                ended += self._without_retry(queue, now)
            else:
                ended += self._without_server(queue, server, opened_at, now)
            self._places.place(queue, now, since=min(queue.due, now))
        return ended

    def _without_server(self, queue: SerialQueue, server: Server, opened_at: float, now: float) -> list[Ended]:
        def has_waited(entry: Entry) -> bool:
            here = entry.call.operation.server == server.name
            return here and self._policy.is_over(now - max(opened_at, entry.added))

        leaving = list(takewhile(has_waited, queue.entries))
        del queue.entries[: len(leaving)]
        self.queued -= len(leaving)
        return unsent(leaving, unreachable(server.name, now - opened_at))

    def _without_retry(self, queue: SerialQueue, now: float) -> list[Ended]:
        entry = queue.entries.pop(0)
        self.queued -= 1
        if (failure := entry.trials.failure) is None:
            raise AssertionError("only a retry needs a retry")
        held = self.after(failure, queue, entry, now, holds=True)
        return [Ended(entry.call, entry.lane, failure, entry.attempts), *held]


def unsent(leaving: Iterable[Entry], reason: Failed | Skipped) -> list[Ended]:
    """End calls for that `reason`; those that were tried before end with their last failure."""
    return [Ended(entry.call, entry.lane, entry.trials.failure or reason, entry.attempts) for entry in leaving]
