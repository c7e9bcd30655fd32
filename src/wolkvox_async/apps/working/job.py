"""What all processes of a pass have in memory when they part: what is to be fetched, and with which tokens."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wolkvox_async.catalog import Dates
from wolkvox_async.planning import DateRange, Subscription
from wolkvox_async.settings.composition import Parts
from wolkvox_async.settings.entries import Tenants
from wolkvox_async.settings.options import Options

from .shares import Part


@dataclass(frozen=True, slots=True)
class Terms:
    """How a job is to be done; `parts` makes what an engine is made of beside its clock and its state."""

    options: Options
    dates: DateRange | None
    parts: Callable[[], Parts]


@dataclass(frozen=True, slots=True)
class Job:
    """Operations by their places: `subscriptions` with what is asked for, `tenants` with their entries alone.

    `tokens` are the ids of their tokens.
    """

    tenants: Tenants
    subscriptions: tuple[Subscription, ...]
    tokens: tuple[str, ...]
    terms: Terms

    @classmethod
    def of(cls, tenants: Tenants, chosen: Iterable[Subscription], terms: Terms) -> Job:
        """Return the job for `chosen`, in the order of the entries; who is asked for nothing is no part of it."""
        asked = [pair for pair in zip(tenants.entries, chosen, strict=True) if pair[1].wanted]
        return cls(
            replace(tenants, entries=tuple(entry for entry, _ in asked)),
            tuple(subscription for _, subscription in asked),
            tuple(subscription.operation.token.id for _, subscription in asked),
            terms,
        )

    def subscriptions_of(self, places: Iterable[int]) -> list[Subscription]:
        """Return the operations of a share."""
        return [self.subscriptions[place] for place in places]

    def tenants_of(self, places: Iterable[int]) -> Tenants:
        """Return the tenants file without the operations of others."""
        return replace(self.tenants, entries=tuple(self.tenants.entries[place] for place in places))

    def options_of(self, part: Part) -> Options:
        """Return the options with a part of the limits."""
        options = replace(self.terms.options, per_server=part.per_server)
        return options if options.max_in_flight == "auto" else replace(options, max_in_flight=part.max_in_flight)

    def dates_of(self, subscriptions: Iterable[Subscription]) -> DateRange | None:
        """Return the dates, where any of the endpoints takes dates."""
        lists = {id(subscription.wanted): subscription.wanted for subscription in subscriptions}
        takes = any(one.endpoint.dates is not Dates.NEVER for wanted in lists.values() for one in wanted)
        return self.terms.dates if takes else None


@dataclass(frozen=True, slots=True)
class Share:
    """A worker's order to call: which operations, within which limits, and which calls have ended already."""

    number: int
    run: str
    at: str  # the moment that calls are planned as of, ISO 8601
    part: Part
    places: array[int]
    ended: bytes  # the tails of those calls, one behind the other

    def frame(self) -> tuple[list[object], bytes]:
        """Return it as a frame's head and tail."""
        limits = [self.part.max_in_flight, self.part.per_server]
        places = self.places.tobytes()
        return ["share", self.number, self.run, self.at, limits, len(places)], places + self.ended


def read_share(head: Sequence[Any], tail: bytes) -> Share:
    """Return the share that a frame holds; `head` without its first word."""
    number, run, at, limits, size = head
    places = array("I")
    places.frombytes(tail[:size])
    return Share(number, run, at, Part(*limits), places, tail[size:])
