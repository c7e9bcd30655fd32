"""Who has which tokens, and how much of the limits."""

from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.apps.working.shares import Part, owner, shares

TOKENS = st.lists(st.integers(0, 2**48 - 1).map(lambda number: f"tk_{number:012x}"), min_size=1, max_size=60)
WORKERS = st.lists(st.integers(1, 256), min_size=1, max_size=8, unique=True)
LIMITS = st.builds(Part, st.integers(1, 5000), st.integers(1, 100))


@given(TOKENS, WORKERS)
def test_every_operation_is_dealt_out_once_and_those_of_one_token_together(
    tokens: list[str], workers: list[int]
) -> None:
    dealt = shares(tokens, range(len(tokens)), workers)
    assert sorted(place for places in dealt.values() for place in places) == list(range(len(tokens)))
    assert all(
        tokens[place] not in {tokens[n] for w in dealt if w != worker for n in dealt[w]}
        for worker, places in dealt.items()
        for place in places
    )


@given(TOKENS, WORKERS)
def test_a_death_moves_only_the_tokens_of_the_dead(tokens: list[str], workers: list[int]) -> None:
    dead, *left = workers
    for token in tokens:
        before = owner(token, workers)
        if left and before != dead:
            assert owner(token, left) == before


def test_tokens_are_dealt_out_evenly() -> None:
    tokens = [f"tk_{number * 2654435761 % 2**48:012x}" for number in range(9000)]
    dealt = shares(tokens, range(9000), [1, 2, 3])
    assert all(2800 < len(places) < 3200 for places in dealt.values())


@given(LIMITS, st.integers(1, 12))
def test_the_parts_of_a_limit_add_up_to_it_and_nobody_gets_nothing(limits: Part, workers: int) -> None:
    parts = limits.split(workers)
    total = parts[0]
    for part in parts[1:]:
        total += part
    assert total == limits
    assert len(parts) <= workers
    assert all(part.max_in_flight != 0 and part.per_server > 0 for part in parts)
    assert max(p.per_server for p in parts) - min(p.per_server for p in parts) <= 1


def test_limits_are_divided_without_a_rest() -> None:
    parts = Part(10_000, 5).split(3)
    assert parts == [Part(3334, 2), Part(3333, 2), Part(3333, 1)]
    assert parts[0] + parts[2] == Part(6667, 3)


def test_where_a_limit_cannot_be_divided_there_are_fewer_parts() -> None:
    assert len(Part(1000, 32).split(40)) == 32
    assert Part(3, 32).split(2) == [Part(2, 16), Part(1, 16)]
