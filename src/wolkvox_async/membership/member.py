"""A machine among others: which partitions it has, and for how long.

What is right is decided by `Holder` and `Contender`; this drives them, one *cycle* after the other:

1. read all keys, and let everybody take in what they say;
2. let go of what is over, give back what somebody else ought to have;
3. renew what we have, write free what was released, ask for what we ought to have and may take;
4. write a sign of life.

A cycle comes every half to whole renewal; sooner where the last read was no good, and at once when
whether we are able to work has changed. A store that does not answer is asked again, for ever:
leases end by themselves. Anything else that it raises ends the member, and is told.

A permit is published when the store has confirmed the lease, never before. A lease whose user
shows no sign of life is not renewed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from wolkvox_async.clustering.assignment import assignment
from wolkvox_async.clustering.contender import Claim, Contender, Identity
from wolkvox_async.clustering.holder import ClockWatch
from wolkvox_async.clustering.leases import Worker
from wolkvox_async.clustering.terms import LeaseTerms
from wolkvox_async.errors import UsageError
from wolkvox_async.ports import Store

from .agreement import Agreement
from .backoff import Backoff
from .beats import Beats
from .holdings import Holdings
from .keys import Keys
from .owner import Parties
from .tenures import Stage, Tenure
from .view import ClusterView, view

_PATIENCE: Final = 0.25  # of a renewal: for how long an answer is waited for
_SOON: Final = (0.1, 0.25)  # of a renewal: after which a read is tried again, the first time and later
_AT_ONCE: Final = 100  # writes


@dataclass(frozen=True, slots=True)
class Setting:
    """What a machine brings along: the cluster's terms, who it is, and its tenants' longest interval in seconds."""

    terms: LeaseTerms
    partitions: int
    identity: Identity
    name: str
    longest_interval: float


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds that count while the machine sleeps, Unix seconds, and chance from 0 to 1."""

    boot: Callable[[], float]
    wall: Callable[[], float]
    chance: Callable[[], float]


