"""How a request is met: values that say what is done to it byte by byte, and which request gets which.

A plan is data, so that it can be handed to a server in another process. What is left to
chance follows from its seed.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self


class Says(StrEnum):
    """What an answer says."""

    ROWS = "rows"
    EMPTY = "empty"
    REFUSED = "refused"
    UNAUTHORIZED = "unauthorized"
    BUSY = "busy"
    QUOTA = "quota"
    MAINTENANCE = "maintenance"
    LIMITED = "limited"
    BROKEN = "broken"
    DOWN = "down"


class Framing(StrEnum):
    """How an answer says where it ends; those below `UNTIL_CLOSE` are wrong."""

    LENGTH = "length"
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"
    TOO_SHORT = "a length that is too short"
    TWO_LENGTHS = "two lengths that differ"
    LENGTH_AND_CHUNKED = "a length and chunks"
    BAD_CHUNK = "a chunk without a size"


class End(StrEnum):
    """What becomes of the connection."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


AT_ONCE: Final = -1


@dataclass(frozen=True, slots=True)
class Manner:
    """How one request is met; times in seconds.

    With `halt` (an offset, or a share of the answer below 1) only that much is sent; after
    `halt_for` the answer goes on if the `end` is `KEEP`, else that is all of it. `ahead`
    goes before the answer. With `unasked` a second answer goes out that much later. With
    `reads` the connection ends in its `end` once that many bytes of the request arrived:
    0 when the first do, `AT_ONCE` before that. Only scripts of a server can say so.
    """

    says: Says = Says.ROWS
    rows: int = 1
    latency: float = 0.0
    framing: Framing = Framing.LENGTH
    ahead: str = ""
    halt: float | None = None
    halt_for: float = 0.0
    end: End = End.KEEP
    unasked: float | None = None
    reads: int | None = None

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """Build it from what JSON made of one."""
        words = {"says": Says(fields["says"]), "framing": Framing(fields["framing"]), "end": End(fields["end"])}
        return cls(**{**fields, **words})


@dataclass(frozen=True, slots=True)
class Plan:
    """Which request is met how.

    `scripts` go by place: `server:N` or `token:N`, by their number in the population. The
    n-th request of a place gets the n-th manner; after the last, and elsewhere, `chances`
    (a share of the requests each) and then `otherwise` decide.
    """

    otherwise: Manner = Manner()
    chances: tuple[tuple[float, Manner], ...] = ()
    scripts: dict[str, tuple[Manner, ...]] = field(default_factory=dict)
    seed: int = 0

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """Build it from what JSON made of one."""
        return cls(
            otherwise=Manner.of(fields["otherwise"]),
            chances=tuple((share, Manner.of(manner)) for share, manner in fields["chances"]),
            scripts={place: tuple(map(Manner.of, script)) for place, script in fields["scripts"].items()},
            seed=fields["seed"],
        )


class Director:
    """Follows a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan: Final = plan
        self._chance: Final = random.Random(plan.seed)
        self._met: Final[Counter[str]] = Counter()

    def cut(self, server: int) -> Manner | None:
        """Return how the next request to `server` is met if that is not to become whole."""
        manner = self._next(f"server:{server}")
        return manner if manner is not None and manner.reads is not None else None

    def spend(self, server: int) -> None:
        """Count a request to `server` that did not become whole."""
        self._met[f"server:{server}"] += 1

    def meet(self, server: int, token: int | None) -> Manner:
        """Return how the next request of `token` to `server` is met."""
        for place in (f"token:{token}", f"server:{server}"):
            manner = self._next(place)
            if manner is not None:
                self._met[place] += 1
                return manner
        throw = self._chance.random()
        for share, manner in self._plan.chances:
            throw -= share
            if throw < 0:
                return manner
        return self._plan.otherwise

    def _next(self, place: str) -> Manner | None:
        script = self._plan.scripts.get(place, ())
        return script[self._met[place]] if self._met[place] < len(script) else None
