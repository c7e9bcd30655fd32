"""What answers call the operations of tokens: hashes, by token, in memory and in the database.

In memory there is, beside the names of each token, how many tokens each name is known of:
that tells whether a name is another's however many share it. Both together take at most
200 bytes a token with a name of its own, and some 130 for every further name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from wolkvox_async.errors import StateError

from .unwritten import Unwritten

Key = TypeVar("Key", int, str)

READ_NAMES: Final = "SELECT slot, name FROM names"


class NameIndex(Generic[Key]):
    """Names by key, which is whatever stands for a token."""

    __slots__ = ("_bearers", "_names")

    def __init__(self) -> None:
        self._names: Final[dict[Key, tuple[int, ...]]] = {}
        self._bearers: Final[dict[int, int]] = {}  # of each name in `_names`, how many keys have it

    def of(self, key: Key) -> frozenset[int]:
        """Return the names of `key`."""
        return frozenset(self._names.get(key, ()))

    def put(self, key: Key, names: Collection[int]) -> None:
        """Give `key` these names, and no others."""
        own, before = tuple(sorted(set(names))), self._names.pop(key, ())
        if own:
            self._names[key] = own
        if own == before:
            return
        bearers = self._bearers
        for name in own:
            bearers[name] = bearers.get(name, 0) + 1
        for name in before:
            bearers[name] -= 1
            if not bearers[name]:
                del bearers[name]

    def is_anothers(self, key: Key | None, names: Collection[int]) -> bool:
        """Tell whether a key other than `key` has one of `names`."""
        own = () if key is None else self._names.get(key, ())
        return any(self._bearers.get(name, 0) > (name in own) for name in names)


class NamedSlots:
    """The names of slots, as this process knows them; `write` has the database keep what is new."""

    def __init__(self, write: Callable[[Naming], None]) -> None:
        self._write: Final = write
        self._index: Final[NameIndex[int]] = NameIndex()
        self._unwritten: Final = Unwritten()

    def of(self, slot: int) -> frozenset[int]:
        """Return the names of `slot`."""
        return self._index.of(slot)

    def is_anothers(self, slot: int | None, names: Collection[int]) -> bool:
        """Tell whether a slot other than `slot` has one of `names`."""
        return self._index.is_anothers(slot, names)

    def learn(self, slot: int, names: Collection[int]) -> None:
        """Take in what the database holds, unless it is about to hold something else."""
        if slot not in self._unwritten:
            self._index.put(slot, names)

    def note(self, slot: int, names: Collection[int]) -> None:
        """Give `slot` these names, and have everybody know soon."""
        self._index.put(slot, names)
        self._unwritten.add(slot)
        self._write(Naming(slot, tuple(names), self._unwritten.written))


@dataclass(frozen=True, slots=True)
class Naming:
    """A slot has these names from now on; `written` is called, in the event loop, when that is committed or failed."""

    slot: int
    names: Sequence[int]
    written: Callable[[int], None]

    @property
    def rows(self) -> int:
        """Return about how many it writes."""
        return len(self.names)

    def apply(self, db: sqlite3.Connection) -> None:
        """Do nothing: it is written together with others."""

    def told(self, failure: StateError | None) -> None:  # noqa: ARG002 - after a failure nothing is read again
        """Call `written`."""
        self.written(self.slot)


class Namings:
    """Several namings as one."""

    def __init__(self, namings: Sequence[Naming]) -> None:
        self._names: Final = {naming.slot: naming.names for naming in namings}
        self.rows: Final = sum(naming.rows for naming in namings)

    def apply(self, db: sqlite3.Connection) -> None:
        """Write them; of a slot that was named twice, what was said last."""
        db.executemany("DELETE FROM names WHERE slot = ?", ((slot,) for slot in self._names))
        rows = ((slot, name) for slot, names in self._names.items() for name in names)
        db.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", rows)

    def told(self, failure: StateError | None) -> None:
        """Do nothing: each part is told."""
