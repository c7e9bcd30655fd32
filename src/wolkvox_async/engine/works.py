"""What calls go through in an engine, from their queue to their settlement; runs and single calls have it in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wolkvox_async.ports import Clock, State
from wolkvox_async.scheduling.scheduler import Scheduler

from .deliveries import Deliveries
from .endings import Endings
from .entrance import Entrance
from .feeding import Appetite
from .lifetime import Lifetime
from .roster import Roster


@dataclass(frozen=True, slots=True)
class Works:
    """What calls go through; `dispatch` has what can start begin."""

    lifetime: Lifetime
    scheduler: Scheduler
    clock: Clock
    state: State
    roster: Roster
    entrance: Entrance
    endings: Endings
    deliveries: Deliveries
    appetite: Appetite
    dispatch: Callable[[], None]
