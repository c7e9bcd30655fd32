"""One line per mistake, whatever the input held, and errors that survive the way between processes."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async import errors
from wolkvox_async.errors import MAX_MISTAKES, ConfigurationError, Mistake, SelectionError, WolkvoxError, one_line


@pytest.mark.parametrize(
    ("mistake", "line"),
    [
        (Mistake("no such tenant"), "no such tenant"),
        (Mistake("unknown key", "tenants.json"), "tenants.json: unknown key"),
        (Mistake("unknown key", "tenants.json", 3, 7), "tenants.json:3:7: unknown key"),
    ],
)
def test_a_mistake_says_where_it_stands(mistake: Mistake, line: str) -> None:
    assert str(mistake) == line


def test_a_mistake_cannot_break_its_line_or_drive_a_terminal() -> None:
    mistake = Mistake("unknown key 'a\nb\x1b[2J\u2028'", "ten\nants.json", 1, 2)
    assert str(mistake) == r"ten\nants.json:1:2: unknown key 'a\nb\x1b[2J\u2028'"


@given(st.text(st.characters()))
def test_one_line_is_printable_whatever_comes_in(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1
    assert line.encode().decode() == line


@given(st.text().filter(str.isprintable))
def test_one_line_leaves_printable_text_alone(text: str) -> None:
    assert one_line(text) == text


def test_every_mistake_is_a_line_up_to_a_thousand_and_the_rest_is_a_number() -> None:
    error = ConfigurationError(f"mistake {n}" for n in range(MAX_MISTAKES + 3))
    lines = str(error).split("\n")
    assert lines == error.lines()
    assert len(lines) == MAX_MISTAKES + 1
    assert lines[-2:] == [f"mistake {MAX_MISTAKES - 1}", "... and 3 more mistakes"]


def test_exactly_a_thousand_mistakes_leave_nothing_to_count() -> None:
    error = ConfigurationError(["wrong"] * MAX_MISTAKES)
    assert (len(error.lines()), error.unlisted) == (MAX_MISTAKES, 0)


def test_one_mistake_beyond_the_limit_is_one_mistake() -> None:
    assert ConfigurationError(["wrong"] * (MAX_MISTAKES + 1)).lines()[-1] == "... and 1 more mistake"


def test_a_lone_text_is_one_mistake_and_not_one_for_each_letter() -> None:
    assert ConfigurationError("no such tenant").mistakes == (Mistake("no such tenant"),)


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])  # noqa: S301
def test_a_copy_of_an_error_says_the_same(clone: object) -> None:
    error = SelectionError([Mistake("wrong", "tenants.json", 3, 7)] * (MAX_MISTAKES + 5))
    twin = clone(error)  # type: ignore[operator]
    assert type(twin) is SelectionError
    assert (twin.mistakes, twin.unlisted, str(twin)) == (error.mistakes, error.unlisted, str(error))


def test_every_exception_hangs_in_the_one_tree() -> None:
    classes = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)]
    assert len(classes) == 10
    assert all(issubclass(cls, WolkvoxError) for cls in classes)
    assert all(cls.__name__ in (errors.__doc__ or "") for cls in classes)
