"""A writer finds out from the last message alone whether its own was stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.membership.trails import OTHERS, contains, others_of, trail


def written(*writers: str) -> str:
    """Return the trail of the last of the messages that `writers` wrote, each on top of the one before."""
    last = ""
    for number, writer in enumerate(writers, 1):
        last = trail(writer, number, others_of(last, writer))
    return last


def test_a_message_names_itself_first_and_then_what_it_stands_on() -> None:
    assert written("a") == "a.1"
    assert written("a", "b", "b", "a") == "a.4 b.3"


def test_what_came_after_is_not_contained() -> None:
    assert not contains(written("a", "b"), "a", 2)
    assert not contains(written("a", "b"), "c", 1)
    assert not contains("", "a", 1)


def test_a_session_may_have_any_name_without_blanks() -> None:
    assert contains(trail("host.1-x", 7, " host.2"), "host.1-x", 7)
    assert not contains(trail("host.1-x", 7, " host.2"), "host.1", 1)


def test_a_trail_does_not_grow_for_ever() -> None:
    assert len(written(*"abcdefghijklmnop").split()) == OTHERS + 1


@given(st.lists(st.sampled_from("abcde"), min_size=1, max_size=30))
def test_whatever_a_message_stands_on_is_contained(writers: list[str]) -> None:
    last = written(*writers)
    assert all(contains(last, writer, number) for number, writer in enumerate(writers, 1))
