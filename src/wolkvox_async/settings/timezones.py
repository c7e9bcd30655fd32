"""Names of timezones: each checked once, however many operations have it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final
from zoneinfo import available_timezones

from wolkvox_async.spelling import shown
from wolkvox_async.windows import timezone

from .complaints import Complaints
from .places import Path

DEFAULT_TIMEZONE: Final = "America/Bogota"


class Timezones:
    """Checks names of timezones; equal names come back as one string."""

    def __init__(self, complaints: Complaints) -> None:
        """Take where to complain."""
        self._complaints: Final = complaints
        # At most as many as the file that is being read has different names.
        self._known: dict[str, str | None] = {}
        self._sought_in_vain = False

    def read(self, name: Any, path: Path) -> str:
        """Return the name of a timezone that exists: the default one after a complaint at `path`.

        That it is text is somebody else's to complain about.
        """
        if not isinstance(name, str):
            return DEFAULT_TIMEZONE
        if name not in self._known:
            self._known[name] = name if self._exists(name) else None
        known = self._known[name]
        if known is not None:
            return known
        self._complaints.add(path, f"no timezone is called {shown(name)}{self._proposal(name)}")
        return DEFAULT_TIMEZONE

    def _exists(self, name: str) -> bool:
        # To look in vain costs far more than to find. Once it happened, every name is at hand for proposals.
        if self._sought_in_vain:
            return name in self._names
        try:
            timezone(name)
        except ValueError:
            self._sought_in_vain = True
        return not self._sought_in_vain

    def _proposal(self, name: str) -> str:
        return "" if self._complaints.full else self._complaints.propose(name, self._names)

    @cached_property
    def _names(self) -> set[str]:
        return available_timezones()
