"""Whether an answer on a kept connection may be somebody else's. Pure.

The theory. An answer that nobody asked for and that arrives just after a question was
written looks like the answer to it: HTTP has no way to tell. What can tell is the
vendor's own name for the operation, which rows carry under `operation`.

- `Heard`, within a turn. On a fresh connection the first answer is believed. From then
  on, for as long as the connection is kept, an answer for the same entry of the tenants
  file must name at least one operation that was named before.
- `Known`, where a kept connection serves any token of its server. What an answer may be
  mistaken for is then another token's, and the first of a turn has none before it. So
  the names that a token is known by outlive turns and processes, and an answer that has
  none of them, but one that another token is known by, is not believed.

Answers without a name prove nothing and pass. A TOTAL row (SEEN among the vendor's data)
names no operation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import blake2b
from typing import Final

from wolkvox_async.model import AttemptOutcome, Ok
from wolkvox_async.ports import Names

NOT_AS_BEFORE: Final = (
    "the answer names another operation than those before it on the same connection, "
    "so it may be the answer to another question: its rows are not used"
)
OF_ANOTHER: Final = (
    "the answer names an operation of another token and none that is known of this one, on a connection "
    "that served others before, so it may be the answer to another question: its rows are not used"
)
MOST: Final = 16
"""Names that a token is known by, at most."""

_TOTAL: Final = "total"
_LOOKED_AT: Final = 1_000  # rows of an answer: whoever is to be found out does not hide behind so many
_REMEMBERED: Final = 1_024
_LONG: Final = 200  # characters


def names_of(outcome: AttemptOutcome) -> frozenset[str]:
    """Return what an answer calls the operations that its rows are of."""
    if not isinstance(outcome, Ok):
        return frozenset()
    rows = outcome.rows[:_LOOKED_AT]
    told = {name for row in rows if type(row) is dict and type(name := row.get("operation")) is str}
    return frozenset([name for text in told if (name := text.strip()) and name.casefold() != _TOTAL])


class Heard:
    """The names that answers gave their operations, over one connection."""

    __slots__ = ("_last", "_names")

    def __init__(self) -> None:
        # By entry. Hashes, because a name is as long as its sender likes.
        self._names: Final[dict[str, set[int]]] = {}
        self._last: tuple[str, object] | None = None  # entry, and the only name, of the answer before

    def just_heard(self, path: str, outcome: AttemptOutcome) -> bool:
        """Tell whether the only row of an answer names what the answer before it named, and that nothing else."""
        if not isinstance(outcome, Ok) or len(outcome.rows) != 1:
            return False
        row = outcome.rows[0]
        return type(row) is dict and self._last == (path, row.get("operation"))

    def doubts(self, path: str, names: Collection[str]) -> bool:
        """Tell whether an answer of the entry `path` is not to be believed; remember its names if it is."""
        if not names:
            return False
        told = {hash(name) for name in names}
        known = self._names.setdefault(path, told)
        if known.isdisjoint(told):
            return True
        known |= told
        self._last = (path, next(iter(names))) if _is_one_and_short(names) else None
        return False

    def forget(self) -> None:
        """Begin anew, as the connection does."""
        self._names.clear()
        self._last = None


def _is_one_and_short(names: Collection[str]) -> bool:
    return len(names) == 1 and all(len(name) <= _LONG for name in names)


class Known:
    """The names that tokens are known by, over all connections; `book` keeps them, at most `MOST` a token.

    Of more, those with the smallest hashes are kept, whatever order they come in: two
    tokens of one vendor operation are known by the same.
    """

    def __init__(self, book: Names) -> None:
        self._book: Final = book
        self._hashes: Final = Hashes()

    def doubts(self, token: str, names: Collection[str], *, kept: bool) -> bool:
        """Tell whether an answer of `token` is not to be believed; note what is new of its names if it is.

        One on a fresh connection always is. If it has no name that is known, what was
        known is over: the operation was renamed.
        """
        if not names:
            return False
        told, known = self._hashes.of(names), self._book.names(token)
        if told <= known:
            return False
        if known.isdisjoint(told):
            is_anothers = kept and self._book.is_anothers(token, told)
            if known and kept:
                return is_anothers
            if is_anothers:
                return False  # it may be ours as well, and is believed, but that is no way to learn it
            known = frozenset()
        most = frozenset(sorted(known | told)[:MOST])
        if most != known:
            self._book.name(token, most)
        return False


class Hashes:
    """Numbers for names, the same in every process: 8 bytes of BLAKE2b, with a sign."""

    def __init__(self) -> None:
        self._hashes: Final[dict[str, int]] = {}  # of the last few: names come again and again

    def of(self, names: Iterable[str]) -> frozenset[int]:
        """Return the hashes of `names`."""
        return frozenset([self._hashes.get(name) or self._hash(name) for name in names])

    def _hash(self, name: str) -> int:
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        number = int.from_bytes(digest, "big", signed=True)
        if len(name) <= _LONG:
            if len(self._hashes) >= _REMEMBERED:
                self._hashes.clear()
            self._hashes[name] = number
        return number
