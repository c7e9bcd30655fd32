"""Signs of life: who we are, and whether we are the only one who is called so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wolkvox_async.clustering.contender import Contender, Identity
from wolkvox_async.clustering.leases import Worker, worker_key
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.ports import Conflict, Held, Stored

from .keys import Keys


class Beats:
    """Writes them under our key."""

    def __init__(self, contender: Contender, identity: Identity) -> None:
        self._contender: Final = contender
        self._identity: Final = identity
        self._confirmed = 0  # the revision of the last one

    def check(self, keys: Mapping[str, Held]) -> None:
        """Look for somebody else under our name; raises `ConfigurationError`.

        Whoever came first finds the other one, and has to go: it may have been asleep, and taken for dead.
        """
        held = keys.get(worker_key(self._identity.worker))
        if held is None or not self._confirmed or held.revision <= self._confirmed:
            return
        if Worker.decode(held.value).session != self._identity.session:
            name = self._identity.worker
            raise ConfigurationError([f"another machine has joined as {name}: each needs a name of its own"])

    async def give(self, keys: Keys, worker: Worker) -> bool:
        """Write one, which says what `worker` does; return whether our key was as we know it.

        If not, the store forgot something, or somebody else is called as we are.
        """
        beat = self._contender.beat(worker)
        if beat is None:
            return True
        outcome = await keys.write(worker_key(self._identity.worker), beat[1], beat[0].encode())
        if isinstance(outcome, Stored):
            self._contender.beaten(outcome.number)
            self._confirmed = outcome.number
        return not isinstance(outcome, Conflict)
