"""What `look` reads, and what `adopt` writes: the database's side of both."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Final

from wolkvox_async.marks import Mark
from wolkvox_async.ports import Place

from .clocks import Era
from .knowledge import HORIZON
from .names import READ_NAMES
from .outcomes import NEVER, Row, adopting, read_asked, row_of, take
from .reconciling import Reconciliation
from .refusals import READ_REFUSALS, Closure
from .runs import Runs, Settled, write_position
from .slots import Slots
from .tokens import chunks, find_slots, make_slots, marks_for, token_number


@dataclass(frozen=True, slots=True)
class Found:
    """What the database knows of tokens, by their numbers and slots; `stamps` are older than all of it."""

    slots: dict[int, int]
    stamps: dict[int, int]
    asked: list[tuple[int, str, float]] = field(default_factory=list)
    closures: dict[int, Closure] = field(default_factory=dict)
    names: dict[int, list[int]] = field(default_factory=dict)


def look_up(db: sqlite3.Connection, slots: Slots, era: Era, tokens: Sequence[int]) -> Found:
    """Read what is known of `tokens`; raises `StateError` when the lease file does not fit."""
    places = find_slots(db, tokens)
    if not slots.reach(max(places.values(), default=0)) or any(slots.token(slot) != t for t, slot in places.items()):
        raise slots.spoil()
    found = Found(places, {slot: slots.read(slot)[1] for slot in places.values()})
    for some in chunks(list(places.values())):
        found.asked.extend(read_asked(db, some, era, HORIZON))
        refusals = db.execute(f"{READ_REFUSALS} WHERE slot IN ({marks_for(len(some))})", some)
        found.closures.update({slot: Closure.of_row(row) for slot, *row in refusals})
        for slot, name in db.execute(f"{READ_NAMES} WHERE slot IN ({marks_for(len(some))})", some):
            found.names.setdefault(slot, []).append(name)
    return found


class Adoption:
    """Takes over what an output says, in portions; a `shrunk` one is told from its beginning."""

    def __init__(self, runs: Runs, slots: Slots, era: Era, shrunk: Place | None = None) -> None:
        self._reconciliation: Final = None if shrunk is None else Reconciliation(runs, shrunk)
        self._runs: Final = runs
        self._slots: Final = slots
        self._era: Final = era
        self._known: Final[dict[str, Settled | None]] = {}

    def take(self, db: sqlite3.Connection, marks: Sequence[Mark], stamp: int) -> dict[str, int]:
        """Write `marks`, and shake their tokens with `stamp`; returns the tokens' slots."""
        if not marks:
            return {}
        numbers = {mark.token: token_number(mark.token) for mark in marks}
        places = make_slots(db, self._slots, list(numbers.values()))
        slots = {token: places[number] for token, number in numbers.items()}
        self._slots.reach(max(slots.values()))
        take(db, adopting([row_of(m, slots[m.token], self._sent(m)) for m in marks if m.outcome != "skipped"]))
        self._settle(db, marks)
        for slot in slots.values():
            self._slots.shake(slot, stamp)
        return slots

    def _settle(self, db: sqlite3.Connection, marks: Sequence[Mark]) -> None:
        by_run: dict[str, list[Mark]] = {}
        apart: Container[str] = ()
        if self._reconciliation is not None:
            self._reconciliation.hear(db, marks)
            apart = self._reconciliation.runs(db)
        for mark in marks:
            by_run.setdefault(mark.run, []).append(mark)
        for run, some in by_run.items():
            if run in apart:
                continue
            if run not in self._known:
                self._known[run] = self._runs.find(db, run)
            if (settled := self._known[run]) is not None:
                self._runs.adopt(db, settled, some)

    def end(self, db: sqlite3.Connection, output: Place, position: int) -> int:
        """Note up to where the output was read; returns how many calls it lost. Raises `RunError`."""
        lost = 0 if self._reconciliation is None else self._reconciliation.finish(db, self._era.clocks.wall())
        write_position(db, output, position, self._era.clocks.wall())
        return lost

    def _sent(self, mark: Mark) -> Row:
        if not mark.done:
            return NEVER
        sent = self._era.moment(self.age(mark))
        return (sent.boot, sent.elapsed, sent.wall)

    def age(self, mark: Mark) -> float:
        """Return how many seconds ago the mark's request left; a time yet to come is now."""
        return max(self._era.clocks.wall() - mark.sent, 0.0)


def is_sound(mark: Mark) -> bool:
    """Tell whether a mark that was read back holds what it should: others may have written the line."""
    try:
        token_number(mark.token)
    except (ValueError, TypeError):
        return False
    texts = (mark.run, mark.call, mark.tenant, mark.operation, mark.server, mark.kind or "", mark.message or "")
    numbers = (mark.rows, mark.attempts)
    return all(isinstance(text, str) for text in texts) and all(
        type(number) is int and 0 <= number < 1 << 53 for number in numbers
    )
