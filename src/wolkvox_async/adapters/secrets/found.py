"""What a reference comes to: a token, or why there is none.

The rules for what counts as a token's text are the same wherever it was found. No
message quotes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from wolkvox_async.model import Token
from wolkvox_async.references import TokenReference, describe

LARGEST: Final = 4096
"""Bytes that a secret may have where it is found; a token has at most 512."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A reference that gives no token; `message` names the reference and says why."""

    message: str


Resolution: TypeAlias = Token | Unresolved


def unresolved(reference: TokenReference, reason: str) -> Unresolved:
    """Say why `reference` gives no token."""
    return Unresolved(f"{describe(reference)} {reason}")


def decoded(reference: TokenReference, content: bytes) -> Resolution:
    """Return the token in `content`: one line of text, with or without a newline behind it."""
    if len(content) > LARGEST:
        return unresolved(reference, f"gives more than {LARGEST} bytes: that is no token")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return unresolved(reference, "gives bytes that are no text")
    text = text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")
    if not text:
        return unresolved(reference, "gives nothing")
    return unresolved(reference, "gives more than one line") if "\n" in text else token_of(reference, text)


def handed_over(reference: TokenReference, value: object) -> Resolution:
    """Return the token that somebody's code handed over as a value: text, and exactly the token's."""
    if not isinstance(value, str):
        return unresolved(reference, f"gives a {type(value).__name__} where the token's text belongs")
    if not value:
        return unresolved(reference, "gives an empty text")
    if "\n" in value or "\r" in value:
        return unresolved(reference, "gives a text with a line break: it is to give the token and nothing else")
    return token_of(reference, value)


def token_of(reference: TokenReference, text: str) -> Resolution:
    """Return `text` as a token, or what keeps it from being one."""
    try:
        return Token(text)
    except ValueError as error:
        return unresolved(reference, f"gives no token: {error}")
