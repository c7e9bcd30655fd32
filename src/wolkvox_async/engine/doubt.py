"""Whether an answer on a kept connection may be somebody else's. Pure.

The theory. An answer that nobody asked for and that arrives just after a question was
written looks like the answer to it: HTTP has no way to tell. What can tell is the
vendor's own name for the operation, which rows carry under `operation`. On a fresh
connection the first answer is believed. From then on, for as long as the connection is
kept, an answer for the same entry of the tenants file must name at least one operation
that was named before; one that names only others is not believed.

Answers without a name prove nothing and pass. A TOTAL row (SEEN among the vendor's data)
names no operation.
"""

from __future__ import annotations

from typing import Any, Final

from wolkvox_async.model import AttemptOutcome, Ok

MESSAGE: Final = (
    "the answer names another operation than those before it on the same connection, "
    "so it may be the answer to another question: its rows are not used"
)
_TOTAL: Final = "total"
_LOOKED_AT: Final = 1_000  # rows of an answer: whoever is to be found out does not hide behind so many


class Heard:
    """The names that answers gave their operations, over one connection."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        # By entry. Hashes, because a name is as long as its sender likes.
        self._names: Final[dict[str, set[int]]] = {}

    def doubts(self, path: str, outcome: AttemptOutcome) -> bool:
        """Tell whether `outcome`, of the entry `path`, is not to be believed; remember its names if it is."""
        if not isinstance(outcome, Ok):
            return False
        names = _names(outcome.rows)
        known = self._names.get(path)
        if known is None or not names:
            self._names.setdefault(path, set()).update(names)
            return False
        if known and known.isdisjoint(names):
            return True
        known |= names
        return False

    def forget(self) -> None:
        """Begin anew, as the connection does."""
        self._names.clear()


def _names(rows: list[Any]) -> set[int]:
    told = {name for row in rows[:_LOOKED_AT] if type(row) is dict and type(name := row.get("operation")) is str}
    plain = (name.strip() for name in told)
    return {hash(name) for name in plain if name and name.casefold() != _TOTAL}
