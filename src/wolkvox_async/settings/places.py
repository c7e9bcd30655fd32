"""Lines and columns: where in the text of a JSON file a value stands.

Parsers give values without places, and a parser that kept them would slow down the file
that has no mistake. So places are found afterwards, from the text, for the few paths
that a message needs: everything else is skipped by the parser of the standard library,
which says where a value ends. The text must be JSON that has been parsed before.

Lines and columns count from 1, columns in characters. Where a key stands twice, the
last one counts, as it does for the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from zlib import compress, decompress

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions, from the top of the document."""

_SPACE: Final = re.compile(r"[ \t\n\r]*")


def _nothing(_: object) -> None:
    return None


# Skipping needs no values: objects and numbers of any size cost nothing here.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_nothing, parse_int=_nothing, parse_float=_nothing)


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a text; both count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class _Node:
    """A wanted path; `key` and `value` are offsets into the text, found or not."""

    children: dict[str | int, _Node] = field(default_factory=dict)
    key: int | None = None
    value: int | None = None


class Places:
    """The places of one text, found on demand."""

    __slots__ = ("_packed",)

    def __init__(self, text: bytes) -> None:
        """Take the file's content: valid UTF-8 and valid JSON, without a byte order mark."""
        # A file of 100,000 operations has 10 MB and stays as long as the engine; it is seldom looked at again.
        self._packed: Final = compress(text, 1)

    def locate(self, paths: Iterable[Path]) -> dict[Path, tuple[Place, Place]]:
        """Return, per path, the places of its key and its value, in one pass over the text.

        What is not there gets the place of what it should stand in; a list's element has
        no key, so both places are one.
        """
        wanted = list(paths)
        text = decompress(self._packed).decode()
        root = _tree(wanted)
        # Nested beyond what the parser follows: places found so far are good enough.
        with suppress(RecursionError):
            _walk(text, _skip_space(text, 0), root)
        offsets = {path: _offsets(root, path) for path in wanted}
        places = _places(text, {offset for pair in offsets.values() for offset in pair})
        return {path: (places[key], places[value]) for path, (key, value) in offsets.items()}


def place_of(text: str, offset: int) -> Place:
    """Return the place of one offset into `text`."""
    return _places(text, {offset})[offset]


def _tree(paths: Iterable[Path]) -> _Node:
    root = _Node(value=0)
    for path in paths:
        node = root
        for part in path:
            node = node.children.setdefault(part, _Node())
    return root


def _walk(text: str, offset: int, node: _Node) -> int:
    """Note where `node` and its children stand; return the offset behind the value."""
    node.value = offset
    if not node.children or text[offset] not in "{[":
        return _DECODER.raw_decode(text, offset)[1]
    return _walk_object(text, offset, node) if text[offset] == "{" else _walk_list(text, offset, node)


def _walk_object(text: str, offset: int, node: _Node) -> int:
    offset = _skip_space(text, offset + 1)
    while text[offset] != "}":
        key_at = offset
        key, offset = _DECODER.raw_decode(text, offset)
        offset = _skip_space(text, _skip_space(text, offset) + 1)
        child = node.children.get(key)
        if child is None:
            offset = _DECODER.raw_decode(text, offset)[1]
        else:
            child.key = key_at
            offset = _walk(text, offset, child)
        offset = _next_member(text, offset)
    return offset + 1


def _walk_list(text: str, offset: int, node: _Node) -> int:
    offset = _skip_space(text, offset + 1)
    number = 0
    while text[offset] != "]":
        child = node.children.get(number)
        offset = _DECODER.raw_decode(text, offset)[1] if child is None else _walk(text, offset, child)
        offset = _next_member(text, offset)
        number += 1
    return offset + 1


def _next_member(text: str, offset: int) -> int:
    offset = _skip_space(text, offset)
    return _skip_space(text, offset + 1) if text[offset] == "," else offset


def _skip_space(text: str, offset: int) -> int:
    space = _SPACE.match(text, offset)
    return offset if space is None else space.end()


def _offsets(root: _Node, path: Path) -> tuple[int, int]:
    """Return the offsets of key and value, or of the innermost thing that is there."""
    node = root
    for part in path:
        child = node.children[part]
        if child.value is None:
            break
        node = child
    value = node.value or 0
    return (value if node.key is None else node.key), value


def _places(text: str, offsets: set[int]) -> dict[int, Place]:
    places: dict[int, Place] = {}
    line, counted = 1, 0
    for offset in sorted(offsets):
        line += text.count("\n", counted, offset)
        counted = offset
        places[offset] = Place(line, offset - text.rfind("\n", 0, offset))
    return places
