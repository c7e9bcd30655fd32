"""What a scenario shows: figures, and promises that were kept or broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.judging.rules import Violation

_SHOWN = 8


class Figures:
    """The table of one scenario."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._rows: list[tuple[str, str, bool]] = []

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        return all(kept for *_, kept in self._rows)

    def note(self, name: str, value: object) -> None:
        """Add a figure that promises nothing."""
        self._rows.append((name, str(value), True))

    def promise(self, name: str, value: object, *, kept: bool) -> None:
        """Add a figure that has to be as it is."""
        self._rows.append((name, str(value), kept))

    def none(self, name: str, number: int) -> None:
        """Promise that there is none."""
        self.promise(name, number, kept=number == 0)

    def none_of(self, rules: Sequence[str], found: Iterable[Violation]) -> None:
        """Promise that none of those rules was broken, each in a row of its own; what was is shown."""
        by_rule: dict[str, list[Violation]] = {rule: [] for rule in rules}
        for violation in found:
            by_rule.setdefault(violation.rule, []).append(violation)
        for rule, broken in by_rule.items():
            self.none(rule, len(broken))
            for violation in broken[:_SHOWN]:
                self.promise("", violation, kept=False)

    def no_rule_broken(self, found: Iterable[Violation]) -> None:
        """Promise the same in one row; rules that were broken have rows of their own."""
        broken = list(found)
        self.none("rules broken", len({violation.rule for violation in broken}))
        self.none_of((), broken)

    def codes(self, name: str, found: Iterable[int], expected: int = 0) -> None:
        """Promise that those exit codes are all as expected."""
        counts = Counter(found)
        shown = ", ".join(f"{code} ({count})" for code, count in sorted(counts.items()))
        self.promise(name, shown, kept=set(counts) == {expected})

    def show(self) -> None:
        """Print the table."""
        print(f"\n{self._title}")
        width = max((len(name) for name, *_ in self._rows), default=0)
        for name, value, kept in self._rows:
            print(f"  {name:<{width}}  {value}{'' if kept else '   BROKEN'}")


WIRE = ("overlap", "early", "refused token", "misplaced token", "shared connection")
LINES = ("torn line", "uncommitted rows", "miscounted")
ROWS = ("lost rows", "doubled rows", "misplaced rows", "foreign row")
CALLS = ("unsettled", "settled twice")
ATTEMPTS = ("hidden attempts", "invented attempts")
EVERY_RULE = (*WIRE, *LINES, *ROWS, *CALLS, *ATTEMPTS)
