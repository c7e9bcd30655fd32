"""Rules over the journal: what no client may do, whoever it is. Pure.

Each takes facts in the order of their time and yields what breaks it. Times in seconds.

A vendor that stands still reads late what came meanwhile, and would take the client's time for longer than
it was. So what it read then counts as having come when it began to stand still: it is worked on no longer
than the limit from there on. Nobody is accused on the word of a witness who slept.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .facts import Answered, Asked, Effect, Fact, StoodStill

JITTER: Final = 1.0


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule was broken: `about` is the token, call or file that it concerns."""

    rule: str
    about: str
    text: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.about}: {self.text}"


def _asked(journal: Sequence[Fact]) -> Iterator[Asked]:
    return (fact for fact in journal if isinstance(fact, Asked))


def _answers(journal: Sequence[Fact]) -> dict[int, Answered]:
    return {fact.request: fact for fact in journal if isinstance(fact, Answered)}


class Arrivals:
    """When requests came at the earliest."""

    def __init__(self, journal: Sequence[Fact]) -> None:
        self.pauses: Final = sorted((fact.at, fact.since) for fact in journal if isinstance(fact, StoodStill))

    def earliest(self, asked: Asked) -> float:
        """Return when it came, or may have come."""
        place = bisect_left(self.pauses, (asked.at, 0.0))
        if place == len(self.pauses):
            return asked.at
        return min(asked.at, self.pauses[place][1])


def overlaps(journal: Sequence[Fact], limit: float) -> Iterator[Violation]:
    """A token is used while it is in work: until its answer is out, or for `limit` when that never was whole."""
    answers, arrivals = _answers(journal), Arrivals(journal)
    in_work: dict[str, tuple[float, int]] = {}
    for asked in _asked(journal):
        until, by = in_work.get(asked.token, (0.0, 0))
        if asked.at < until:
            text = f"request {asked.request} came {until - asked.at:.3f} s before request {by} was done with"
            yield Violation("overlap", asked.token, text)
        came, answered = arrivals.earliest(asked), answers.get(asked.request)
        done = came + limit
        if answered is not None and (came == asked.at or answered.at < done):
            done = answered.at
        in_work[asked.token] = max((until, by), (done, asked.request))


def early_calls(journal: Sequence[Fact], interval: float, *, jitter: float = JITTER) -> Iterator[Violation]:
    """The same is asked of a token again within `interval` after it was answered ok or empty."""
    answers, arrivals = _answers(journal), Arrivals(journal)
    granted: dict[tuple[str, str, str], tuple[float, int]] = {}
    for asked in _asked(journal):
        question = (asked.token, asked.api, asked.query)
        before, by = granted.get(question, (-interval, 0))
        if asked.at - before < interval - jitter:
            text = f"{asked.api} was asked {asked.at - before:.3f} s after request {by}"
            yield Violation("early", asked.token, text)
        answered = answers.get(asked.request)
        if answered is not None and answered.effect in (Effect.OK, Effect.EMPTY):
            granted[question] = arrivals.earliest(asked), asked.request


def after_refusals(journal: Sequence[Fact]) -> Iterator[Violation]:
    """A token is sent again after it was refused."""
    tokens = {asked.request: asked.token for asked in _asked(journal)}
    refused: dict[str, float] = {}
    for answered in _answers(journal).values():
        if answered.effect is Effect.REFUSED:
            refused.setdefault(tokens[answered.request], answered.at)
    for asked in _asked(journal):
        since = refused.get(asked.token)
        if since is not None and asked.at > since:
            yield Violation("refused token", asked.token, f"request {asked.request}, {asked.at - since:.3f} s later")


def misplaced_tokens(journal: Sequence[Fact]) -> Iterator[Violation]:
    """A token stands elsewhere than in its header, or goes to a server that is not its own."""
    for asked in _asked(journal):
        where = f"request {asked.request} to {asked.server}"
        for stray in asked.strays:
            yield Violation("misplaced token", asked.token, f"{where}: in {stray}")
        if not asked.token:
            yield Violation("misplaced token", "none", f"{where}: not in its header")
        elif not asked.home:
            yield Violation("misplaced token", asked.token, f"{where}: nobody was given this token")
        elif asked.home != asked.server:
            yield Violation("misplaced token", asked.token, f"{where}: it belongs to {asked.home}")


def shared_connections(journal: Sequence[Fact]) -> Iterator[Violation]:
    """A connection serves two tokens."""
    first: dict[int, str] = {}
    for asked in _asked(journal):
        served = first.setdefault(asked.connection, asked.token)
        if served != asked.token:
            yield Violation("shared connection", asked.token, f"connection {asked.connection} served {served} before")


def broken_on_the_wire(journal: Sequence[Fact], *, limit: float, interval: float = 0.0) -> list[Violation]:
    """Return everything that was broken on the wire; an `interval` of 0 switches that rule off."""
    return [
        *overlaps(journal, limit),
        *early_calls(journal, interval),
        *after_refusals(journal),
        *misplaced_tokens(journal),
        *shared_connections(journal),
    ]


def granted(journal: Sequence[Fact]) -> dict[tuple[str, str, str], int]:
    """Count the answers that were ok or empty, by token, endpoint and query."""
    answers, counts = _answers(journal), defaultdict[tuple[str, str, str], int](int)
    for asked in _asked(journal):
        answered = answers.get(asked.request)
        if answered is not None and answered.effect in (Effect.OK, Effect.EMPTY):
            counts[asked.token, asked.api, asked.query] += 1
    return dict(counts)
