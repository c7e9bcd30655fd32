"""Identities sort by time, are the same for the same thing and different for different things."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wolkvox_async.identity import CallIds, call_id, moment, spelled, ulid

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

milliseconds = st.integers(0, 2**48 - 1)
chances = st.integers(0, 2**80 - 1)
runs = st.builds(ulid, milliseconds, chances)
parts = st.lists(st.text(max_size=8), max_size=6)


def decoded(identity: str) -> tuple[int, int]:
    number = 0
    for character in identity:
        number = number * 32 + CROCKFORD.index(character)
    return number >> 80, number % 2**80


def test_the_example_of_the_ulid_specification_comes_out() -> None:
    assert ulid(1_469_918_176_385, decoded("TSV4RRFFQ69G5FAV")[1]) == "01ARYZ6S41TSV4RRFFQ69G5FAV"


@given(milliseconds, chances)
def test_an_id_is_26_characters_that_hold_its_time_and_chance(time: int, chance: int) -> None:
    identity = ulid(time, chance)
    assert ULID.fullmatch(identity)
    assert decoded(identity) == (time, chance)


@given(milliseconds, milliseconds, chances, chances)
def test_ids_sort_by_time(earlier: int, later: int, one: int, other: int) -> None:
    assume(earlier < later)
    assert ulid(earlier, one) < ulid(later, other)


@given(milliseconds, chances)
def test_the_time_of_an_id_is_read_back(time: int, chance: int) -> None:
    assert moment(ulid(time, chance)) == time


@pytest.mark.parametrize("text", ["U" * 26, "8" + "0" * 25, "usage.json"])
def test_what_is_no_id_has_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"no time|not found"):
        moment(text)


@given(milliseconds, chances, st.integers(1, 2**40))
def test_more_chance_than_fits_never_changes_the_time(time: int, chance: int, more: int) -> None:
    assert ulid(time, chance | more << 80) == ulid(time, chance)


@given(runs, parts)
def test_a_calls_id_is_stable_and_carries_its_runs_time(run: str, asked: list[str]) -> None:
    identity = call_id(run, asked)
    assert ULID.fullmatch(identity)
    assert identity[:10] == run[:10]
    assert identity == call_id(run, iter(asked))


def test_ids_stay_what_they_were_when_runs_of_older_versions_are_taken_up() -> None:
    assert call_id("01KAJ4N0QG0123456789ABCDEF", ("acme", "bogotá", "interactions")) == "01KAJ4N0QGE62971WYD1PX8YC7"


@given(runs, st.lists(parts, max_size=4))
def test_the_ids_of_a_run_do_not_depend_on_those_made_before(run: str, calls: list[list[str]]) -> None:
    ids = CallIds(run)
    assert [ids.of("".join(map(spelled, asked))) for asked in calls] == [call_id(run, asked) for asked in calls]


@given(runs, parts, parts)
def test_different_things_have_different_ids(run: str, one: list[str], other: list[str]) -> None:
    assume(one != other)
    assert call_id(run, one) != call_id(run, other)


@given(milliseconds, chances, chances, parts)
def test_two_runs_of_one_moment_have_different_ids_for_the_same_call(
    time: int, one: int, other: int, asked: list[str]
) -> None:
    assume(one != other)
    assert call_id(ulid(time, one), asked) != call_id(ulid(time, other), asked)


@given(runs, st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=4), st.data())
def test_moving_a_boundary_between_parts_makes_another_id(run: str, asked: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(asked) - 2))
    moved = [*asked[:at], asked[at] + asked[at + 1][:1], asked[at + 1][1:], *asked[at + 2 :]]
    assert call_id(run, moved) != call_id(run, asked)
