"""What is watched of the operations that there are, and of others that replace them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from wolkvox_async.planning import DateRange, Subscription
from wolkvox_async.ports import Clock
from wolkvox_async.scheduling.subjects import Subject

from .roster import Roster


class Enlistment:
    """A selection (as `fetch` takes it) that is made again whenever the operations are replaced."""

    def __init__(
        self, roster: Roster, clock: Clock, only: Sequence[str], apis: Sequence[str], dates: DateRange | None
    ) -> None:
        """Raise `SelectionError` when it selects nothing."""
        self._roster: Final = roster
        self._clock: Final = clock
        self._only: Final = only
        self._apis: Final = apis
        self._dates: Final = dates
        self._chosen: Final = roster.choose(only, apis, dates)

    def subjects(self) -> Sequence[Subject]:
        """Return what is watched; raises `SelectionError` for dates or an interval that cannot be."""
        return self._roster.subjects(self._chosen, now=self._clock.utc(), dates=self._dates)

    def replaced(self, subscriptions: Iterable[Subscription]) -> Sequence[Subject]:
        """Have these be the operations, and return what is watched of them.

        Raises `SelectionError` as `subjects` does, and changes nothing then.
        """
        roster = self._roster.over(subscriptions)
        chosen = roster.choose(self._only, self._apis, self._dates)
        found = roster.subjects(chosen, now=self._clock.utc(), dates=self._dates)
        self._roster.replace(subscriptions)
        return found
