"""Configuration text says what it was given, whatever that is."""

import os
import re

from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.apps.broking.syntax import Value, quoted, rendered

ANY_NAME = st.binary().map(os.fsdecode)


def read_back(text: str) -> str:
    """Read a quoted string as the server does: `\\xHH` is a byte."""
    inner = text[1:-1]
    assert re.fullmatch(r"([ !#-\[\]-~]|\\x[0-9a-f]{2})*", inner)
    return os.fsdecode(re.sub(rb"\\x(..)", lambda m: bytes([int(m[1], 16)]), inner.encode()))


@given(ANY_NAME)
def test_a_quoted_text_reads_back_as_it_was(text: str) -> None:
    assert read_back(quoted(text)) == text


@given(ANY_NAME)
def test_no_text_ends_its_line_or_its_quotes(text: str) -> None:
    written = quoted(text)
    assert "\n" not in written
    assert written[1:-1].count('"') == 0
    assert written.isascii()


def test_blocks_lists_numbers_and_switches_are_written_one_a_line() -> None:
    block: dict[str, Value] = {"a": 1, "b": True, "c": ["x", {"y": 1, "z": "q"}], "d": {"e": "f", "g": {"h": False}}}
    assert rendered(block) == 'a: 1\nb: true\nc: ["x", {y: 1, z: "q"}]\nd {\n  e: "f"\n  g {\n    h: false\n  }\n}\n'
