"""The limits that are found while calls are made: what the flow decides is done to the scheduler."""

from __future__ import annotations

from typing import Final

from wolkvox_async.model import AttemptOutcome, ErrorKind, Failed
from wolkvox_async.scheduling.flow import Flow
from wolkvox_async.scheduling.scheduler import Scheduler


class Regulator:
    """Tells the flow how attempts end, and the scheduler what the flow makes of it."""

    def __init__(self, flow: Flow, scheduler: Scheduler) -> None:
        self._flow: Final = flow
        self._scheduler: Final = scheduler
        self._is_due = False
        self._is_full = False  # a token waited for nothing but a slot, when the last attempt ended

    def note(self, server: str, seconds: float, outcome: AttemptOutcome, now: float) -> None:
        """Take in an attempt that took so many seconds, while it still counts as in flight."""
        if isinstance(outcome, Failed) and outcome.error.kind is ErrorKind.STOPPING:
            return  # it says nothing about its server
        in_flight = self._scheduler.in_flight
        if self._flow.observe(server, seconds, outcome, in_flight, now):
            self._is_due = True
            self._is_full = in_flight >= self._flow.total and self._scheduler.ready > 0

    def regulate(self, now: float) -> bool:
        """Set the limits anew, if it is time; tell whether any was changed."""
        if not self._is_due:
            return False
        self._is_due = False
        resized = self._flow.decide(waiting=self._is_full, now=now)
        if resized is None:
            return False
        if resized.total is not None:
            self._scheduler.resize(resized.total)
        for name, limit in resized.servers.items():
            self._scheduler.resize_server(name, limit)
        return True
