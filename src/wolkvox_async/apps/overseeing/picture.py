"""A cluster, made of what was seen of its keys. Pure.

A lease is `renewed` if it was seen to change, and then ends `length` after that at the latest, unless it is
renewed again; a `silent` one did not change while we looked (which says something only if we looked for
longer than a renewal), and is taken over when it was silent for the `standstill` in all; a `free`
one was given back. A partition without any is `unclaimed`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from wolkvox_async.clustering.leases import TERMS_KEY, Lease, Worker, lease_key, worker_of
from wolkvox_async.clustering.terms import ClusterTerms

from .sights import Sight, Sights

_RUN = "r."


class Standing(StrEnum):
    """How a lease stands."""

    RENEWED = "renewed"
    SILENT = "silent"
    FREE = "free"
    UNCLAIMED = "unclaimed"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """A partition; `ends_in` seconds at the most, and until `quarantine` (Unix seconds) what looks due waits."""

    partition: int
    standing: Standing
    owner: str | None = None
    epoch: int | None = None
    seen_ago: float | None = None
    ends_in: float | None = None
    quarantine: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker, seen to live so many seconds ago (None: it gave no sign); `partitions` are leases in its name."""

    id: str
    name: str
    able: bool
    seen_ago: float | None
    partitions: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunSeen:
    """A run of `fetch`: how many partitions are done; `at` is when it was opened, as it stands there."""

    name: str
    id: str
    at: str | float | None
    done: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A cluster that was looked at for some `seconds`; `last` is the sequence of the stream's last message."""

    seconds: float
    terms: ClusterTerms | None
    workers: Sequence[WorkerSeen]
    leases: Sequence[LeaseSeen]
    runs: Sequence[RunSeen]
    last: int

    @property
    def sharing(self) -> Sequence[WorkerSeen]:
        """Return the workers among which partitions are spread."""
        return [worker for worker in self.workers if worker.able and worker.seen_ago is not None]

    @property
    def unevenness(self) -> float | None:
        """Return by which part of an even share the largest or the smallest one differs from it; None without any."""
        shares = [worker.partitions for worker in self.sharing]
        if self.terms is None or not shares:
            return None
        even = self.terms.partitions / len(shares)
        return max(max(shares) - even, even - min(shares)) / even


def picture(sights: Sights, last: int) -> Picture:
    """Return what was seen."""
    terms = terms_of(sights)
    leases = _leases(sights, terms)
    held = Counter(lease.owner for lease in leases if lease.standing is not Standing.FREE)
    found = ((worker_of(key), sight) for key, sight in sights)
    workers = [_worker(name, sight, held[name], sights) for name, sight in found if name is not None]
    runs = [_run(key[len(_RUN) :], sight) for key, sight in sights if key.startswith(_RUN)]
    workers.sort(key=lambda worker: (worker.seen_ago is None, worker.name, worker.id))
    return Picture(sights.seconds, terms, workers, leases, sorted(runs, key=lambda run: (run.id, run.name)), last)


def terms_of(sights: Sights) -> ClusterTerms | None:
    """Return the terms of the cluster; None while there is none."""
    sight = sights.get(TERMS_KEY)
    try:
        return None if sight is None else ClusterTerms.decode(sight.value)
    except ValueError:
        return None


def is_settled(sights: Sights) -> bool:
    """Tell whether everything that may change was seen to, so that there is nothing to wait for."""
    return all(sight.changed_at is not None or not _may_change(key, sight) for key, sight in sights)


def _may_change(key: str, sight: Sight) -> bool:
    if worker_of(key) is not None:
        return True
    lease = _lease(sight.value) if key.startswith("p.") else None
    return lease is not None and not lease.free


def _leases(sights: Sights, terms: ClusterTerms | None) -> list[LeaseSeen]:
    if terms is None:
        return []
    return [_seen(number, sights.get(lease_key(number)), sights, terms) for number in range(terms.partitions)]


def _seen(partition: int, sight: Sight | None, sights: Sights, terms: ClusterTerms) -> LeaseSeen:
    if sight is None:
        return LeaseSeen(partition, Standing.UNCLAIMED)
    lease, ago = _lease(sight.value), sights.ago(sight)
    if lease is None:
        return LeaseSeen(partition, Standing.UNREADABLE)
    standing, ends_in = Standing.FREE, None
    if not lease.free:
        standing = Standing.SILENT if ago is None else Standing.RENEWED
        # It was asked for before it was seen, so it ends before that.
        ends_in = None if ago is None else max(0.0, terms.length - ago)
    return LeaseSeen(partition, standing, lease.owner, lease.epoch, ago, ends_in, lease.quarantine)


def _worker(name: str, sight: Sight, partitions: int, sights: Sights) -> WorkerSeen:
    ago = sights.ago(sight)
    try:
        worker = Worker.decode(sight.value)
    except ValueError:
        return WorkerSeen(name, "", able=False, seen_ago=ago, partitions=partitions, facts={})
    return WorkerSeen(name, worker.name, worker.able, ago, partitions, worker.facts)


def _lease(value: bytes) -> Lease | None:
    try:
        return Lease.decode(value)
    except ValueError:
        return None


def _run(name: str, sight: Sight) -> RunSeen:
    try:
        found = orjson.loads(sight.value)
    except orjson.JSONDecodeError:
        found = None
    fields = found if isinstance(found, dict) else {}
    at, done = fields.get("at"), fields.get("done")
    return RunSeen(
        name,
        str(fields.get("id", "")),
        at if isinstance(at, str | int | float) else None,
        len(done) if isinstance(done, list) else 0,
    )
