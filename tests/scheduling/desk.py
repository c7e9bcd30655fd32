"""Somebody who works with a scheduler: says the time, knows what is in flight, delivers at once."""

from __future__ import annotations

from typing import Any, Final

from wolkvox_async.model import AttemptOutcome, GapReason, Skipped
from wolkvox_async.scheduling.decisions import AfterFailure, Attempt, Ended, Limits, Requeued, Settled
from wolkvox_async.scheduling.queues import Lane
from wolkvox_async.scheduling.retry import RetryPolicy, ServerPolicy
from wolkvox_async.scheduling.scheduler import Scheduler

from . import samples


class Desk:
    """Calls are named by their token's letter and a number: `A0`, `A1`, `B0`."""

    def __init__(
        self,
        *,
        after_failure: AfterFailure = "hold",
        retry: RetryPolicy | None = None,
        servers: ServerPolicy | None = None,
        **limits: Any,
    ) -> None:
        self.scheduler: Final = Scheduler(Limits(**limits), retry, after_failure=after_failure, servers=servers)
        self.lane: Final = samples.lane()  # unless another is named
        self.now = 0.0
        self.sent: Final[list[str]] = []  # so far, in order
        self._flying: Final[dict[str, Attempt]] = {}

    @property
    def flying(self) -> list[str]:
        """The calls in flight, in the order in which they were sent."""
        return list(self._flying)

    def add(
        self,
        *names: str,
        server: str = "0001",
        lane: Lane | None = None,
        attempts: int = 0,
        due: float | None = None,
    ) -> list[Ended]:
        """Add calls; return those that ended at once."""
        add, now, room = self.scheduler.add, self.now, lane or self.lane
        calls = [samples.call(name, server=server) for name in names]
        ended = [add(call, room, now=now, attempts=attempts, due=due) for call in calls]
        return [each for each in ended if each is not None]

    def start(self) -> list[str]:
        """Start all turns that may start now; return the calls that they start with."""
        started = []
        while (attempt := self.scheduler.take(now=self.now)) is not None:
            started.append(self._sent(attempt))
        return started

    def end(
        self,
        name: str,
        outcome: AttemptOutcome = samples.OK,
        *,
        jitter: float = 0.0,
        open_at: float = 0.0,
        deliver: bool = True,
    ) -> Settled | Requeued:
        """End the attempt in flight of that call; what follows in the turn is sent."""
        attempt = self._flying.pop(name)
        answer = self.scheduler.done(attempt, outcome, now=self.now, jitter=jitter, open_at=open_at)
        if answer.following is not None:
            self._sent(answer.following)
        if deliver and isinstance(answer, Settled):
            self.scheduler.release(attempt.lane)
        return answer

    def postpone(self, name: str, until: float, *, busy: bool = False) -> Settled | None:
        """Put off the attempt in flight of that call."""
        return self._goes_on(self.scheduler.postpone(self._flying.pop(name), now=self.now, until=until, busy=busy))

    def dismiss(self, name: str, outcome: Skipped = samples.NOT_DUE) -> Settled:
        """End the call in flight without its attempt."""
        settled = self.scheduler.dismiss(self._flying.pop(name), outcome, now=self.now)
        self._goes_on(settled)
        return settled

    def give_up(self, name: str, lane: Lane | None = None) -> Ended | GapReason | None:
        """Take back a call whose slot is over."""
        return self.scheduler.give_up(samples.call(name), lane or self.lane, now=self.now)

    def expire(self) -> dict[str, Ended]:
        """End the calls whose patience is over."""
        return {ended.call.id: ended for ended in self.scheduler.expired(now=self.now)}

    def wait(self) -> list[str]:
        """Let time pass until something is due, unless calls may start now; return those that start."""
        if started := self.start():
            return started
        self.now = max(self.now, self.scheduler.next_ready_at() or self.now)
        return self.start()

    def number(self, name: str) -> int:
        """Return which attempt of that call is in flight."""
        return self._flying[name].number

    def run(self) -> list[str]:
        """Let everything end well, the attempt sent first always first; return all that was sent so far."""
        self.start()
        while self._flying:
            self.end(self.flying[0])
            self.start()
        return self.sent

    def _goes_on(self, settled: Settled | None) -> Settled | None:
        if settled is not None and settled.following is not None:
            self._sent(settled.following)
        return settled

    def _sent(self, attempt: Attempt) -> str:
        self._flying[attempt.call.id] = attempt
        self.sent.append(attempt.call.id)
        return attempt.call.id
