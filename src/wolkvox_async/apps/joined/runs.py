"""A run of `fetch` that machines have in common: a key that says which partitions are done.

Whoever comes first writes it; the others take part. A machine that has made all calls of a
partition adds it, with what they came to, and whoever adds the last one completes the run. It has a
connection of its own: a loss of the other one is for the leases to notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import orjson

from wolkvox_async.errors import RunError, StoreUnavailableError
from wolkvox_async.ports import Held, Store, Stored

_PREFIX: Final = "r."
_AGAIN: Final = 0.5  # seconds, where the store does not answer


@dataclass(frozen=True, slots=True)
class CommonRun:
    """What the key says; `name` may be empty.

    `tenants` tells what is fetched, `counts` what came of the partitions that are `done`.
    """

    id: str
    at: str
    name: str
    tenants: str
    done: Sequence[int] = ()
    counts: Mapping[str, float] = field(default_factory=dict)
    complete: bool = False

    @classmethod
    def decode(cls, value: bytes) -> CommonRun | None:
        """Read it; None when it is none."""
        try:
            return cls(**orjson.loads(value))
        except (orjson.JSONDecodeError, TypeError):
            return None

    @property
    def key(self) -> str:
        """The key under which it stands: that of its name; without one, what is fetched has one such run at a time."""
        return _PREFIX + (self.name or self.tenants)

    def encode(self) -> bytes:
        """Write it."""
        return orjson.dumps(asdict(self))

    def with_done(self, partitions: Sequence[int], counts: Mapping[str, float], wanted: Sequence[int]) -> CommonRun:
        """Return it with partitions that are done; it is complete when all that are `wanted` are."""
        new = set(partitions) - set(self.done)
        if not new and self.complete:
            return self
        done = sorted({*self.done, *partitions})
        sums = {name: self.counts.get(name, 0) + counts.get(name, 0) for name in {*self.counts, *counts}}
        return replace(self, done=done, counts=sums, complete=set(wanted) <= set(done))

    def anew(self) -> CommonRun:
        """Return it with nothing done: what ended ok or empty is not repeated all the same."""
        return replace(self, done=(), counts={}, complete=False)


class Runs:
    """Takes part in one run; `wanted` are the partitions in which there is anything to do."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store

    async def open(self, new: CommonRun) -> tuple[CommonRun, bool]:
        """Take part in the run of that name if it is not complete, or begin a `new` one; without a name as well.

        A run with a name is taken up again when it is complete. Returns the run, and whether it was
        begun here. Raises `RunError` when it is over other tenants.
        """
        while True:
            found = (await self._keys()).get(new.key)
            run = None if found is None else CommonRun.decode(found.value)
            if run is not None and run.tenants != new.tenants:
                raise RunError([f"--run {new.name}: that run is over other tenants or endpoints, or with other dates"])
            if run is not None and not run.complete:
                return run, False
            revision = 0 if found is None else found.revision
            begun = new if run is None or not new.name else run.anew()
            if await self._write(begun, revision):
                return begun, True

    async def read(self, run: CommonRun) -> CommonRun:
        """Return what has become of it."""
        held = (await self._keys()).get(run.key)
        return (None if held is None else CommonRun.decode(held.value)) or run

    async def add(
        self, run: CommonRun, partitions: Sequence[int], counts: Mapping[str, float], wanted: Sequence[int]
    ) -> tuple[CommonRun, bool]:
        """Say that partitions are done; return what has become of the run, and whether that completed it."""
        while True:
            held = (await self._keys()).get(run.key)
            known = (None if held is None else CommonRun.decode(held.value)) or run
            now = known.with_done(partitions, counts, wanted)
            if now == known:
                return known, False
            if await self._write(now, 0 if held is None else held.revision):
                return now, now.complete and not known.complete

    async def _keys(self) -> Mapping[str, Held]:
        while True:
            try:
                return await self._store.keys()
            except StoreUnavailableError:
                await asyncio.sleep(_AGAIN)

    async def _write(self, run: CommonRun, revision: int) -> bool:
        try:
            return isinstance(await self._store.cas(run.key, revision, run.encode()), Stored)
        except StoreUnavailableError:
            await asyncio.sleep(_AGAIN)
            return False


def counts_of(counters: Any) -> dict[str, float]:
    """Return counters by name, as far as they add up."""
    names = ("ok", "empty", "failed", "skipped", "held", "rows", "attempts", "not_due")
    return {name: getattr(counters, name) for name in names}
