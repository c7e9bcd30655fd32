"""The vendor's JSON envelope: bytes in, a checked value or a reason out.

Bodies are judged by content, because the vendor's content type is not documented. A
byte order mark is tolerated. Refused are, beside text that is no JSON: invalid UTF-8,
NaN and infinities, integers beyond 64 bits (the parser would round them, and a rounded
number on a bill is worse than none) and nesting so deep that it could not be written out again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

_BOM: Final = b"\xef\xbb\xbf"
_LONG_DIGITS: Final = re.compile(rb"\d{19}")
_STRING_OR_NUMBER: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?')
_INTEGERS: Final = range(-(2**63), 2**64)
_NUMERIC: Final = re.compile(r"\s*-?\d{1,15}(\.\d+)?\s*")
_SHOWN: Final = 60

# The writer of JSON stops at 254 levels, the reader at 1,024.
MAX_DEPTH: Final = 200

Code: TypeAlias = int | float | str | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A JSON object as the vendor wraps it; `fields` are the object's own."""

    fields: Mapping[str, Any]

    @property
    def code(self) -> Code:
        """The body's own status: a number when it reads as one, else text, else None."""
        return read_code(self.fields.get("code"))

    @property
    def msg(self) -> Any:
        """The vendor's message, whatever it is."""
        return self.fields.get("msg")

    @property
    def complaint(self) -> str:
        """The text under `error`, empty where the vendor says null or "null"."""
        error = self.fields.get("error")
        return "" if error in (None, "null") else str(error)


@dataclass(frozen=True, slots=True)
class NotAnEnvelope:
    """Why the bytes are no envelope, and how they begin."""

    reason: str
    beginning: str


def open_envelope(body: bytes) -> Envelope | NotAnEnvelope:
    """Parse `body`; anything but a JSON object comes back as a reason."""
    text = body.removeprefix(_BOM)
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return NotAnEnvelope(_describe(text, error.msg), _beginning(text))
    if not isinstance(document, dict):
        return NotAnEnvelope(f"the answer is JSON but no object: {type(document).__name__}", _beginning(text))
    if _LONG_DIGITS.search(text) and _has_oversized_integer(text):
        return NotAnEnvelope("the answer holds an integer beyond 64 bits", _beginning(text))
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _is_too_deep(document):
        return NotAnEnvelope(f"the answer is nested deeper than {MAX_DEPTH} levels", _beginning(text))
    return Envelope(document)


def read_code(value: Any) -> Code:
    """Return `value` as a number when it reads as one; text stays text, the rest is None."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return _number(value) if _NUMERIC.fullmatch(value) else value
    return None if value is None else str(value)


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _has_oversized_integer(text: bytes) -> bool:
    numbers = (m.group() for m in _STRING_OR_NUMBER.finditer(text) if m.group()[:1] != b'"')
    return any(n.lstrip(b"-").isdigit() and (len(n) > 20 or int(n) not in _INTEGERS) for n in numbers)


def _is_too_deep(document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        inner = (value for box in level for value in (box.values() if type(box) is dict else box))
        level = [value for value in inner if type(value) in (dict, list)]
        if not level:
            return False
    return True


def _describe(text: bytes, parser_says: str) -> str:
    start = text.lstrip()[:200].lower()
    if not start:
        return "the answer has no body"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "the answer is a web page, not JSON"
    return f"the answer is not JSON ({parser_says})"


def _beginning(text: bytes) -> str:
    return text[:_SHOWN].decode("utf-8", "replace")
