"""What is watched of the operations that there are, and of others that replace them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from wolkvox_async.errors import UsageError
from wolkvox_async.planning import DateRange, Subscription
from wolkvox_async.ports import Clock
from wolkvox_async.scheduling.subjects import Subject

from .roster import Choice, Holds, Roster


@dataclass(frozen=True, slots=True)
class Selection:
    """Which operations and endpoints, as `fetch` takes them; of these only what `holds` says is ours."""

    only: tuple[str, ...] = ()
    apis: tuple[str, ...] = ()
    dates: DateRange | None = None
    holds: Holds | None = None

    @classmethod
    def asked(
        cls, only: Sequence[str] | None, apis: Sequence[str] | None, dates: DateRange | None, holds: Holds | None
    ) -> Self:
        """Return what somebody asks for; raises `UsageError` for a text in the place of a list of them."""
        if isinstance(apis, str) or isinstance(only, str):
            raise UsageError('apis and only are lists: write ["interactions"], not "interactions"')
        return cls(tuple(only or ()), tuple(apis or ()), dates, holds)

    def of(self, roster: Roster) -> Choice:
        """Return what it selects and is ours; raises `SelectionError` when it selects nothing."""
        return roster.choose(self.only, self.apis, self.dates).held(self.holds)


class Enlistment:
    """A selection that is made again whenever the operations are replaced, or others are ours."""

    def __init__(self, roster: Roster, clock: Clock, selection: Selection) -> None:
        """Raise `SelectionError` when it selects nothing."""
        self._roster: Final = roster
        self._clock: Final = clock
        self._selection: Final = selection
        selection.of(roster)

    def subjects(self) -> Sequence[Subject]:
        """Return what is watched; raises `SelectionError` for dates or an interval that cannot be."""
        return self._subjects(self._roster)

    def replaced(self, subscriptions: Iterable[Subscription]) -> Sequence[Subject]:
        """Have these be the operations, and return what is watched of them.

        Raises `SelectionError` as `subjects` does, and changes nothing then.
        """
        found = self._subjects(self._roster.over(subscriptions))
        self._roster.replace(subscriptions)
        return found

    def _subjects(self, roster: Roster) -> Sequence[Subject]:
        selection = self._selection
        return roster.subjects(selection.of(roster), now=self._clock.utc(), dates=selection.dates)
