"""What is wrong with text that is meant to be JSON, in the words of somebody who typed it.

The parser of the standard library says where it stopped; what stands there and before
it says what was meant. Nothing of the text is quoted but single characters, for the
mistake may stand in the middle of a token.
"""

from __future__ import annotations

import json
import re
from typing import Final

import orjson

_TRAILING_COMMA: Final = re.compile(r",\s*\Z")
_PYTHON_WORD: Final = re.compile(r"(True|False|None|NaN|-?Infinity|undefined)\b")
_WORD_END: Final = re.compile(r"\w\Z")


def explain_syntax(text: str) -> tuple[int, str]:
    """Return the offset of the first mistake in `text` and what it is.

    `text` is one that the strict parser refused.
    """
    if not text.strip():
        return 0, "the file is empty"
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        return _explain(text, error)
    except (RecursionError, ValueError):
        return _explain_strictness(text)
    return _explain_strictness(text)


def _refuse_constant(_: str) -> None:
    raise ValueError("no such number in JSON")


def _explain_strictness(text: str) -> tuple[int, str]:
    """Explain what only the strict parser refuses: NaN, half a surrogate pair, endless nesting."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg or "ecursion" in error.msg:
            return error.pos, "this is nested too deeply for a tenants file"
        return error.pos, _python_word(text, error.pos) or f"this is not JSON: {error.msg}"
    return 0, "this is not JSON"


def _explain(text: str, error: json.JSONDecodeError) -> tuple[int, str]:
    offset = error.pos
    if error.msg.startswith("Unterminated string"):
        return offset, "this text has no closing quote"
    if error.msg.startswith("Invalid control character"):
        return _explain_control(text, offset)
    if error.msg.startswith("Invalid \\"):
        return offset, 'a backslash stands before one of " \\ / b f n r t u: write \\\\ for the character itself'
    if error.msg.startswith("Extra data"):
        return offset, _comment(text, offset) or "something stands behind the end of the document"
    if error.msg.startswith("Illegal trailing comma"):
        return offset, _TOO_MANY_COMMAS
    return _explain_structure(text, offset, error.msg)


_TOO_MANY_COMMAS: Final = "the comma before a closing } or ] is one too many"


def _explain_control(text: str, offset: int) -> tuple[int, str]:
    if text[offset] in "\r\n":
        return offset, "the line ends inside a text: its closing quote is missing"
    return offset, f"text holds the control character U+{ord(text[offset]):04X}: write it as \\u{ord(text[offset]):04x}"


def _explain_structure(text: str, offset: int, parser_says: str) -> tuple[int, str]:
    """Explain a place at which a value, a key, a colon or a comma should stand."""
    before, found = text[:offset].rstrip(), text[offset : offset + 1]
    if not found:
        return offset, "the file ends too early: a closing } or ] is missing"
    if found in "}]" and before.endswith(","):
        return len(before) - 1, _TOO_MANY_COMMAS
    if found.isdigit() and before.endswith(("0", "-0")) and text[offset - 1] == "0":
        return offset - 1, 'a number does not begin with 0: write it as text, for example "0010"'
    said = _comment(text, offset) or _python_word(text, offset)
    if said is None and found == "'":
        said = "text stands in double quotes, not in single ones"
    return offset, said or _expected(found, parser_says)


def _comment(text: str, offset: int) -> str | None:
    return "JSON has no comments" if text.startswith(("//", "/*", "#"), offset) else None


def _python_word(text: str, offset: int) -> str | None:
    if _PYTHON_WORD.match(text, offset):
        return "JSON has the words true, false and null, in small letters, and no NaN or Infinity"
    return None


def _expected(found: str, parser_says: str) -> str:
    # A letter or digit may belong to a token, and says nothing anyway.
    met = f", not {found}" if found.isprintable() and not found.isalnum() else ""
    if "property name" in parser_says:
        return f"a key in double quotes is expected here{met}"
    if "':'" in parser_says:
        return f"a colon is expected here{met}: is a quote missing?"
    if "','" in parser_says:
        return f"a comma or a closing bracket is expected here{met}"
    return f"a value is expected here{met}: text stands in double quotes"
