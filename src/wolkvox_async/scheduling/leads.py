"""How long before the turn of a month its closing readings are begun. Pure; seconds in, milliseconds out.

As late as possible, and early enough for all of them: what the token's closing readings
take one after the other, as measured; one time-out on the way, after which the token
stays closed for as long as the vendor may be at work; and the time that the readings of
all tokens wait for one another, at their server or for a place in flight.

What an endpoint takes is remembered as the worst of late: a slower reading counts at
once, faster ones bring it down by a tenth each. Before the first one it is a guess.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import ceil
from typing import Final

from .subjects import Subject

GUESS: Final = 5.0  # seconds
FADES: Final = 0.9
MARGIN: Final = 1.0  # seconds, for what it takes to get going


@dataclass(frozen=True, slots=True)
class LeadTerms:
    """A time-out and the vendor's limit in seconds; calls in flight to one server and in all."""

    timeout: float
    server_limit: float
    per_server: int
    max_in_flight: int


class Leads:
    """What closing readings take, by token, by server and in all."""

    def __init__(self, terms: LeadTerms) -> None:
        self._terms: Final = terms
        self._took: Final[dict[str, float]] = {}
        self._by_token: Final[defaultdict[str, float]] = defaultdict(float)
        self._by_server: Final[defaultdict[str, float]] = defaultdict(float)
        self._in_all = 0.0

    def add(self, subject: Subject) -> None:
        """Take in a subject."""
        if subject.monthly and subject.key not in self._took:
            self._note(subject, min(GUESS, self._terms.timeout))

    def remove(self, subject: Subject) -> None:
        """Forget a subject, as it was added."""
        if subject.key in self._took:
            self._note(subject, 0.0)
            del self._took[subject.key]

    def measured(self, subject: Subject, seconds: float) -> None:
        """Take in how long a reading took."""
        took = self._took.get(subject.key)
        if took is not None and abs(seconds - took) > took / 100:
            self._note(subject, max(seconds, took * FADES))

    def of(self, subject: Subject) -> int:
        """Return the lead of a subject; at least a millisecond."""
        terms, operation = self._terms, subject.operation
        queueing = max(self._by_server[operation.server] / terms.per_server, self._in_all / terms.max_in_flight)
        work = self._by_token[operation.token.id] + terms.timeout + terms.server_limit
        return max(1, ceil((work + queueing + MARGIN) * 1000))

    def _note(self, subject: Subject, seconds: float) -> None:
        change = seconds - self._took.get(subject.key, 0.0)
        self._took[subject.key] = seconds
        self._by_token[subject.operation.token.id] += change
        self._by_server[subject.operation.server] += change
        self._in_all += change
