"""Names of timezones: each checked once, however many operations have it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final
from zoneinfo import available_timezones

from wolkvox_async.spelling import shown
from wolkvox_async.windows import DEFAULT_TIMEZONE, timezone

from .complaints import Complaints
from .places import Path


class Timezones:
    """Checks names of timezones; equal names come back as one string."""

    def __init__(self, complaints: Complaints) -> None:
        """Take where to complain."""
        self._complaints: Final = complaints
        # Together at most as many as the file that is being read has different names.
        self._right: dict[str, str] = {}
        self._wrong: dict[str, str] = {}

    def read(self, name: Any, path: Path) -> str:
        """Return the name of a timezone that exists: the default one after a complaint at `path`.

        That it is text is somebody else's to complain about.
        """
        if not isinstance(name, str):
            return DEFAULT_TIMEZONE
        if name not in self._right and name not in self._wrong:
            self._judge(name)
        if name in self._right:
            return self._right[name]
        self._complaints.add(path, self._wrong[name])
        return DEFAULT_TIMEZONE

    def _judge(self, name: str) -> None:
        # To look in vain costs far more than to find. Once it happened, every name is at hand for proposals.
        if name in self._names if self._wrong else _exists(name):
            self._right[name] = name
        else:
            hint = "" if self._complaints.full else self._complaints.propose(name, self._names)
            self._wrong[name] = f"no timezone is called {shown(name)}{hint}"

    @cached_property
    def _names(self) -> set[str]:
        return available_timezones()


def _exists(name: str) -> bool:
    try:
        timezone(name)
    except ValueError:
        return False
    return True
