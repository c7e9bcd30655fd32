"""Partitions are spread evenly, everybody comes to the same, and little moves."""

from __future__ import annotations

from collections import Counter
from math import ceil, floor

from hypothesis import given, settings
from hypothesis import strategies as st

from wolkvox_async.clustering.assignment import assignment

WORKERS = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=12, unique=True)


@given(st.integers(1, 256), WORKERS)
@settings(max_examples=50)
def test_every_share_is_within_a_fifth_of_even(partitions: int, workers: list[str]) -> None:
    given_to = assignment(partitions, workers)
    assert sorted(given_to) == list(range(partitions))
    even, shares = partitions / len(workers), Counter(given_to.values())
    for worker in workers:
        assert min(floor(even), ceil(0.8 * even)) <= shares[worker] <= max(ceil(even), floor(1.2 * even))


@given(st.integers(1, 64), WORKERS)
@settings(max_examples=50)
def test_everybody_comes_to_the_same_in_whatever_order_workers_are_told(partitions: int, workers: list[str]) -> None:
    assert assignment(partitions, workers) == assignment(partitions, workers[::-1] + workers[:1])


def test_one_worker_has_all_and_none_have_none() -> None:
    assert set(assignment(16, ["alone"]).values()) == {"alone"}
    assert assignment(16, []) == {}


def test_more_workers_than_partitions_have_one_or_none() -> None:
    shares = Counter(assignment(4, [f"w{n}" for n in range(9)]).values())
    assert set(shares.values()) == {1}


def moves(count: int, sample: int) -> float:
    """Return how much moves when a worker joins, as a share of what the newcomer ought to get."""
    workers = [f"host-{sample}-{n}" for n in range(count + 1)]
    before, after = assignment(256, workers[:-1]), assignment(256, workers)
    return sum(before[partition] != after[partition] for partition in before) / (256 / (count + 1))


def test_little_more_moves_than_a_newcomer_gets() -> None:
    for count in (1, 2, 3, 5, 8):
        assert sum(moves(count, sample) for sample in range(4)) / 4 < 1.5


def test_most_stays_where_it_is_when_a_worker_goes() -> None:
    workers = [f"host-{n}" for n in range(6)]
    before, after = assignment(256, workers), assignment(256, workers[:-1])
    kept = [partition for partition, worker in before.items() if worker != workers[-1]]
    assert sum(after[partition] == before[partition] for partition in kept) > 0.85 * len(kept)


def test_nobody_is_first_everywhere() -> None:
    assert assignment(256, ["a", "b"])[0] is not None
    assert {assignment(1, [f"{n}a", f"{n}b"])[0][-1] for n in range(20)} == {"a", "b"}
