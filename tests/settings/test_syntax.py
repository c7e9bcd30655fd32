from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wolkvox_async.settings.syntax import explain_syntax


@pytest.mark.parametrize(
    ("text", "offset", "said"),
    [
        (" \n", 0, "the file is empty"),
        ('{"a": 1,}', 7, "the comma before a closing } or ] is one too many"),
        ('{"a": 1 , \n}', 8, "the comma before a closing } or ] is one too many"),
        ("[1,]", 2, "the comma before a closing } or ] is one too many"),
        ('{"a": 1,, "b": 2}', 8, "a key in double quotes is expected here, not ,"),
        ('{"a": 1 "b": 2}', 8, 'a comma or a closing bracket is expected here, not "'),
        ('{"a": 1]', 7, "a comma or a closing bracket is expected here, not ]"),
        ('{"a" 1}', 5, "a colon is expected here: is a quote missing?"),
        ('{"name: "acme"}', 9, "a colon is expected here: is a quote missing?"),
        ("{'a': 1}", 1, "text stands in double quotes, not in single ones"),
        ("{a: 1}", 1, "a key in double quotes is expected here"),
        ('{"a": acme}', 6, "a value is expected here: text stands in double quotes"),
        ('{"a": 0010}', 6, 'a number does not begin with 0: write it as text, for example "0010"'),
        ('{"a": -01}', 7, 'a number does not begin with 0: write it as text, for example "0010"'),
        ('{"a": True}', 6, "JSON has the words true, false and null, in small letters, and no NaN or Infinity"),
        ('{"a": NaN}', 6, "JSON has the words true, false and null, in small letters, and no NaN or Infinity"),
        ('{"a": -Infinity}', 7, "JSON has the words true, false and null, in small letters, and no NaN or Infinity"),
        ('{"a": "x\ny"}', 8, "the line ends inside a text: its closing quote is missing"),
        ('{"a": "x\ty"}', 8, "text holds the control character U+0009: write it as \\u0009"),
        ('{"a": "x', 6, "this text has no closing quote"),
        ('{"a": "\\q"}', 7, "a backslash stands before one of"),
        ('{"a": 1', 7, "the file ends too early: a closing } or ] is missing"),
        ('{"a":', 5, "the file ends too early: a closing } or ] is missing"),
        ("{} {}", 3, "something stands behind the end of the document"),
        ("// note\n{}", 0, "JSON has no comments"),
        ('{"a": 1 /* note */}', 8, "JSON has no comments"),
        ("{} # note", 3, "JSON has no comments"),
    ],
)
def test_a_slip_is_explained_where_it_stands(text: str, offset: int, said: str) -> None:
    found, message = explain_syntax(text)
    assert (found, message[: len(said)]) == (offset, said)


def test_half_a_surrogate_pair_is_explained_too() -> None:
    offset, message = explain_syntax('{"a": "\\ud800"}')
    assert offset in (6, 7, 13)  # before orjson 3.12 it is where the text ends
    assert message.startswith("this is not JSON:")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": ' * 200_000])
def test_endless_nesting_is_named(text: str) -> None:
    assert explain_syntax(text)[1] == "this is nested too deeply for a tenants file"


@given(st.text(alphabet="{}[]:,\"\\0159.-eEtruefalsn \n'/#é", max_size=40))
def test_whatever_the_strict_parser_refuses_is_explained_within_the_text(text: str) -> None:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        offset, message = explain_syntax(text)
        assert 0 <= offset <= len(text)
        assert message


def test_an_explanation_quotes_nothing_of_a_token() -> None:
    token = "5f4dcc3b5aa765d61d8327deb882cf99"
    for text in (f'{{"token": {token}}}', f'{{"token": "{token}', f'{{"token": "{token}\n"}}', f"{{{token}: 1}}"):
        _, message = explain_syntax(text)
        assert not any(token[n : n + 4] in message for n in range(len(token) - 3))
