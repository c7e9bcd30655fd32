"""How calls end that are not sent, or not once more; they take up no room in their lane."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Final

from wolkvox_async.model import Call, ErrorKind, Failed, Skipped

from .decisions import Ended
from .places import Places
from .queues import Entry, Lane, Past, SerialQueue
from .retry import RetryPolicy
from .servers import Server
from .skipping import CLOSING, NEVER_HOLD, REFUSALS, held_by, unreachable


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

    def take_call(self, queue: SerialQueue, call: str, now: float) -> Entry | None:
        """Remove the call of that id, unless it is in flight."""
        entry = self._places.take_call(queue, call, now)
        self.queued -= entry is not None
        return entry

    def after(self, failure: Failed, queue: SerialQueue, *, holds: bool) -> tuple[Ended, ...]:
        """End the calls that must not follow the first one of `queue`: all of a closed token, or a held pass's."""
        if failure.error.kind in CLOSING:
            if failure.error.kind in REFUSALS:
                queue.lane.held[queue.token] = failure  # for the rest of the run, however long that is
            leaving = self._refused(queue, failure)
        elif holds and self._holds and queue.lane.holds and failure.error.kind not in NEVER_HOLD:
            queue.lane.held[queue.token] = failure
            leaving = queue.take_rest(queue.lane)
        else:
            return ()
        self.queued -= len(leaving)
        return tuple(Ended(call, lane, held_by(failure), attempts(past)) for call, lane, _, past in leaving)

    def _refused(self, queue: SerialQueue, failure: Failed) -> list[Entry]:
        behind = queue.take_rest(None)
        trying = [entry for entry in behind if tries(entry[0], failure)]
        for entry in trying:
            queue.append(entry)
        past = queue.history()
        if trying:
            past.open_at = 0.0
        else:
            past.closed_by = failure
        return [entry for entry in behind if not tries(entry[0], failure)]

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
        return ended

    def _without_server(self, queue: SerialQueue, server: Server, opened_at: float, now: float) -> list[Ended]:
        def has_waited(entry: Entry) -> bool:
            call, _, added, _ = entry
            return call.operation.server == server.name and self._policy.is_over(now - max(opened_at, added))

        entries = queue.entries()
        leaving = list(takewhile(has_waited, entries))
        self.queued -= len(leaving)
        self._places.lose_first(queue, entries[len(leaving) :], now)
        return unsent(leaving, unreachable(server.name, now - opened_at))

    def _without_retry(self, queue: SerialQueue, now: float) -> list[Ended]:
        if queue.past is None or (failure := queue.past.trials.failure) is None:
            raise AssertionError("only a retry needs a retry")
        ended = Ended(queue.call, queue.lane, failure, queue.past.attempts)
        held = self.after(failure, queue, holds=True)
        self.queued -= 1
        self._places.lose_first(queue, queue.entries()[1:], now)
        return [ended, *held]


def tries(call: Call, failure: Failed) -> bool:
    """Tell whether a call tries although the token was closed: what a closing reading misses is lost."""
    return failure.error.kind is ErrorKind.QUOTA and call.is_closing


def unsent(leaving: Iterable[Entry], reason: Failed | Skipped) -> list[Ended]:
    """End calls for that `reason`; those that were tried before end with their last failure."""
    return [Ended(call, lane, last_failure(past) or reason, attempts(past)) for call, lane, _, past in leaving]


def attempts(past: Past | None) -> int:
    """Return how many attempts a call had."""
    return 0 if past is None else past.attempts


def last_failure(past: Past | None) -> Failed | None:
    """Return what a call's last attempt ended with, if it was tried here."""
    return None if past is None else past.trials.failure
