"""Names by token and tokens by name: two sides of the same."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.adapters.state.names import NamedSlots, NameIndex, Naming

STEPS = st.lists(st.tuples(st.sampled_from("xyz"), st.lists(st.integers(-2, 2), max_size=4)), max_size=12)


@given(STEPS)
def test_every_key_has_what_it_was_given_last_and_a_name_is_anothers_when_another_key_has_it(
    steps: list[tuple[str, list[int]]],
) -> None:
    index, known = NameIndex[str](), dict[str, set[int]]()
    for key, names in steps:
        index.put(key, names)
        known[key] = set(names)
        for one in "xyz":
            others = set[int]().union(*(names for other, names in known.items() if other != one))
            assert index.of(one) == known.get(one, set())
            assert {name for name in range(-2, 3) if index.is_anothers(one, [name])} == others
        assert index.is_anothers(None, range(-2, 3)) == any(known.values())


async def test_what_the_database_holds_does_not_count_while_something_else_is_being_written() -> None:
    writes: list[Naming] = []
    names = NamedSlots(writes.append)
    names.learn(7, [1])
    names.note(7, [2])
    names.note(7, [3])
    for write in writes:
        names.learn(7, [1])
        assert names.of(7) == {3}
        write.told(None)
    names.learn(7, [1])
    assert names.of(7) == {3}, "it may have been read before the commit"
    await asyncio.sleep(0)
    names.learn(7, [4])
    assert names.of(7) == {4}
