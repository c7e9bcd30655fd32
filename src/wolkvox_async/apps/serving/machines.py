"""The machines that share the work, as this one was last told of them. Pure.

Who has joined no others has no cluster. Each token belongs to one partition, and each partition to at
most one machine: what is nobody's is not called by anybody. What is told of others is some seconds old,
and older while the store does not answer; what is ours is as it is now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that lives; `able`: it can reach the vendor, as far as it knows."""

    id: str
    name: str
    able: bool
    partitions: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """How many partitions there are and who has them, this machine among the others.

    `unstored` parts (a call or a gap with its records) and `stuck` tokens (the store has no room for
    their last part, so they are not called) are those of this machine; `current`: the store answered
    when it was read last.
    """

    partitions: int
    ours: int
    machines: tuple[Machine, ...]
    unstored: int
    stuck: int
    current: bool

    @classmethod
    def told(cls, view: Mapping[str, Any]) -> Self | None:
        """Return the cluster that `view` tells of, by the names that `document` has; None: there is none."""
        if not view:
            return None
        machines = tuple(
            Machine(one["id"], one["name"], bool(one["able"]), one["partitions"]) for one in view["workers"]
        )
        return cls(view["partitions"], view["ours"], machines, view["unstored"], view["stuck"], bool(view["current"]))

    @property
    def others(self) -> int:
        """How many partitions other machines have."""
        return max(0, self._held - self.ours)

    @property
    def nobody(self) -> int:
        """How many partitions no machine has that lives."""
        return max(0, self.partitions - max(self._held, self.ours))

    @property
    def _held(self) -> int:
        return sum(machine.partitions for machine in self.machines)

    def able(self) -> Mapping[bool, int]:
        """Count the machines by whether they can reach the vendor."""
        count = sum(machine.able for machine in self.machines)
        return {True: count, False: len(self.machines) - count}

    def document(self) -> dict[str, Any]:
        """Return it as it is told to programs and to the page."""
        return {
            "partitions": self.partitions,
            "ours": self.ours,
            "nobody": self.nobody,
            "workers": [_document(machine) for machine in self.machines],
            "unstored": self.unstored,
            "stuck": self.stuck,
            "current": self.current,
        }


def _document(machine: Machine) -> dict[str, Any]:
    return {"id": machine.id, "name": machine.name, "able": machine.able, "partitions": machine.partitions}


def document(cluster: Cluster | None) -> dict[str, Any] | None:
    """Return a cluster, if there is one, as it is told."""
    return None if cluster is None else cluster.document()
