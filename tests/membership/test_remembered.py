"""What is changed in place says the same as what is merged, and what was copied stays as it is."""

from __future__ import annotations

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.clustering.messages import Refused, SlotTimes, TokenState, merge
from wolkvox_async.membership.remembered import Remembered

TIMES = st.integers(0, 5)
STATES = st.builds(
    TokenState,
    asked=st.dictionaries(st.sampled_from("xyz"), st.floats(0, 5)),
    slots=st.dictionaries(
        st.tuples(*[st.sampled_from("ab")] * 4), st.builds(SlotTimes, TIMES, st.none() | TIMES), max_size=5
    ),
    refused=st.none() | st.builds(Refused, st.sampled_from("kl"), st.sampled_from("mn"), st.floats(0, 5)),
    names=st.frozensets(TIMES),
)


def remembered(states: list[TokenState]) -> Remembered:
    known = Remembered()
    for state in states:
        known.add(state)
    return known


@given(st.lists(STATES))
def test_additions_come_to_the_same_as_merging(states: list[TokenState]) -> None:
    assert remembered(states).state() == reduce(merge, states, TokenState())


@given(st.lists(STATES), STATES)
def test_a_copy_stays_as_it_was(states: list[TokenState], more: TokenState) -> None:
    known = remembered(states)
    copied, before = known.copy(), known.copy()
    known.add(more)
    assert copied == before


def test_nothing_that_is_added_is_changed() -> None:
    state = TokenState({"x": 1.0}, {("t", "o", "a", ""): SlotTimes(1)})
    known = remembered([state])
    known.add(TokenState({"x": 2.0, "y": 1.0}, {("t", "o", "a", ""): SlotTimes(2)}))
    assert state == TokenState({"x": 1.0}, {("t", "o", "a", ""): SlotTimes(1)})


def test_what_is_over_is_left_out_before_there_is_much_of_it() -> None:
    known = remembered([])
    sizes = []
    for day in range(1_000):
        known.add(TokenState(asked={f"q{day}": float(day)}))
        known.prune(lambda state, day=day: TokenState({q: at for q, at in state.asked.items() if at > day - 3}))  # type: ignore[misc]
        sizes.append(len(known.state().asked))
    assert max(sizes) <= 2 * 3 + 4
    assert set(known.state().asked) >= {"q997", "q998", "q999"}
