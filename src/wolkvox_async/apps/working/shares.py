"""Who has which tokens, and how much of the limits. Pure.

A token goes to the worker with the highest score for it (rendezvous hashing): as long as the
same workers are there it stays with one, and when one is gone only its tokens move. A token's
operations go together, so nobody else ever has a call of it.

The limits are totals: the parts of all workers add up to them, whoever has died.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_PREFIX: Final = len("tk_")
_BITS: Final = (1 << 64) - 1
_STEP: Final = 0x9E3779B97F4A7C15  # as in splitmix64, whose way of mixing this is
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB


@dataclass(frozen=True, slots=True)
class Part:
    """A worker's part of the limits: calls in flight in all, and to one server.

    Where the first is found out (`auto`), it is what is not exceeded.
    """

    max_in_flight: int
    per_server: int

    def split(self, workers: int) -> list[Part]:
        """Return parts that add up to this one; nobody gets nothing, so there may be fewer than `workers`."""
        number = min(workers, self.per_server, self.max_in_flight)
        in_all, to_one = _portions(self.max_in_flight, number), _portions(self.per_server, number)
        return [Part(*pair) for pair in zip(in_all, to_one, strict=True)]

    def shortage(self, workers: int) -> str | None:
        """Say why there are fewer than `workers`; None when there are as many."""
        most = len(self.split(workers))
        if most == workers:
            return None
        return (
            f"--workers {workers}: {most} at most, because each needs its part of "
            f"--max-in-flight {self.max_in_flight} and --per-server {self.per_server}"
        )

    def __add__(self, other: Part) -> Part:
        return Part(self.max_in_flight + other.max_in_flight, self.per_server + other.per_server)


def _portions(total: int, number: int) -> list[int]:
    whole, rest = divmod(total, number)
    return [whole + (place < rest) for place in range(number)]


def owner(token: str, workers: Sequence[int]) -> int:
    """Return which of `workers` (their numbers) has the token with this id."""
    if len(workers) == 1:
        return workers[0]
    number = int(token[_PREFIX:], 16)
    return max(workers, key=lambda worker: _score(number, worker))


def _score(token: int, worker: int) -> int:
    mixed = (token + _STEP * (worker + 1)) & _BITS
    mixed = ((mixed ^ (mixed >> 30)) * _FIRST) & _BITS
    mixed = ((mixed ^ (mixed >> 27)) * _SECOND) & _BITS
    return mixed ^ (mixed >> 31)


def shares(tokens: Sequence[str], which: Iterable[int], workers: Sequence[int]) -> dict[int, array[int]]:
    """Deal the operations `which` (their places in `tokens`, their tokens' ids) out to `workers`."""
    dealt = {worker: array("I") for worker in workers}
    for place in which:
        dealt[owner(tokens[place], workers)].append(place)
    return dealt
