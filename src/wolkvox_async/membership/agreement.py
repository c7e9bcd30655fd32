"""The terms of a cluster: the first machine writes them, and whoever else comes has to have the same.

They are looked at in every read. Machines that count partitions or seconds differently would
use a token at once, so one that finds other terms has to end; and where the store lost
everything, whoever notices writes them again before anybody takes a partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wolkvox_async.clustering.leases import TERMS_KEY
from wolkvox_async.clustering.terms import ClusterTerms, LeaseTerms
from wolkvox_async.errors import ConfigurationError
from wolkvox_async.ports import Held, Stored

from .keys import Keys


class Agreement:
    """Whether the cluster has our terms; `terms` are the machine's own."""

    def __init__(self, partitions: int, terms: LeaseTerms) -> None:
        self._lease_terms: Final = terms
        self._terms: Final = ClusterTerms.of(terms, partitions)
        self._seen: bytes | None = None  # what was found to be the same
        self.holds = False
        """Whether the cluster had them, when it was looked at last."""

    def check(self, keys: Mapping[str, Held]) -> None:
        """Compare with what was read; raises `ConfigurationError` with all that is wrong, of ours alone too."""
        held = keys.get(TERMS_KEY)
        self.holds = held is not None
        if held is None or held.value != self._seen:
            self._compare(held)

    async def settle(self, keys: Keys) -> None:
        """Write them, where there are none."""
        if not self.holds:
            outcome = await keys.write(TERMS_KEY, 0, self._terms.encode())
            self.holds = isinstance(outcome, Stored)  # else somebody was faster, or the next read tells

    def _compare(self, held: Held | None) -> None:
        mistakes = self._lease_terms.complaints()
        if held is not None:
            mistakes += self._differences(held.value)
        if mistakes:
            raise ConfigurationError(mistakes)
        self._seen = None if held is None else held.value

    def _differences(self, value: bytes) -> list[str]:
        try:
            return ClusterTerms.decode(value).differs(self._terms)
        except ValueError:
            return ["what the store holds are not the terms of a cluster: it is used by something else"]
