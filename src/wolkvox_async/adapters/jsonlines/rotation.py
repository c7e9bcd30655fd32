"""Which file an output in turns is writing, and when it turns. Pure.

- A template names one file a day (`{date}`) or one a month (`{month}`), in UTC: the
  days of the tenants begin at different times, and a file has one name.
- While it is written, a file has `.part` behind its name, so that nobody takes it for finished.
- A name that is taken already is not taken twice: `usage-2026-11-21-2.jsonl.zst` follows
  `usage-2026-11-21.jsonl.zst`.
- A clock that is set back a little behind the turn does not open the old file again. One
  that was far ahead, and is corrected, does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, Self

from wolkvox_async.errors import ConfigurationError, Mistake

PART: Final = ".part"
_PACKED: Final = ".zst"

_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")
_SLACK: Final = timedelta(hours=1)
_LONGER_THAN_A_MONTH: Final = timedelta(days=32)

_KNOWN: Final = "`{date}` makes a file a day, `{month}` one a month"


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a month: as it is named, and from `start` up to `end`, both in UTC."""

    name: str
    start: datetime
    end: datetime

    def holds(self, now: datetime) -> bool:
        """Say whether the file of this period is the one to write at `now`."""
        return self.start - _SLACK <= now < self.end


@dataclass(frozen=True, slots=True)
class _Unit:
    pattern: str
    period: Callable[[datetime], Period]


def _day(moment: datetime) -> Period:
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return Period(f"{start:%Y-%m-%d}", start, start + timedelta(days=1))


def _month(moment: datetime) -> Period:
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Period(f"{start:%Y-%m}", start, (start + _LONGER_THAN_A_MONTH).replace(day=1))


_UNITS: Final[Mapping[str, _Unit]] = MappingProxyType(
    {"{date}": _Unit("[0-9]{4}-[0-9]{2}-[0-9]{2}", _day), "{month}": _Unit("[0-9]{4}-[0-9]{2}", _month)}
)


def is_rotating(target: str | os.PathLike[str]) -> bool:
    """Say whether an output's name has something in braces in it, be it a mistake."""
    return _PLACEHOLDER.search(os.fspath(target)) is not None


@dataclass(frozen=True, slots=True)
class Template:
    """An output's name with one placeholder, in the file's name or in that of a folder."""

    text: str
    before: str
    placeholder: str
    after: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Take a name apart; raises `ConfigurationError` where it is not one placeholder in a file's name."""
        if mistakes := _mistakes(text):
            raise ConfigurationError([Mistake(mistake, text) for mistake in mistakes])
        placeholder = _PLACEHOLDER.findall(text)[0]
        before, _, after = text.partition(placeholder)
        return cls(text, before, placeholder, after)

    @property
    def packed(self) -> bool:
        """Whether what is written is compressed."""
        return self.text.endswith(_PACKED)

    @property
    def folder(self) -> str:
        """The folder in which the periods' files, or folders, stand side by side."""
        folder, slash, _ = self.before.rpartition("/")
        return folder or slash or "."

    def period(self, now: datetime) -> Period:
        """Return the period that `now` is in."""
        return _UNITS[self.placeholder].period(now.astimezone(UTC))

    def name(self, period: Period, copy: int = 1) -> str:
        """Return the path of a finished file: the `copy`-th of that name, counted from 1."""
        path = self.before + period.name + self.after
        if copy == 1:
            return path
        suffix = self._suffix()
        return f"{path.removesuffix(suffix)}-{copy}{suffix}"

    def part(self, period: Period) -> str:
        """Return the path of the file while it is written."""
        return self.name(period) + PART

    def period_in(self, entry: str) -> Period | None:
        """Return the period of an entry of `folder`: a file that is being written, or a folder for it.

        None for an entry that this template does not make.
        """
        unit = _UNITS[self.placeholder]
        behind, folder, _ = self.after.partition("/")
        ahead, end = self.before.rpartition("/")[2], behind if folder else behind + PART
        found = re.fullmatch(f"{re.escape(ahead)}({unit.pattern}){re.escape(end)}", entry)
        return None if found is None else self._named(found[1])

    def _named(self, name: str) -> Period | None:
        try:
            year, month, day = (*map(int, name.split("-")), 1)[:3]
            return self.period(datetime(year, month, day, tzinfo=UTC))
        except (ValueError, OverflowError):  # the year 0, the 31st of June, the end of the calendar
            return None

    def _suffix(self) -> str:
        file = self.text.rpartition("/")[2].removesuffix(_PACKED)
        stem, dot, kind = file.rpartition(".")
        plain = dot + kind if stem and "{" not in kind else ""
        return plain + _PACKED if self.packed else plain


def _mistakes(text: str) -> list[str]:
    found = _PLACEHOLDER.findall(text)
    mistakes = [f"{name} stands for nothing here: {_KNOWN}" for name in found if name not in _UNITS]
    if not mistakes and len(found) != 1:
        mistakes.append(f"exactly one placeholder says when the file turns: {_KNOWN}")
    if {"{", "}"} & set(_PLACEHOLDER.sub("", text)):
        mistakes.append(f"it has a brace without its other one: {_KNOWN}")
    if text.rpartition("/")[2] in {"", ".", ".."}:
        mistakes.append("this names a folder: name a file in it")
    if "\0" in text:
        mistakes.append("this is no file name: it has a null character in it")
    return mistakes
