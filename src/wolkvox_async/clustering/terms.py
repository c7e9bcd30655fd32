"""On what terms partitions are leased: four times, in seconds, the same for everybody in a cluster.

A lease is good for `length` from the moment before it was asked for. It is renewed every
`renewal`. An attempt is begun only if it is over a `margin` before the lease ends; `hold` is how
long the vendor may be at work on one: the longer of the time-out, and of connecting plus the
vendor's own limit. A lease that nobody renewed is taken over when it stood still for `length` and
`margin`, each as its own clock counts; so the margin is also what the rates of two clocks may differ by.

Three renewals have to fit between the last moment to begin and the end: two may fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite
from typing import Final

import orjson

DRIFT: Final = 0.01  # of a lease's length: what the rates of two machines' clocks may differ by
PARTITIONS: Final = 256
_SLACK: Final = 1.1
_SPARED: Final = 3  # renewals that fit in


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """The length, margin, renewal and hold of leases, in seconds."""

    length: float
    margin: float
    renewal: float
    hold: float

    @classmethod
    def default(cls, hold: float) -> LeaseTerms:
        """Return the terms that bear a store which is away for a while; 120 s for a hold of 70 s."""
        return _fitting(hold, renewal=10.0, margin=2.0, step=10)

    @classmethod
    def fast(cls, hold: float) -> LeaseTerms:
        """Return the terms with which the partitions of a dead machine move soon (`--fast-failover`)."""
        return _fitting(hold, renewal=3.0, margin=1.0, step=5)

    @property
    def standstill(self) -> float:
        """For how many seconds a lease must not have moved before somebody else takes it."""
        return self.length + self.margin

    @property
    def silence(self) -> float:
        """After how many seconds without a sign a worker counts as gone."""
        return _SPARED * self.renewal + self.margin

    def complaints(self) -> list[str]:
        """Return what is wrong with them, as texts for whoever chose them; empty if nothing is."""
        times = {"length": self.length, "margin": self.margin, "renewal": self.renewal, "hold": self.hold}
        found = [
            f"the {name} of leases has to be more than 0 s, not {value:g} s"
            for name, value in times.items()
            if not (isfinite(value) and value > 0)
        ]
        return found or [*self._of_margin(), *self._of_length()]

    def _of_margin(self) -> list[str]:
        least = self.length * DRIFT
        if self.margin >= least:
            return []
        short = f"a margin of {self.margin:g} s is too short for leases of {self.length:g} s"
        return [f"{short}, because clocks do not run alike: make it at least {least:g} s"]

    def _of_length(self) -> list[str]:
        least = self.hold + self.margin + _SPARED * self.renewal
        if self.length >= least:
            return []
        parts = f"a call may take {self.hold:g} s, and there are a margin of {self.margin:g} s and three renewals"
        advice = f"make them at least {least:g} s, or the time-out shorter"
        return [f"leases of {self.length:g} s are too short: {parts}; {advice}"]


def _fitting(hold: float, *, renewal: float, margin: float, step: int) -> LeaseTerms:
    margin = max(margin, float(ceil((hold + _SPARED * renewal) / 50)))
    least = hold + margin + _SPARED * renewal
    return LeaseTerms(float(ceil(least * _SLACK / step) * step), margin, renewal, hold)


@dataclass(frozen=True, slots=True)
class ClusterTerms:
    """What everybody in a cluster has to agree on; written by the first machine, and compared ever after."""

    partitions: int
    length: float
    margin: float
    renewal: float

    @classmethod
    def of(cls, terms: LeaseTerms, partitions: int = PARTITIONS) -> ClusterTerms:
        """Return what a machine with these terms would write."""
        return cls(partitions, terms.length, terms.margin, terms.renewal)

    @classmethod
    def decode(cls, value: bytes) -> ClusterTerms:
        """Read them; raises `ValueError` when they are none."""
        try:
            read = orjson.loads(value)
            partitions, times = read["partitions"], [read[name] for name in ("length", "margin", "renewal")]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            partitions, times = None, []
        if isinstance(partitions, int) and all(isinstance(time, int | float) for time in times):
            return cls(partitions, *times)
        raise ValueError("the terms of the cluster cannot be read")

    def encode(self) -> bytes:
        """Write them."""
        return orjson.dumps(self)

    def leases(self, hold: float) -> LeaseTerms:
        """Return the terms of leases for a machine whose calls keep the vendor at work for `hold` seconds."""
        return LeaseTerms(self.length, self.margin, self.renewal, hold)

    def differs(self, ours: ClusterTerms) -> list[str]:
        """Return how what a machine wants differs from what the cluster has, as texts for a person."""
        wanted = {
            "partitions": (self.partitions, ours.partitions, ""),
            "lease length": (self.length, ours.length, " s"),
            "margin": (self.margin, ours.margin, " s"),
            "renewal": (self.renewal, ours.renewal, " s"),
        }
        return [
            f"the cluster's {name} is {theirs:g}{unit}, ours is {own:g}{unit}"
            for name, (theirs, own, unit) in wanted.items()
            if theirs != own
        ]
