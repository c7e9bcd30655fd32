"""What parent and child have in memory when they part, and how a cluster is joined."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from wolkvox_async.adapters.nats import NatsSettings
from wolkvox_async.apps.exits import Exit
from wolkvox_async.apps.passing import Ending
from wolkvox_async.apps.working.frames import Post
from wolkvox_async.planning import Subscription
from wolkvox_async.ports import Clock, Hook
from wolkvox_async.settings.composition import Parts
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options

from .board import LeaseBoard
from .labour import Labour, Outcome
from .quarantine import Asks, Suppose
from .runs import CommonRun
from .state import JoinedState


@dataclass(frozen=True, slots=True)
class Joining:
    """Where the cluster is and on what terms it is joined; None is what the cluster has, or else the default.

    `lease` is in seconds. Only the first machine of a cluster chooses.
    """

    store: NatsSettings
    partitions: int | None = None
    lease: float | None = None
    fast: bool = False


class RunWanted(Protocol):
    """Which run machines are to have in common, and what its records say."""

    def new(self, subscriptions: Sequence[Subscription]) -> CommonRun:
        """Return the run that is begun if there is none."""
        ...

    def started(self, run: CommonRun, subscriptions: Sequence[Subscription], at: datetime) -> bytes:
        """Return the record that opens it."""
        ...

    def finished(self, run: CommonRun, at: datetime) -> bytes:
        """Return the record that closes it."""
        ...

    def wanted(self, subscriptions: Sequence[Subscription], partitions: int) -> list[int]:
        """Return the partitions in which there is anything to do."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """What machines do together, as they call it; `run` where it comes to an end, and how that is said."""

    name: str
    labour: Callable[[Tools], Labour]
    asks: Asks
    suppose: Suppose
    run: RunWanted | None = None
    rereads: bool = False  # on SIGHUP
    ending: Callable[[Outcome], Ending] = lambda _outcome: Ending(Exit.OK)


@dataclass(frozen=True, slots=True)
class Errand:
    """What is to be called; the tokens are resolved. `drain` in seconds.

    `most_in_flight` is this machine's part of what nothing exceeds, where it has only a part.
    """

    tenants: Tenants
    subscriptions: tuple[Subscription, ...]
    options: Options
    drain: float
    parts: Callable[[], Parts]
    kind: Kind
    most_in_flight: int | None = None

    @property
    def longest_interval(self) -> float:
        """The longest time in seconds for which anything is not asked again."""
        least = self.options.interval
        lists = {id(one.wanted): one.wanted for one in self.subscriptions}
        pauses = (each.endpoint.pause(least) for wanted in lists.values() for each in wanted)
        return max(pauses, default=least)


@dataclass(frozen=True, slots=True)
class Shared:
    """What both look at: the board, and the clocks (seconds since the start of the machine, Unix seconds)."""

    board: LeaseBoard
    boot: Callable[[], float]
    wall: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Tools:
    """What a child's labour is done with; `know` is told which operations there are from now on.

    `partitions` is how many there are, `post` tells the parent.
    """

    errand: Errand
    partitions: int
    state: JoinedState
    clock: Clock
    hook: Hook
    know: Callable[[Iterable[Subscription]], None]
    post: Post

    def parts(self) -> Parts:
        """Return what an engine is made of."""
        parts, state = self.errand.parts(), self.state
        hooks = (*parts.hooks, self.hook)
        return replace(parts, clock=self.clock, state=state, hooks=hooks, may_send=state.may_send)
