"""What stands in the keys of a cluster, and how the keys are called.

There are four kinds: `c` holds the terms of the cluster, `p.<n>` the lease of a partition,
`w.<id>` the beat of a worker, `r.<name>` a run of `fetch`. A value is JSON; fields that nobody
here knows are passed over, so that a cluster can be brought to a new version machine by machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Protocol

import orjson

TERMS_KEY: Final = "c"
_WORKER: Final = "w."


class Reading(Protocol):
    """The value of a key and its revision, as a store gives them."""

    @property
    def revision(self) -> int:
        """A number that grows with every write; a store that forgot writes may give it again."""
        ...

    @property
    def value(self) -> bytes:
        """What was written."""
        ...


def lease_key(partition: int) -> str:
    """Return the key of a partition's lease."""
    return f"p.{partition}"


def worker_key(worker: str) -> str:
    """Return the key of a worker's beat."""
    return _WORKER + worker


def worker_of(key: str) -> str | None:
    """Return whose beat stands in a key; None when it is another kind of key."""
    return key[len(_WORKER) :] if key.startswith(_WORKER) else None


@dataclass(frozen=True, slots=True)
class Lease:
    """Who has a partition; no two writes are alike.

    `session` tells one life of a process from the next, `claim` one claim of it from the next (an `epoch`,
    which grows with every take-over, may come again when a store forgot one), and `counter` one
    write of a holder from the next. Until `quarantine` (Unix seconds) tokens that look due
    wait. `free`: it was given back, and nothing was in flight.
    """

    owner: str
    session: str
    counter: int
    epoch: int
    quarantine: float | None = None
    free: bool = False
    claim: int = 0

    def encode(self) -> bytes:
        """Write it."""
        return orjson.dumps(self)

    @classmethod
    def decode(cls, value: bytes) -> Lease:
        """Read it; raises `ValueError` when it is none."""
        read = _read(value, "lease")
        match read:
            case {"owner": str(), "session": str(), "counter": int(), "epoch": int(), "free": bool(), "claim": int()}:
                if isinstance(read.get("quarantine"), int | float | None):
                    return cls(**_known(cls, read))
        raise ValueError("that is no lease")


@dataclass(frozen=True, slots=True)
class Worker:
    """A sign of life of a worker, and what it says of itself; `able`: it can call, and wants partitions."""

    session: str
    counter: int
    able: bool = True
    name: str = ""
    facts: Mapping[str, str | int | float | None] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Write it."""
        return orjson.dumps(self)

    @classmethod
    def decode(cls, value: bytes) -> Worker:
        """Read it; raises `ValueError` when it is none."""
        read = _read(value, "worker")
        match read:
            case {"session": str(), "counter": int(), "able": bool(), "name": str(), "facts": dict()}:
                return cls(**_known(cls, read))
        raise ValueError("that is no worker")


def _read(value: bytes, what: str) -> dict[str, Any]:
    try:
        read = orjson.loads(value)
    except orjson.JSONDecodeError:
        read = None
    if isinstance(read, dict):
        return read
    raise ValueError(f"there is no {what} in it")


def _known(kind: type[Lease | Worker], read: dict[str, Any]) -> dict[str, Any]:
    return {known.name: read[known.name] for known in fields(kind) if known.name in read}
