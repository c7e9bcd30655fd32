"""What the reader of a run has in his hands: it is settled once he asks for more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from wolkvox_async.marks import last_marks, mark_of
from wolkvox_async.model import Skipped
from wolkvox_async.ports import Clock
from wolkvox_async.settlements import Gap, Item

from .pipe import Pipe
from .yard import Yard

if TYPE_CHECKING:
    from .passes import Run


class Handing:
    """Settles what was handed out."""

    def __init__(self, records: Run[Any], yard: Yard, clock: Clock) -> None:
        self._records: Final = records
        self._yard: Final = yard
        self._pipe: Final = Pipe(clock, yard.ended)
        self.items: Sequence[Item] = ()
        """What was handed to the reader, who has not asked for more yet."""
        self.position: int | None = None
        """Where the output ends behind it, if it is one that can be read back."""
        self.may_go_back = False
        """Whether a pipe whose reader goes away did not give him what was delivered."""

    def acknowledge(self) -> None:
        """Settle what was handed out: it was delivered."""
        if not self.items:
            return
        # Of a call that was skipped nothing is remembered; there may be very many of them.
        made = [item for item in self.items if not isinstance(item, Gap) and not isinstance(item.outcome, Skipped)]
        run = self._records.run
        marks = [mark_of(run, one) for one in made]
        slots = last_marks(self.items) if self._records.watches else ()
        self.items = ()
        if marks:
            self._yard.delivered(self._records, marks, self.position)
        if self.position is None and self.may_go_back:
            self._pipe.add(marks, slots)
        else:
            self._yard.ended(slots)

    def take_back(self) -> None:
        """Take back what did not arrive, because the reader has gone."""
        self._yard.undelivered(self._records, self._pipe.take_back())

    def arrived(self) -> None:
        """Take everything as read."""
        self._pipe.arrived()
