"""Every exception of the library, as one tree.

    WolkvoxError
    |-- ConfigurationError      the caller's input: a list of mistakes, nothing was called
    |   |-- SelectionError      a selection or a date range that fits nothing
    |   |-- OutputBusyError     another process is writing to that output
    |   `-- RunError            a run that cannot be taken up: busy, of another output, or none
    |-- UsageError              the caller's code: the engine was used after it was closed, ...
    |-- StateError              the environment: the state folder cannot be used
    |   `-- StoreUnavailableError   the store that machines share did not answer in time
    `-- OutputError             the environment: records could not be delivered
        `-- OutputClosedError   the reader of the pipe went away

A call that fails is not an exception: it ends as an `Outcome`. No text in here ever
holds a token; foreign exceptions stay inside the adapter that met them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_MISTAKES: Final = 1_000


def one_line(text: str) -> str:
    """Return `text` with everything that is not printable escaped, so that no terminal obeys it."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong with the input, and where it stands."""

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = [str(part) for part in (self.file, self.line, self.column) if part is not None]
        return one_line(f"{':'.join(place)}: {self.message}" if place else self.message)


class WolkvoxError(Exception):
    """Base of everything that this library raises on purpose."""


class ConfigurationError(WolkvoxError):
    """The input is wrong; `mistakes` names every mistake found (at most 1,000, plus a count)."""

    def __init__(self, mistakes: Iterable[Mistake | str], unlisted: int = 0) -> None:
        """Keep the first 1,000 of `mistakes`; the rest are counted, on top of `unlisted`."""
        given = [mistakes] if isinstance(mistakes, str) else mistakes  # a lone text is Iterable[str] too
        found = [Mistake(m) if isinstance(m, str) else m for m in given]
        self.mistakes = tuple(found[:MAX_MISTAKES])
        self.unlisted = unlisted + len(found) - len(self.mistakes)
        super().__init__(self.mistakes, self.unlisted)  # args that rebuild it: it survives copy and pickle

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """Return one line per mistake, and one for those beyond the limit."""
        lines = [str(mistake) for mistake in self.mistakes]
        if self.unlisted:
            lines.append(f"... and {self.unlisted} more {'mistake' if self.unlisted == 1 else 'mistakes'}")
        return lines


class SelectionError(ConfigurationError):
    """A selection, endpoint list or date range that fits no operation."""


class OutputBusyError(ConfigurationError):
    """Another process holds the lock of the output file."""


class RunError(ConfigurationError):
    """A run cannot be taken up: another process works on it, it has another output, or there is none."""


class UsageError(WolkvoxError):
    """The library was used in a way that it cannot serve."""


class StateError(WolkvoxError):
    """The state folder cannot be used; nothing more is called, because nobody would know of it."""


class StoreUnavailableError(StateError):
    """The store that machines share did not answer in time: what was to be written may have been, and may yet be."""


class OutputError(WolkvoxError):
    """Records could not be written; what was written ends with a whole line."""


class OutputClosedError(OutputError):
    """The reader of the output went away."""
