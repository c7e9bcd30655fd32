"""What a member sees of its cluster, for people to see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wolkvox_async.clustering.contender import Contender
from wolkvox_async.clustering.leases import Lease

from .tenures import Stage, Tenure


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker that gave a sign of life of late; `partitions`: how many leases are in its name, `facts`: its own."""

    id: str
    name: str
    able: bool
    partitions: int
    facts: Mapping[str, str | int | float | None]


@dataclass(frozen=True, slots=True)
class Holding:
    """A partition of ours; its lease ends in so many seconds unless it is renewed (None: it is not confirmed)."""

    stage: Stage
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class ClusterView:
    """Workers by id, leases and what is ours by partition; `is_current`: the last read was a good one."""

    workers: tuple[WorkerSeen, ...]
    leases: Mapping[int, Lease]
    ours: Mapping[int, Holding]
    is_current: bool


def view(contender: Contender, tenures: Iterable[Tenure], now: float, *, is_current: bool) -> ClusterView:
    """Return what is seen at `now`, seconds of the boot clock."""
    leases = contender.leases()
    held = Counter(lease.owner for lease in leases.values() if not lease.free)
    workers = sorted(contender.workers(now).items())
    return ClusterView(
        tuple(WorkerSeen(id_, seen.name, seen.able, held[id_], seen.facts) for id_, seen in workers),
        leases,
        {tenure.partition: _holding(tenure, now) for tenure in tenures},
        is_current,
    )


def _holding(tenure: Tenure, now: float) -> Holding:
    return Holding(tenure.stage, tenure.holder.valid_until - now if tenure.is_confirmed else None)
