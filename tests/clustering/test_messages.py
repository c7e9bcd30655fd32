"""A message says what it was told, and two of one token are merged to what is true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.clustering.messages import DAY, Entry, Refused, SlotTimes, TokenState, lines_of, merge
from wolkvox_async.marks import SlotMark

NOW = 1_800_000_000.0
TIMES = st.floats(0.0, 4e9)
DUE = st.integers(0, 2**52)
WORDS = st.text(max_size=4)
STATES = st.builds(
    TokenState,
    st.dictionaries(WORDS, TIMES, max_size=3),
    st.dictionaries(st.tuples(WORDS, WORDS, WORDS, WORDS), st.builds(SlotTimes, DUE, st.none() | DUE), max_size=3),
    st.none() | st.builds(Refused, WORDS, WORDS, TIMES),
    st.frozensets(st.integers(-(2**63), 2**63 - 1), max_size=3),
)
LINES = st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line)).map(
    lambda lines: b"".join(line + b"\n" for line in lines)
)
ENTRIES = st.builds(Entry, st.text(), st.integers(0, 2**53), STATES, LINES)
KEY = ("t1", "main", "interactions", "")


@given(ENTRIES)
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    assert Entry.decode(entry.encode()) == entry
    assert lines_of(entry.encode()) == entry.lines


@given(st.binary())
def test_what_is_no_entry_is_not_read(payload: bytes) -> None:
    with pytest.raises(ValueError, match="no entry"):
        Entry.decode(payload)


@pytest.mark.parametrize(
    "head",
    [
        b'{"id":1,"epoch":1}',
        b'{"id":"x"}',
        b'{"id":"x","epoch":1,"asked":[]}',
        b'{"id":"x","epoch":1,"slots":[["t","o","a","","1"]]}',
        b'{"id":"x","epoch":1,"refused":["kind"]}',
        b'{"id":"x","epoch":1,"slots":[[1,"o","a","",1,null]]}',
    ],
)
def test_a_head_with_something_else_in_it_is_not_read(head: bytes) -> None:
    with pytest.raises(ValueError, match="no entry"):
        Entry.decode(head + b"\n")


def test_a_head_is_one_line_and_says_only_what_there_is() -> None:
    assert Entry("x", 1, TokenState(), b"").encode() == b'{"id":"x","epoch":1}\n'
    broken = TokenState(refused=Refused("token", "two\nlines", NOW))
    assert Entry("x", 1, broken, b"{}\n").encode().count(b"\n") == 2


@given(STATES, STATES, STATES)
def test_it_does_not_matter_who_merges_what_in_which_order(
    one: TokenState, other: TokenState, third: TokenState
) -> None:
    assert merge(one, other) == merge(other, one)
    assert merge(merge(one, other), third) == merge(one, merge(other, third))
    assert merge(one, one) == one == merge(one, TokenState())


@given(STATES, STATES)
def test_no_time_gets_earlier_by_merging(one: TokenState, other: TokenState) -> None:
    both = merge(one, other)
    for state in (one, other):
        assert all(both.asked[question] >= at for question, at in state.asked.items())
        assert all(both.slots[key].due >= times.due for key, times in state.slots.items())
        assert all((both.slots[key].closing or 0) >= (times.closing or 0) for key, times in state.slots.items())
        assert state.names <= both.names


def test_the_longer_refusal_is_kept() -> None:
    short, long = Refused("quota", "used up", NOW + 10), Refused("token", "unknown", NOW + 20)
    assert merge(TokenState(refused=short), TokenState(refused=long)).refused == long
    assert merge(TokenState(refused=short), TokenState()).refused == short


def test_a_closing_slot_outlives_the_later_ones() -> None:
    marks = (
        SlotMark("t1", "main", "interactions", "", 1000, closing=True),
        SlotMark("t1", "main", "interactions", "", 3000),
        SlotMark("t1", "main", "interactions", "", 2000),
    )
    assert TokenState().with_slots(marks).slots == {KEY: SlotTimes(3000, 1000)}
    known = TokenState({"q": NOW}, {KEY: SlotTimes(5000)}, None, frozenset({1}))
    assert known.with_slots(marks) == TokenState({"q": NOW}, {KEY: SlotTimes(5000, 1000)}, None, frozenset({1}))


def test_what_is_over_is_left_out() -> None:
    asked = {"old": NOW - DAY - 1, "new": NOW - DAY + 1}
    slots = {KEY: SlotTimes(round((NOW - 63 * DAY) * 1000)), (*KEY[:3], "202601"): SlotTimes(round(NOW * 1000))}
    state = TokenState(asked, slots, Refused("token", "unknown", NOW), frozenset({1}))
    assert state.pruned(NOW) == TokenState({"new": NOW - DAY + 1}, dict([*slots.items()][1:]), None, frozenset({1}))
    assert state.pruned(NOW - 2).refused is not None


def test_a_question_is_remembered_for_as_long_as_the_longest_interval() -> None:
    state = TokenState({"weekly": NOW - 6 * DAY})
    assert state.pruned(NOW, 7 * DAY) == state
    assert state.pruned(NOW, 60.0) == TokenState()
