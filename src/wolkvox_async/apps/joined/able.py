"""Whether this machine can reach the vendor, judged by what becomes of its attempts. Pure.

A machine from which nothing gets through for a while had better leave its partitions to others. It
tries again after a pause, which grows from time to time until something gets through.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from wolkvox_async.model import ErrorKind

UNREACHED: Final = frozenset({ErrorKind.CONNECT, ErrorKind.TLS, ErrorKind.SERVER_DOWN})
"""How attempts end that did not get to the vendor."""

_SECONDS: Final = 60.0  # for which nothing got through
_ATTEMPTS: Final = 10
_SERVERS: Final = 3
_FIRST_PAUSE: Final = 120.0
_LONGEST_PAUSE: Final = 1800.0


class Ability:
    """All times are seconds of one clock."""

    def __init__(self) -> None:
        self._failed: Final[deque[tuple[float, str]]] = deque()  # when, and which server; within the time that counts
        self._since: float | None = None  # the first failure after the last time that something got through
        self._until: float | None = None  # when it is tried again
        self._pause = _FIRST_PAUSE

    def reached(self) -> None:
        """Take in that something got through."""
        self._failed.clear()
        self._since = None
        self._pause = _FIRST_PAUSE

    def missed(self, server: str, now: float) -> None:
        """Take in that an attempt did not get to the vendor."""
        self._since = now if self._since is None else self._since
        self._failed.append((now, server))
        while self._failed[0][0] < now - _SECONDS:
            self._failed.popleft()

    def is_able(self, now: float) -> bool:
        """Tell whether there is a point in calling from here."""
        if self._until is not None:
            if now < self._until:
                return False
            self._until = None
        if self._is_cut_off(now):
            self._until = now + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._failed.clear()
            self._since = None
        return self._until is None

    def _is_cut_off(self, now: float) -> bool:
        if self._since is None or now - self._since < _SECONDS:
            return False
        recent = [server for at, server in self._failed if at >= now - _SECONDS]
        return len(recent) >= _ATTEMPTS or len(set(recent)) >= _SERVERS
