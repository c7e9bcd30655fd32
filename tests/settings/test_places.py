from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.settings.places import Path, Place, Places, place_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def paths_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths_in(inner, (*path, key))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from paths_in(inner, (*path, number))


def offset_of(text: str, place: Place) -> int:
    return sum(len(line) + 1 for line in text.split("\n")[: place.line - 1]) + place.column - 1


@given(VALUES, st.booleans())
def test_what_stands_at_a_place_is_the_value_of_its_path(value: Any, indented: bool) -> None:
    content = orjson.dumps(value, option=orjson.OPT_INDENT_2 if indented else 0)
    text = content.decode()
    wanted = dict(paths_in(value))
    for path, (key_at, value_at) in Places(content).locate(wanted).items():
        inner = orjson.dumps(wanted[path]).decode()
        found = text[offset_of(text, value_at) :]
        assert found.startswith(inner[0] if isinstance(wanted[path], list | dict) else inner)
        if path and isinstance(path[-1], str):
            assert text[offset_of(text, key_at) :].startswith(orjson.dumps(path[-1]).decode())
        else:
            assert key_at == value_at


def test_what_is_missing_has_the_place_of_what_it_is_missing_in() -> None:
    places = Places(b'{"a":\n [ 1, {"b": 2} ]}')
    found = places.locate([("a", 1, "c"), ("a", 7), ("x", "y"), ("a", 0, "z")])
    assert [value for _, value in found.values()] == [Place(2, 7), Place(2, 2), Place(1, 1), Place(2, 4)]


def test_a_key_that_stands_twice_has_the_place_of_the_last() -> None:
    found = Places(b'{"a": 1,\n"a": 2}').locate([("a",)])
    assert found["a",] == (Place(2, 1), Place(2, 6))


def test_columns_count_characters_and_not_bytes() -> None:
    assert Places('{"ñ": "€", "b": 1}'.encode()).locate([("b",)])["b",] == (Place(1, 12), Place(1, 17))


def test_lines_may_end_as_they_do_on_windows() -> None:
    assert Places(b'{\r\n"a":\r\n1}').locate([("a",)])["a",] == (Place(2, 1), Place(3, 1))


def test_numbers_of_any_length_are_skipped() -> None:
    text = b'{"n": ' + b"9" * 5000 + b', "a": 1}'
    assert Places(text).locate([("a",)])["a",][0] == Place(1, 5009)


def test_nesting_beyond_the_parser_costs_the_place_and_not_the_run() -> None:
    text = b'{"deep": ' + b"[" * 200_000 + b"]" * 200_000 + b', "a": 1}'
    assert Places(text).locate([("a",)])["a",] == (Place(1, 1), Place(1, 1))


def test_an_offset_has_a_place() -> None:
    assert [place_of("ab\n\ncd", offset) for offset in (0, 2, 3, 4, 6)] == [
        Place(1, 1),
        Place(1, 3),
        Place(2, 1),
        Place(3, 1),
        Place(3, 3),
    ]
