"""Messages that a full store does not take.

Each of their tokens is *stuck* until its message is stored: nothing more is called with it
meanwhile, because nobody would know of it. After a pause, which grows, a few of them are sent
again to see; when one of these is stored, all others follow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Final

from .backoff import Backoff
from .launching import Pace
from .strands import Strand


class Jam:
    """The strands that are stuck."""

    def __init__(self, pace: Pace, again: Callable[[Iterable[Strand]], None]) -> None:
        """`again` is called with those to be sent once more."""
        self._batch: Final = pace.batch
        self._again: Final = again
        self._backoff: Final = Backoff(*pace.full_pause)
        self._stuck: Final[set[str]] = set()  # by token id
        self._waiting: Final[dict[str, Strand]] = {}  # those of them that are not about to be sent
        self._timer: asyncio.TimerHandle | None = None

    @property
    def stuck(self) -> Collection[str]:
        """The ids of the tokens that are stuck."""
        return self._stuck

    def refused(self, strand: Strand) -> bool:
        """Take in that the store is full; return whether the token was not stuck before."""
        is_new = strand.token not in self._stuck
        self._stuck.add(strand.token)
        self._waiting[strand.token] = strand
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._backoff.pause(), self._try)
        return is_new

    def stored(self, token: str) -> bool:
        """Take in that the message of a token is stored; return whether it was stuck."""
        if token not in self._stuck:
            return False
        self._stuck.discard(token)
        self._backoff.reset()
        waiting = list(self._waiting.values())
        self.stop()
        self._again(waiting)
        return True

    def stop(self) -> None:
        """Try nothing again."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _try(self) -> None:
        self._timer = None
        first = list(islice(self._waiting.values(), self._batch))
        for strand in first:
            del self._waiting[strand.token]
        self._again(first)
