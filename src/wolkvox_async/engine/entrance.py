"""How a call gets into its token's queue: what is known of the token, and whether it may be called at all.

A call that may not be made now ends here, without an attempt; one that is not due yet is
queued for its time.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from wolkvox_async.model import Call, Skipped
from wolkvox_async.ports import Clock, State
from wolkvox_async.scheduling.decisions import Ended
from wolkvox_async.scheduling.queues import Lane
from wolkvox_async.scheduling.scheduler import Scheduler

from .admission import Later
from .endings import Endings
from .permits import Permits
from .roster import Roster


class Entrance:
    """Queues calls, or ends them; `endings` gets those."""

    def __init__(self, scheduler: Scheduler, clock: Clock, state: State, roster: Roster, permits: Permits) -> None:
        self._scheduler: Final = scheduler
        self._clock: Final = clock
        self._state: Final = state
        self._roster: Final = roster
        self._permits: Final = permits
        self.endings: Endings  # which themselves queue calls that go on

    async def look(self, calls: Collection[Call]) -> None:
        """Have the state read what is known of the calls' tokens, and mind what it says of them."""
        tokens = {call.operation.token: call for call in self._roster.all_current(calls)}
        await self._state.look([token.id for token in tokens if not self._scheduler.knows(token)])
        now = self._clock.now()
        for token, call in tokens.items():
            if (refused := self._permits.refusal(call)) is not None:
                failure, until = refused
                self.endings.unsent(self._scheduler.close(token, failure, now=now, until=until))

    def add(
        self, wanted: Call, lane: Lane, attempts: int = 0, now: float | None = None, *, first: bool = False
    ) -> None:
        """Queue a call whose token was looked at, after so many attempts; `first`: before others of its token."""
        now, due = self._clock.now() if now is None else now, None
        verdict = self._permits.verdict(wanted)
        if lane.yields and not attempts and not isinstance(verdict, Skipped):
            verdict = self.endings.spared(wanted, lane) or verdict
        if isinstance(verdict, Skipped) and not lane.closed:
            self.endings.unsent((Ended(wanted, lane, verdict, attempts),))
            return
        if isinstance(verdict, Later):
            due = now + verdict.seconds
        refused = self._scheduler.add(wanted, lane, now=now, attempts=attempts, due=due, first=first)
        if refused is not None:
            self.endings.unsent((refused,))

    def add_first(self, wanted: Call, lane: Lane) -> None:
        """Queue a call before others of its token."""
        self.add(wanted, lane, first=True)
