"""The vendor's JSON envelope: bytes in, a checked value or a reason out.

Bodies are judged by content, because the vendor's content type is not documented. A
byte order mark is tolerated. Refused are, beside text that is no JSON: invalid UTF-8,
NaN and infinities, integers beyond 64 bits (the parser would round them, and a rounded
number on a bill is worse than none) and nesting so deep that it could not be written out
again. What is long enough to be deep is written out, and what that gives back byte for
byte was not rounded either; otherwise long numbers are looked for among the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import orjson

_BOM: Final = b"\xef\xbb\xbf"
_DIGITS_AS_ZEROS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_RUN: Final = b"0" * 19  # digits from which on an integer may need more than 64 bits
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_LONG_INTEGER: Final = re.compile(rb"(?<![-+.0-9eE])-?[0-9]{19,}+(?![.eE])")
_INTEGERS: Final = range(-(2**63), 2**64)
_NUMERIC: Final = re.compile(r"\s*-?[0-9]{1,15}(\.[0-9]+)?\s*")
_STATUS_DIGITS: Final = 3
_BEGINNING: Final = 1_000

# Where the writer of JSON stops; its reader goes on to 1,024.
MAX_DEPTH: Final = 254

Code: TypeAlias = int | float | str | None


@dataclass(slots=True)
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
        """The text under `error`, empty where it says nothing: null, "null", "", false, 0, [] or {}."""
        error = self.fields.get("error")
        return as_text(error) if error and error != "null" else ""


@dataclass(frozen=True, slots=True)
class NotAnEnvelope:
    """Why the bytes are no envelope, and how they begin (at most 1,000 bytes of them)."""

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
    again = _written(document) if len(text) > 2 * MAX_DEPTH else b""
    if again == text:
        return Envelope(document)
    if text.translate(_DIGITS_AS_ZEROS).find(_LONG_RUN) >= 0 and _has_oversized_integer(text):
        return NotAnEnvelope("the answer holds an integer beyond 64 bits", _beginning(text))
    if again is None:
        return NotAnEnvelope(f"the answer is nested deeper than {MAX_DEPTH} levels", _beginning(text))
    return Envelope(document)


def read_code(value: Any) -> Code:
    """Return `value` as a number when it reads as one; text stays text, the rest becomes its JSON text."""
    if value is None or type(value) in (int, float):
        return cast("Code", value)
    if isinstance(value, str):
        if len(value) == _STATUS_DIGITS and value.isascii() and value.isdigit():
            return int(value)
        return _number(value) if _NUMERIC.fullmatch(value) else value
    return as_text(value)


def as_text(value: Any) -> str:
    """Return text as it is, anything else as JSON text."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _has_oversized_integer(text: bytes) -> bool:
    numbers = _LONG_INTEGER.findall(_STRING.sub(b"", text))
    return any(len(number) > 20 or int(number) not in _INTEGERS for number in numbers)


def _written(document: dict[str, Any]) -> bytes | None:
    """Return the document as it would be written; None when it is too deep for that."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        return None


def _describe(text: bytes, parser_says: str) -> str:
    start = text[:_BEGINNING].lstrip()
    if not start:
        return "the answer has no body"
    if start.startswith(b"<"):
        return "the answer is a web page, not JSON"
    return f"the answer is not JSON ({parser_says})"


def _beginning(text: bytes) -> str:
    return text[:_BEGINNING].decode("utf-8", "replace")
