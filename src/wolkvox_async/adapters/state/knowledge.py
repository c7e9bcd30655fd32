"""What this process knows of tokens: read from the database, and kept true by what it does itself.

When a question was last asked is kept in pages of 16 slots: 17 bytes an entry where
neighbours are asked the same, 270 where nobody shares a question. Pages of which nothing
matters any more are dropped whenever their number has doubled.

What is answered and not settled yet (*armed*) is kept apart, so that it can be undone.
"""

from __future__ import annotations

from array import array
from typing import Final

from wolkvox_async.ports import Refusal

from .clocks import Era, Moment
from .refusals import Closure

HORIZON: Final = 86_400.0
"""Seconds after which it does not matter any more that something was asked."""

NEVER_NOTED: Final = 1
"""No slot that is at rest has this stamp."""

_PAGE: Final = 16
_SHIFT: Final = 4
_QUESTION_SHIFT: Final = 40
_NEVER: Final = float("-inf")
_FEW: Final = 1024


class Memory:
    """By slot; `slots` has those of the tokens that were looked up."""

    __slots__ = ("_armed", "_era", "_floor", "_noted", "_pages", "_questions", "_room", "closures", "slots")

    def __init__(self, era: Era, damaged: Moment | None) -> None:
        """`damaged`: every question counts as asked then."""
        self._era: Final = era
        self.slots: Final[dict[str, int]] = {}
        self._noted: Final = array("Q")
        self._questions: Final[dict[str, int]] = {}
        # CLOCK_BOOTTIME seconds, by question and slot.
        self._pages: Final[dict[int, array[float]]] = {}
        self._room = _FEW
        self._armed: Final[dict[int, float]] = {}
        self.closures: Final[dict[int, Closure]] = {}  # why nothing is to be sent
        now = era.clocks.boottime()
        self._floor = _NEVER if damaged is None else now - max(era.age(damaged), 0.0)

    def noted(self, slot: int) -> int:
        """Return the stamp under which what is known was true."""
        return self._noted[slot] if slot < len(self._noted) else NEVER_NOTED

    def note(self, slot: int, stamp: int) -> None:
        """Keep the stamp under which what is known is true; an odd one says that it need not be."""
        if slot >= len(self._noted):
            self._noted.extend([NEVER_NOTED] * (slot + 1 - len(self._noted)))
        self._noted[slot] = NEVER_NOTED if stamp & 1 else stamp

    def asked(self, slot: int, question: str) -> float | None:
        """Return how many seconds ago `question` was last asked with success; None: too long, or never."""
        latest = self._floor
        number = self._questions.get(question)
        if number is not None:
            high = number << _QUESTION_SHIFT
            page = self._pages.get(high | slot >> _SHIFT)
            if page is not None and page[slot % _PAGE] > latest:
                latest = page[slot % _PAGE]
            armed = self._armed.get(high | slot)
            if armed is not None and armed > latest:
                latest = armed
        if latest == _NEVER:
            return None
        age = self._era.clocks.boottime() - latest
        return age if age < HORIZON else None

    def arm(self, slot: int, question: str, elapsed: float) -> None:
        """Note that `question`, asked at CLOCK_BOOTTIME `elapsed`, was answered; until it is settled or undone."""
        key = self._questions.setdefault(question, len(self._questions)) << _QUESTION_SHIFT | slot
        self._armed[key] = max(elapsed, self._armed.get(key, elapsed))

    def disarm(self, slot: int, question: str) -> None:
        """Undo `arm`."""
        if (number := self._questions.get(question)) is not None:
            self._armed.pop(number << _QUESTION_SHIFT | slot, None)

    def ask(self, slot: int, question: str, elapsed: float) -> float:
        """Note that `question` was asked at CLOCK_BOOTTIME `elapsed`, for good; returns the latest time that it was."""
        high = self._questions.setdefault(question, len(self._questions)) << _QUESTION_SHIFT
        elapsed = max(elapsed, self._armed.pop(high | slot, elapsed))
        key = high | slot >> _SHIFT
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = self._new_page()
        place = slot % _PAGE
        if page[place] > elapsed:
            return page[place]
        page[place] = elapsed
        return elapsed

    def unask(self, slot: int, question: str) -> None:
        """Forget that `question` was ever asked."""
        number = self._questions.get(question)
        page = None if number is None else self._pages.get(number << _QUESTION_SHIFT | slot >> _SHIFT)
        if page is not None:
            page[slot % _PAGE] = _NEVER

    def refuse(self, slot: int, closure: Closure | None) -> None:
        """Note why nothing is to be sent with the token; None: that is over."""
        if closure is None:
            self.closures.pop(slot, None)
        else:
            self.closures[slot] = closure

    def refusal(self, slot: int) -> Refusal | None:
        """Return why nothing is to be sent with the token at present."""
        closure = self.closures.get(slot)
        if closure is None:
            return None
        refusal = closure.refusal(self._era)
        if refusal is None:
            del self.closures[slot]
        return refusal

    def _new_page(self) -> array[float]:
        if len(self._pages) >= self._room:
            oldest = self._era.clocks.boottime() - HORIZON
            for key in [key for key, page in self._pages.items() if max(page) < oldest]:
                del self._pages[key]
            self._room = max(_FEW, 2 * len(self._pages))
        return array("d", (_NEVER,)) * _PAGE
