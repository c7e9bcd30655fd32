"""One machine of a cluster, from its order to its ending.

In this order: every token is resolved (all mistakes at once, and nothing was started), the child is
forked, the store is opened and the terms are agreed upon, the child is told them, and partitions
come. A signal has the child drain and everything given back.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from wolkvox_async.adapters.state.clocks import machine_clocks
from wolkvox_async.adapters.telemetry import library_logger
from wolkvox_async.apps import passing
from wolkvox_async.apps.exits import Exit, of_signal
from wolkvox_async.apps.signals import OwnSignals, Reactions, Signals, StopSignals
from wolkvox_async.apps.working.forking import can_fork, dismiss, fork_workers
from wolkvox_async.engine.roster import Roster
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.planning import DateRange, Subscription
from wolkvox_async.settings.composition import Parts, resolve_and_warn
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options
from wolkvox_async.settings.resolution import secrets_of

from .board import LeaseBoard
from .child import serve
from .errand import Errand, Joining, Kind, Shared
from .living import Machine, live
from .naming import own_name
from .parent import ChildDiedError

_NO_FORK: Final = "--join: this system cannot fork processes, which a machine of a cluster needs"


class Order(Protocol):
    """What `fetch` and `watch` have in common; see there."""

    @property
    def tenants(self) -> Tenants:
        """The tenants file."""
        ...

    @property
    def options(self) -> Options:
        """How the engine behaves."""
        ...

    @property
    def apis(self) -> Sequence[str]:
        """Which endpoints alone."""
        ...

    @property
    def dates(self) -> DateRange | None:
        """From when to when, where that is to be said."""
        ...

    @property
    def drain(self) -> float:
        """The time for calls in flight to end, in seconds."""
        ...


def join(
    order: Order,
    joining: Joining,
    kind: Kind,
    parts: Callable[[], Parts] = Parts,
) -> passing.Ending:
    """Be one of many machines; raises `ConfigurationError` before anything is called, `StateError` at any time."""
    resolved = resolve(order)
    if isinstance(resolved, passing.Ending):
        return resolved
    try:
        return be_one(Errand(order.tenants, resolved, order.options, order.drain, parts, kind), joining)
    except ChildDiedError as error:
        return passing.Ending(Exit.SOME_FAILED, message=f"the process that calls {error}: start this machine anew")


def resolve(order: Order) -> tuple[Subscription, ...] | passing.Ending:
    """Return what is to be called, with its tokens, unless a signal comes; raises `ConfigurationError`."""
    if not can_fork():
        raise ConfigurationError([_NO_FORK])
    return passing.run(lambda: _prepare(order))


def be_one(
    errand: Errand, joining: Joining, signals: Signals | None = None, beside: Sequence[socket.socket] = ()
) -> passing.Ending:
    """Be one of many machines whose tokens are resolved; raises as `join`, and `ChildDiedError`.

    `signals` are those that reach this process unless others are given; `beside` are sockets that
    are not for the child.
    """
    clocks = machine_clocks()
    shared = Shared(LeaseBoard(), clocks.boottime, clocks.wall)
    gc.freeze()  # what both have in common stays common: no collector goes through it
    with own_name(socket.gethostname()) as name:
        (forked,) = fork_workers([1], lambda channel: passing.run(lambda: serve(errand, shared, channel)), beside)
        try:
            return passing.run(lambda: live(Machine(errand, shared, joining, name, forked, signals or OwnSignals())))
        finally:
            dismiss([forked])


async def _prepare(order: Order) -> tuple[Subscription, ...] | passing.Ending:
    """Resolve the tokens, until a signal comes."""
    found = resolve_and_warn(order.tenants, order.options, secrets_of(order.tenants), library_logger())
    resolving = asyncio.ensure_future(found)

    def give_up() -> None:
        resolving.cancel()

    with StopSignals(Reactions(give_up, give_up, give_up), order.drain) as signals:
        try:
            roster = Roster(await resolving, order.tenants.catalog, order.options.interval)
            return tuple(one for one in roster.choose((), order.apis, order.dates) if one.wanted)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            return passing.Ending(of_signal(signals.received))
