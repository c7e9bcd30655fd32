"""Which worker ought to have which partition: everybody works out the same, and little moves. Pure.

Every worker has a number for every partition, by a hash of both (rendezvous hashing): the highest
has it. When a worker joins or leaves, the numbers of the others stay, so only its own partitions
move. Left at that, one worker has twice what another has. So nobody has more than 15 % above
the even share, and nobody less than that below (or the whole number next to it): a full worker's
partition goes to the next one, and whoever has too few gets those for which its own numbers
are highest.

That moves more than it must, because a change of the even share is a change for all: about as
much as the newcomer gets while shares are tens of partitions, twice of it when they are a few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from hashlib import blake2b
from math import ceil, floor
from typing import Final

FAIR: Final = 0.15  # of the even share: how far from it a worker's share may be


def assignment(partitions: int, workers: Collection[str]) -> dict[int, str]:
    """Return who ought to have each partition; empty when there are no workers.

    It takes half a microsecond and more for each pair of a partition and a worker: ask when workers change.
    """
    candidates = set(workers)
    if not candidates:
        return {}
    even = partitions / len(candidates)
    pairs = sorted(_numbers(partitions, candidates), reverse=True)
    given = _wanted(pairs, max(ceil(even), floor(even * (1 + FAIR))))
    return _evened(given, pairs, min(floor(even), ceil(even * (1 - FAIR))))


def _numbers(partitions: int, workers: Collection[str]) -> list[tuple[bytes, int, str]]:
    numbers = []
    for worker in workers:
        begun = blake2b(worker.encode(), digest_size=8)
        for partition in range(partitions):
            number = begun.copy()
            number.update(b" %d" % partition)
            numbers.append((number.digest(), partition, worker))
    return numbers


def _wanted(pairs: list[tuple[bytes, int, str]], most: int) -> dict[int, str]:
    given: dict[int, str] = {}
    shares: Counter[str] = Counter()
    for _, partition, worker in pairs:
        if partition not in given and shares[worker] < most:
            given[partition] = worker
            shares[worker] += 1
    return given


def _evened(given: dict[int, str], pairs: list[tuple[bytes, int, str]], least: int) -> dict[int, str]:
    shares = Counter(given.values())
    for _, partition, worker in pairs:
        if shares[worker] < least and shares[given[partition]] > least:
            shares[given[partition]] -= 1
            shares[worker] += 1
            given[partition] = worker
    return given
