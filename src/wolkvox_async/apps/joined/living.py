"""The parent as a program: from the opening of the store to the exit code.

When a signal comes, or the child has nothing more to do, the child drains; what it finishes is
stored and given back. What cannot be given back in time, because the vendor may be at work on a call
that was given up or the store does not answer, is left to run out.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
from array import array
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from wolkvox_async.adapters.nats import NatsStore
from wolkvox_async.adapters.telemetry import library_logger
from wolkvox_async.apps.exits import of_signal
from wolkvox_async.apps.passing import Ending
from wolkvox_async.apps.signals import OwnSignals, Reactions, Signals, StopSignals
from wolkvox_async.apps.working.forking import Forked
from wolkvox_async.apps.working.links import Link
from wolkvox_async.apps.working.shares import Part as Limits
from wolkvox_async.clustering.contender import Identity
from wolkvox_async.clustering.messages import TokenState
from wolkvox_async.clustering.terms import LeaseTerms
from wolkvox_async.errors import StateError, StoreUnavailableError
from wolkvox_async.membership.appender import Appender
from wolkvox_async.membership.member import Clocks, Member, Setting
from wolkvox_async.membership.owner import Parties
from wolkvox_async.membership.strands import Writer
from wolkvox_async.ports import Held, Store

from .errand import Errand, Joining, Shared
from .labour import Outcome
from .parent import ChildDiedError, Crewed, Parent
from .running import Running
from .runs import Runs
from .terms import agreed_terms

_LATE: Final = 5.0  # seconds: for what is still to be stored, or given back, when all is over
_SESSION: Final = 8  # random bytes
_FIRST_TRIES: Final = 20
_BETWEEN_TRIES: Final = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Machine:
    """What is there when parent and child have parted; `name` tells it from the others of the cluster."""

    errand: Errand
    shared: Shared
    joining: Joining
    name: str
    forked: Forked
    signals: Signals = field(default_factory=OwnSignals)


class _Stage:
    """What the signals act on."""

    def __init__(self, link: Link) -> None:
        self._link: Final = link
        self._task: Final = asyncio.current_task()
        self.has_begun = False
        self.stopping: Final = asyncio.Event()

    def stop(self) -> None:
        if not self.has_begun:
            self.abort()
            return
        self._link.post("stop")
        self.stopping.set()

    def abandon(self) -> None:
        if self.has_begun:
            self._link.post("abandon")

    def abort(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def recover(self) -> None:
        if self._task is not None:
            self._task.uncancel()


async def live(machine: Machine) -> Ending:
    """Be one of many machines until a signal comes, or there is nothing more to do; raises as `machine.be_one`."""
    link = Link(machine.forked, Limits(0, 0), array("I"))
    await link.open()
    stage, outcome = _Stage(link), Outcome(stopped=True)
    reactions = Reactions(stage.stop, stage.abandon, stage.abort)
    with _hangups(machine), StopSignals(reactions, machine.errand.drain, machine.signals) as signals:
        try:
            async with await NatsStore.open(machine.joining.store) as store:
                for notice in store.notices:
                    library_logger().warning(notice)
                outcome = await _with_store(machine, store, link, stage)
        except asyncio.CancelledError:
            if signals.received is None:
                raise
            stage.recover()
    if signals.received is not None:
        return Ending(of_signal(signals.received))
    return machine.errand.kind.ending(outcome)


@contextmanager
def _hangups(machine: Machine) -> Iterator[None]:
    """Have SIGHUP reach the child, if it reads the tenants file again then."""
    if not machine.errand.kind.rereads:
        yield
        return

    def tell() -> None:
        with suppress(ProcessLookupError):
            os.kill(machine.forked.pid, signal.SIGHUP)

    machine.signals.listen(signal.SIGHUP, tell)
    try:
        yield
    finally:
        machine.signals.leave_off(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what is being stopped is not to be killed


async def _with_store(machine: Machine, store: NatsStore, link: Link, stage: _Stage) -> Outcome:
    errand, shared = machine.errand, machine.shared
    terms, partitions, is_new = agreed_terms(machine.joining, errand.options.hold, await _first_keys(store))
    _say(machine.name, terms, partitions, is_new=is_new)
    session, longest = secrets.token_hex(_SESSION), errand.longest_interval
    parent = Parent(Crewed(machine.name, link, shared, terms, partitions, errand.kind.name))

    def prune(state: TokenState) -> TokenState:
        return state.pruned(shared.wall(), longest)

    parent.appender = appender = Appender(store, Writer(session, prune), parent)
    setting = Setting(terms, partitions, Identity(machine.name, session), machine.name, longest)
    clocks = Clocks(shared.boot, shared.wall, random.Random().random)  # noqa: S311 - for pauses
    member = parent.member = Member(store, setting, clocks, Parties(parent, parent.permits, appender))
    try:
        async with AsyncExitStack() as stack:
            run = await _in_common(machine, parent, partitions, stack)
            await stack.enter_async_context(member)
            parent.start(partitions, terms.hold + terms.margin, longest, run, store.largest)
            stage.has_begun = True
            await _until_over(parent, stage, errand.drain)
            return parent.outcome or Outcome(stopped=True)
    finally:
        await parent.close()
        link.post("end")
        await appender.close()


async def _first_keys(store: Store) -> Mapping[str, Held]:
    """Return the keys; brokers that have just been started may have no leader for them yet."""
    for _ in range(_FIRST_TRIES):
        try:
            return await store.keys()
        except StoreUnavailableError:
            await asyncio.sleep(_BETWEEN_TRIES)
    return await store.keys()


async def _in_common(
    machine: Machine, parent: Parent, partitions: int, stack: AsyncExitStack
) -> tuple[str, str] | None:
    """Take part in a run that machines have in common, if there is to be one; return its id and its time."""
    errand = machine.errand
    if errand.kind.run is None:
        return None
    store = await stack.enter_async_context(await NatsStore.open(machine.joining.store))
    parent.running = Running(Runs(store), errand.kind.run, errand.subscriptions, partitions)
    await parent.running.open(machine.shared, parent.say)
    return parent.running.run.id, parent.running.run.at


async def _until_over(parent: Parent, stage: _Stage, drain: float) -> None:
    over = asyncio.create_task(parent.over())
    stopping = asyncio.create_task(stage.stopping.wait())
    leaving: asyncio.Task[None] | None = None
    try:
        await asyncio.wait([over, stopping], return_when=asyncio.FIRST_COMPLETED)
        leaving = asyncio.create_task(parent.member.leave())
        if parent.failure is None:
            await asyncio.wait([over], timeout=drain + _LATE)
        await _wind_up(parent, leaving)
    finally:
        for task in (over, stopping, leaving):
            if task is not None:
                task.cancel()


async def _wind_up(parent: Parent, leaving: asyncio.Task[None]) -> None:
    """Store and give back what can be; raises what went wrong."""
    failure = parent.failure
    if failure is not None and not isinstance(failure, ChildDiedError):
        raise failure
    if failure is None and parent.outcome is not None:
        await asyncio.wait([leaving], timeout=_LATE)
    parent.give_up()
    await _within(parent.appender.flush())
    await asyncio.wait([leaving], timeout=_LATE)
    if unstored := parent.appender.unstored():
        raise StateError(f"the store does not answer: the records of {unstored} calls or gaps are lost")
    if failure is not None:
        raise failure


async def _within(doing: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(_LATE):
            await doing
    except TimeoutError:
        pass


def _say(name: str, terms: LeaseTerms, partitions: int, *, is_new: bool) -> None:
    log = library_logger()
    log.info("joined", machine=name, partitions=partitions, lease_seconds=terms.length, hold_seconds=terms.hold)
    if is_new:
        wait = f"{terms.standstill:g} s"
        log.info("this is a new cluster: nothing is called before its leases were seen to be nobody's", waits=wait)
