"""Token ids as numbers, and the slots that they have in the database."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

from .slots import Slots

T = TypeVar("T")

AT_ONCE: Final = 500
"""How many are looked up by one statement."""

_PREFIX: Final = "tk_"
_ID: Final = re.compile(r"tk_[0-9a-f]{12}")


def token_number(token: str) -> int:
    """Return the 48 bits of a token's id; raises `ValueError` for what is none (the text of a token, say)."""
    if not _ID.fullmatch(token):
        raise ValueError("this is no token id: one is written tk_ and 12 hex digits")
    return int(token[3:], 16)


def token_id(number: int) -> str:
    """Return the id that has these 48 bits."""
    return f"{_PREFIX}{number:012x}"


def chunks(items: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield `items` in portions for one statement each."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]


def marks_for(count: int) -> str:
    """Return so many question marks for a statement."""
    return ",".join("?" * count)


def find_slots(db: sqlite3.Connection, tokens: Sequence[int]) -> dict[int, int]:
    """Return the slots of those tokens that have one, by token."""
    found: dict[int, int] = {}
    for some in chunks(tokens):
        query = f"SELECT token, slot FROM tokens WHERE token IN ({marks_for(len(some))})"  # noqa: S608 - only marks
        found.update(db.execute(query, some))
    return found


def make_slots(db: sqlite3.Connection, slots: Slots, tokens: Sequence[int]) -> dict[int, int]:
    """Return the slots of `tokens`, new ones in their order; to be called in a transaction.

    The file is filled before the transaction ends: from then on others rely on it.
    Raises `OSError` and `sqlite3.Error`.
    """
    found = find_slots(db, tokens)
    missing = [token for token in dict.fromkeys(tokens) if token not in found]
    if missing:
        first = db.execute("SELECT ifnull(max(slot), 0) + 1 FROM tokens").fetchone()[0]
        made = dict(zip(missing, range(first, first + len(missing)), strict=True))
        db.executemany("INSERT INTO tokens (token, slot) VALUES (?, ?)", made.items())
        slots.place((slot, token) for token, slot in made.items())
        found.update(made)
    return found


def portions(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield `things` in lists of `size`."""
    rest = iter(things)
    while some := list(islice(rest, size)):
        yield some
