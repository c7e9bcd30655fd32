"""The partitions that a member has: their leases written, their tokens read, their owner and the board told.

The board and the owner hear of a partition in this order: permitted, taken; revoked, to be
finished; revoked, lost. What is lost while it is loading the owner never hears of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from wolkvox_async.clustering.contender import Claim
from wolkvox_async.clustering.holder import Holder
from wolkvox_async.clustering.leases import Lease, lease_key
from wolkvox_async.clustering.terms import LeaseTerms
from wolkvox_async.errors import StoreUnavailableError
from wolkvox_async.ports import Conflict, Held, Stored

from .backoff import Backoff
from .keys import Keys
from .owner import Parties, Taking
from .tenures import Stage, Tenure

_LOADS: Final = 4  # partitions that are read at once
_LOAD_PAUSE: Final = (0.5, 5.0)  # seconds, where the store does not answer


class Holdings:
    """By partition; `boot` is the clock that counts while a machine sleeps."""

    def __init__(
        self, terms: LeaseTerms, boot: Callable[[], float], parties: Parties, failed: Callable[[Exception], None]
    ) -> None:
        """`failed` is called when a partition cannot be read, and not because the store does not answer."""
        self._terms: Final = terms
        self._boot: Final = boot
        self._owner: Final = parties.owner
        self._board: Final = parties.board
        self._records: Final = parties.records
        self._failed: Final = failed
        self._tenures: Final[dict[int, Tenure]] = {}
        self._loads: Final[set[asyncio.Task[None]]] = set()

    def __iter__(self) -> Iterator[Tenure]:
        return iter(list(self._tenures.values()))

    def __len__(self) -> int:
        return len(self._tenures)

    def __contains__(self, partition: int) -> bool:
        return partition in self._tenures

    # --- what a read says

    def observe(self, keys: Mapping[str, Held]) -> None:
        """Take in a read that counts."""
        for tenure in self:
            tenure.holder.observe(keys.get(lease_key(tenure.partition)))
            self._look(tenure)

    def blind(self) -> None:
        """Take in that nothing is known of the store for now."""
        for tenure in self:
            tenure.holder.blind()

    def drop_what_is_over(self) -> None:
        """Let go of what is ours no more."""
        self._lose([tenure for tenure in self if tenure.holder.is_over(self._boot())])

    def lose_all(self) -> None:
        """Take in that nothing is ours."""
        self._lose(list(self))

    # --- giving back

    def give_back(self, keep: Callable[[int], bool]) -> None:
        """Have everything finished that is not to be kept."""
        for tenure in self:
            if tenure.is_wanted and not keep(tenure.partition):
                self._give_back(tenure)

    def released(self, partition: int) -> bool:
        """Take in that nothing of a partition is in flight or unstored; return whether that was awaited."""
        tenure = self._tenures.get(partition)
        if tenure is None or tenure.stage is not Stage.FINISHING:
            return False
        tenure.stage = Stage.RELEASED
        return True

    def give_up(self, partition: int) -> None:
        """Let go of a partition as it is: its lease has to run out."""
        tenure = self._tenures.pop(partition, None)
        if tenure is not None:
            self._let_go(tenure)

    def _give_back(self, tenure: Tenure) -> None:
        tenure.holder.leave()
        if tenure.stage is Stage.TAKEN:
            tenure.stage = Stage.FINISHING
            self._board.revoke(tenure.partition)
            self._owner.finish(tenure.partition)
        else:
            tenure.stop_loading()
            tenure.stage = Stage.RELEASED

    def _lose(self, tenures: Sequence[Tenure]) -> None:
        for tenure in tenures:
            del self._tenures[tenure.partition]
            self._let_go(tenure)
        for tenure in tenures:  # the board first, for all: what the owner raises must not keep a permit
            if tenure.is_used:
                self._owner.lost(tenure.partition)

    def _let_go(self, tenure: Tenure) -> None:
        tenure.stop_loading()
        self._board.revoke(tenure.partition)
        self._records.forget(tenure.partition)

    # --- what is written

    async def claim(self, claim: Claim, keys: Keys) -> None:
        """Ask for a partition."""
        holder = Holder(self._terms, claim.lease, claim.expected, self._boot())
        tenure = self._tenures[claim.partition] = Tenure(claim.partition, holder)
        await self._write(tenure, claim.lease, keys)

    async def renew(self, tenure: Tenure, keys: Keys) -> None:
        """Write a lease anew, if that may be done."""
        if tenure.is_used and not self._owner.may_renew(tenure.partition):
            return
        lease = tenure.holder.next(self._boot())
        if lease is not None:
            await self._write(tenure, lease, keys)

    async def free(self, tenure: Tenure, keys: Keys) -> None:
        """Write a released lease free, if that may be done; it is over with that, whatever becomes of the write."""
        expected = tenure.holder.expected
        lease = tenure.holder.freed(self._boot())
        if lease is not None:
            del self._tenures[tenure.partition]
            self._let_go(tenure)
            await keys.write(lease_key(tenure.partition), expected, lease.encode())

    async def _write(self, tenure: Tenure, lease: Lease, keys: Keys) -> None:
        outcome = await keys.write(lease_key(tenure.partition), tenure.holder.expected, lease.encode())
        if isinstance(outcome, Stored):
            tenure.holder.stored(outcome.number)
        elif isinstance(outcome, Conflict):
            tenure.holder.conflicted()
        if self._tenures.get(tenure.partition) is tenure:  # it was not given up meanwhile
            self._look(tenure)

    def _look(self, tenure: Tenure) -> None:
        """Act on what has become of a lease."""
        if tenure.stage is Stage.ASKED and tenure.is_confirmed:
            tenure.stage = Stage.LOADING
            self._start_loading()
        tenure.publish(self._board)

    # --- reading what is known of tokens

    def _start_loading(self) -> None:
        for tenure in self:
            if len(self._loads) >= _LOADS:
                return
            if tenure.stage is Stage.LOADING and tenure.load is None:
                tenure.load = asyncio.create_task(self._load(tenure))
                self._loads.add(tenure.load)
                tenure.load.add_done_callback(self._ended)

    async def _load(self, tenure: Tenure) -> None:
        tokens, pauses = None, Backoff(*_LOAD_PAUSE)
        while tokens is None:
            try:
                tokens = await self._records.load(tenure.partition)
            except StoreUnavailableError:
                await asyncio.sleep(pauses.pause())
        tenure.load = None
        tenure.stage = Stage.TAKEN
        tenure.publish(self._board)
        lease = tenure.holder.lease
        self._owner.taken(Taking(tenure.partition, lease.epoch, lease.quarantine, tokens))

    def _ended(self, load: asyncio.Task[None]) -> None:
        self._loads.discard(load)
        if not load.cancelled() and isinstance(error := load.exception(), Exception):
            self._failed(error)
        self._start_loading()

    async def close(self) -> None:
        """Let go of everything; nothing is written."""
        self.lose_all()
        await asyncio.gather(*self._loads, return_exceptions=True)
