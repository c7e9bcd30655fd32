"""When each question was last asked of tokens, as the stream tells it and as this process goes on.

Per token some 100 bytes, and 150 for each question.
"""

from __future__ import annotations

from math import inf
from typing import Final

from wolkvox_async.ports import Clock

_HORIZON: Final = 32 * 86_400.0  # seconds; longer than any interval


class Asked:
    """By token id and question; `sent` in Unix seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock: Final = clock
        self._known: Final[dict[str, dict[str, float]]] = {}  # monotonic seconds
        self._armed: Final[dict[tuple[str, str], float]] = {}  # answered, and not delivered yet
        self._supposed: Final[dict[tuple[str, str], float]] = {}

    def learn(self, token: str, question: str, sent: float) -> None:
        """Take in when a question was asked, maybe by others."""
        ago = max(self._clock.utc().timestamp() - sent, 0.0)
        self._know(token, question, self._clock.now() - ago)

    def suppose(self, token: str, question: str, sent: float) -> None:
        """Take in when it may have been asked, by others who cannot tell any more."""
        ago = max(self._clock.utc().timestamp() - sent, 0.0)
        self._supposed[token, question] = self._clock.now() - ago

    def answered_since(self, token: str, question: str) -> float | None:
        """Return how many seconds ago it was asked last with an answer that everybody knows of."""
        known = self._known.get(token, {}).get(question)
        return None if known is None else self._clock.now() - known

    def since(self, token: str, question: str) -> float | None:
        """Return how many seconds ago it was asked last; None: never, or too long ago."""
        known = self._known.get(token)
        last, key = -inf if known is None else known.get(question, -inf), (token, question)
        last = max(last, self._armed.get(key, -inf), self._supposed.get(key, -inf) if self._supposed else -inf)
        age = self._clock.now() - last
        return age if age < _HORIZON else None

    def arm(self, token: str, question: str, seconds_ago: float) -> None:
        """Note that it was asked so long ago, until it is settled or disarmed."""
        when = self._clock.now() - seconds_ago
        self._armed[token, question] = max(when, self._armed.get((token, question), when))

    def disarm(self, token: str, question: str) -> None:
        """Undo `arm`."""
        self._armed.pop((token, question), None)

    def settle(self, token: str, question: str, sent: float) -> None:
        """Note for good that it was asked."""
        armed = self._armed.pop((token, question), None)
        if armed is None:
            self.learn(token, question, sent)
        else:
            self._know(token, question, armed)

    def _know(self, token: str, question: str, when: float) -> None:
        known = self._known.setdefault(token, {})
        known[question] = max(when, known.get(question, -inf))