class Member:
    """A block in which partitions come and go.

    Entering raises `ConfigurationError` when the terms are wrong in themselves. What is found later,
    other terms of the cluster or another machine of our name among it, the owner is told (`broken`).
    Leaving the block lets go of everything at once, and leases have to run out: call `leave` before.
    """

    def __init__(self, store: Store, setting: Setting, clocks: Clocks, parties: Parties) -> None:
        terms = setting.terms
        self._setting: Final = setting
        self._clocks: Final = clocks
        self._parties: Final = parties
        self._keys: Final = Keys(store, terms.renewal * _PATIENCE)
        self._agreement: Final = Agreement(setting.partitions, terms)
        self._contender: Final = Contender(terms, setting.partitions, setting.identity)
        self._beats: Final = Beats(self._contender, setting.identity)
        self._watch: Final = ClockWatch(terms)
        self._holdings: Final = Holdings(terms, clocks.boot, parties, self._fail)
        self._soon: Final = Backoff(*(terms.renewal * part for part in _SOON))
        self._assigned: tuple[list[str], frozenset[int]] = ([], frozenset())  # among these workers, these are ours
        self._able = True
        self._is_leaving = False
        self._is_current = False
        self._has_said_farewell = False
        self._is_urgent = False
        self._failure: Exception | None = None
        self._woken: Final = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._agreement.check({})
        self._task = asyncio.create_task(self._live(), name="wolkvox_async member")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._holdings.close()

    # --- from the owner

    @property
    def able(self) -> bool:
        """Whether this machine can work; one that cannot takes nothing, and gives back what it has."""
        return self._able

    @able.setter
    def able(self, able: bool) -> None:
        if able != self._able:
            self._able = able
            self._hurry()

    def released(self, partition: int) -> None:
        """Say that nothing of a partition is in flight or unstored any more, after `Owner.finish` was called."""
        if self._holdings.released(partition):
            self._woken.set()

    def give_up(self, partition: int) -> None:
        """Let go of a partition whose user was stopped: nobody knows what is in flight, so its lease runs out."""
        self._holdings.give_up(partition)

    async def leave(self) -> None:
        """Give everything back, take nothing more, and return when nothing is left.

        That takes as long as the owner takes to finish, and when the store does not answer no longer
        than leases last.
        """
        if self._task is None:
            raise UsageError("a member that is not there cannot leave")
        self._is_leaving = True
        self._hurry()
        await asyncio.wait([self._task])

    def seen(self) -> ClusterView:
        """Return what is seen of the cluster."""
        return view(self._contender, self._holdings, self._clocks.boot(), is_current=self._is_current)

    def _hurry(self) -> None:
        self._is_urgent = True
        self._woken.set()

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._hurry()

    # --- cycles

    async def _live(self) -> None:
        try:
            while not self._has_left:
                self._is_urgent = False
                await self._cycle()
                await self._rest()
        except Exception as error:  # noqa: BLE001 - whoever it is, the owner hears of it
            self._is_current = False
            try:
                self._holdings.lose_all()
            finally:
                self._parties.owner.broken(error)

    async def _cycle(self) -> None:
        self._look_at_clocks()
        await self._read()
        self._look_at_clocks()
        self._holdings.drop_what_is_over()
        self._holdings.give_back(self._wants)
        await self._agreement.settle(self._keys)
        await self._write()
        await self._beat()

    async def _rest(self) -> None:
        """Wait for the next cycle, writing free what is released meanwhile."""
        clocks, renewal = self._clocks, self._setting.terms.renewal
        seconds = renewal if self._is_current else self._soon.pause()
        over = asyncio.get_running_loop().call_later(seconds * (1 + clocks.chance()) / 2, self._hurry)
        try:
            while not (self._is_urgent or self._has_left):
                await self._woken.wait()
                self._woken.clear()
                await _all([self._holdings.free(tenure, self._keys) for tenure in self._released()])
        finally:
            over.cancel()
        if self._failure is not None:
            raise self._failure

    def _look_at_clocks(self) -> None:
        if not self._watch.look(self._clocks.boot(), self._clocks.wall()):
            self._holdings.lose_all()
            self._go_blind()

    def _go_blind(self) -> None:
        self._is_current = False
        self._contender.blind()
        self._holdings.blind()

    async def _read(self) -> None:
        keys = await self._keys.read()
        if keys is None:
            self._go_blind()
            return
        self._agreement.check(keys)
        self._beats.check(keys)
        self._soon.reset()
        self._is_current = self._contender.observe(keys, self._clocks.boot())
        if self._is_current:
            self._holdings.observe(keys)

    # --- what is written

    async def _write(self) -> None:
        keys, holdings = self._keys, self._holdings
        released = self._released()
        writes = [holdings.free(tenure, keys) for tenure in released]
        writes += [holdings.renew(tenure, keys) for tenure in holdings if tenure not in released]
        writes += [holdings.claim(claim, keys) for claim in self._claims()]
        await _all(writes)

    async def _beat(self) -> None:
        """Write a sign of life, behind all else: a read that shows it shows what was written before."""
        worker = Worker(
            session=self._setting.identity.session,
            counter=0,
            able=self._is_willing,
            name=self._setting.name,
            facts={**self._parties.owner.facts(), "partitions": len(self._holdings)},
        )
        if not await self._beats.give(self._keys, worker):
            self._go_blind()
        self._has_said_farewell = self._is_leaving and not worker.able

    def _released(self) -> list[Tenure]:
        return [tenure for tenure in self._holdings if tenure.stage is Stage.RELEASED]

    def _claims(self) -> list[Claim]:
        if not (self._is_willing and self._is_current and self._agreement.holds):
            return []
        now, quarantine = self._clocks.boot(), self._clocks.wall() + self._setting.longest_interval
        wanted = [partition for partition in sorted(self._ours()) if partition not in self._holdings]
        claims = [self._contender.claimable(partition, now, quarantine) for partition in wanted]
        return [claim for claim in claims if claim is not None]

    # --- what is wanted

    @property
    def _has_left(self) -> bool:
        return self._has_said_farewell and not len(self._holdings)

    @property
    def _is_willing(self) -> bool:
        return self._able and not self._is_leaving

    def _wants(self, partition: int) -> bool:
        return self._is_willing and partition in self._ours()

    def _ours(self) -> frozenset[int]:
        """Return the partitions that we ought to have, among those who can work as far as we see."""
        me = self._setting.identity.worker
        workers = sorted({*self._contender.able(self._clocks.boot()), me})
        if workers != self._assigned[0]:
            shares = assignment(self._setting.partitions, workers)
            self._assigned = (workers, frozenset(partition for partition, worker in shares.items() if worker == me))
        return self._assigned[1]


async def _all(writes: list[Coroutine[Any, Any, None]]) -> None:
    """Do them side by side, so many at once; raises what the first one raised that did."""
    for first in range(0, len(writes), _AT_ONCE):
        done = await asyncio.gather(*writes[first : first + _AT_ONCE], return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException):
                for write in writes[first + _AT_ONCE :]:
                    write.close()
                raise error
